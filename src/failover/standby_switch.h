// Which of several targets is the active one: ADR-002's ActiveStandby, and the endpoints of one
// database. Pure: checks and a time in, decisions out.
//
// ACTIVE → SUSPECT → CONFIRM → SWITCHING (epoch + 1) → ACTIVE (another), later FAILBACK_WAIT. It
// chooses where calls go and never promotes a database.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/failover.h"

#include "failover/epoch_store.h"
#include "failover/event.h"
#include "failover/sight.h"

namespace cenote::failover {

// Used by one thread at a time.
class StandbySwitch {
 public:
  enum class State : uint8_t { kActive, kSuspect, kConfirm, kSwitching, kFailbackWait };
  struct Options {
    Duration threshold = std::chrono::seconds(5);  // down for this long until it is left
    int least_failures = 2;                        // in a row, however short the threshold
    FailBack fail_back = FailBack::kManual;
    Duration fail_back_after = std::chrono::seconds(60);  // well without a break
    Duration dwell = std::chrono::seconds(300);           // from the switch before
    std::chrono::milliseconds most_lag = std::chrono::seconds(1);
    int most_switches = 3;  // within an hour
    Duration ask_store_again = std::chrono::seconds(1);
    std::string self;  // this process, for the record
  };
  // What the caller has to do now.
  struct Output {
    std::vector<Event> events;
    bool check_others = false;     // a fresh check of each target that is not active
    std::optional<Record> decide;  // ask the store, then call decided() or undecided()
    // Calls go to another target: give back what is at `from`.
    struct Move {
      size_t from = 0;
      size_t to = 0;
    };
    std::optional<Move> move;
  };

  // `targets`: the preferred one first.
  StandbySwitch(std::vector<std::string> targets, Options options);

  // A check that began at `began` has ended.
  Output saw(size_t target, Sight sight, TimePoint began, TimePoint now);
  // Time has passed; call it at due() at the latest.
  Output tick(TimePoint now) { return judge(now); }
  // When something happens by time alone; never: TimePoint::max().
  TimePoint due() const;
  // What the store holds, whoever put it there. Lower epochs than the known one are ignored.
  Output decided(const Record& record, TimePoint now);
  Output undecided(std::string_view why, TimePoint now);
  // An operator's wish; releases the latch. An error says why not, and changes nothing. The target
  // is the best one if `to` is empty.
  Result<size_t> could_switch(std::string_view to) const;
  Result<Output> ask(std::string_view to, TimePoint now);

  State state() const { return state_; }
  uint64_t epoch() const { return epoch_; }
  bool latched() const { return latched_; }
  size_t active() const { return active_; }
  const std::vector<std::string>& targets() const { return names_; }
  const Sight& sight(size_t target) const { return seen_[target].sight; }

  // Whether a call may go to the active target now.
  enum class Gate : uint8_t {
    kOpen,
    kHeld,    // a switch may be near: wait for a while
    kClosed,  // two primaries: writes are refused
  };
  Gate writes() const;
  // Reads go on where writes cannot: at the active target, or while that is down and nobody could
  // take over, at another that is well.
  Gate reads() const;
  size_t reader() const;
  // For errors: why a gate is not open.
  std::string why() const;

 private:
  struct Seen {
    Sight sight;
    TimePoint began;    // of the check
    bool told = false;  // its role, ever
  };

  Output judge(TimePoint now);
  void judge_primaries(Output* out);
  void judge_active(TimePoint now, Output* out);
  void confirm(std::string reason, TimePoint now, Output* out);
  void look_for_another(TimePoint now, Output* out);
  void judge_fail_back(TimePoint now, Output* out);
  void propose(size_t target, std::string reason, TimePoint now, Output* out);
  void settle();
  void tell_alive(size_t target, Output* out);
  bool is_well(size_t target) const;
  bool may_take_over(size_t target) const;
  // Why it could not; of one that could, empty.
  std::string unfit(size_t target) const;
  bool demoted() const;
  bool down(TimePoint now) const;
  void tell(Output* out, Event::Kind kind, size_t from, std::string to, std::string reason,
            bool alert = false) const;

  std::vector<std::string> names_;
  Options options_;
  std::vector<Seen> seen_;
  State state_ = State::kActive;
  uint64_t epoch_ = 0;
  size_t active_ = 0;
  bool needs_writable_ = false;  // a target took writes once, so this is no group of mere readers
  bool two_primaries_ = false;
  bool latched_ = false;
  bool stays_told_ = false;
  bool by_operator_ = false;                // the switch that is under way
  int failures_ = 0;                        // of the active target, in a row
  std::optional<TimePoint> failing_since_;  // when the first of them began
  TimePoint confirm_since_;
  TimePoint ask_again_at_;
  std::string reason_;  // of the switch under way
  std::optional<TimePoint> switched_at_;
  std::optional<TimePoint> preferred_well_since_;
  std::deque<TimePoint> switches_;  // automatic ones of the last hour
};

std::string_view to_string(StandbySwitch::State state);

}  // namespace cenote::failover
