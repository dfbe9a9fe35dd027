// ADR-002's NetworkPartitionHandler: whether this process hears the cluster, and what follows if
// not. Pure: probes' results and a time in, what to probe and to do out.
//
// CONNECTED → SUSPECT (2 lost rounds) → PARTITIONED (3, and peers were asked; or 5 intervals
// without a good one) → LOCAL → RECOVERING (5 good rounds over the dwell) → CONNECTED, with a
// growing share.
//
// A round is lost if the store or coordinator does not answer and some peer does not either. The
// source alone is no partition: routing goes on, as all it needs is there (Patroni's failsafe mode,
// patroni PR #2379). With a source that answers, a round is lost only if no peer at all answers,
// and that has ten intervals, in which the source would find dead nodes dead. A refused connection
// is an answer: the network carried it.
//
// Once around again within a minute everything takes twice as long, so that a link that flaps
// leaves the process in local mode rather than flapping with it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/partition.h"

#include "partition/event.h"

namespace cenote::partition {

// Probe these, each for Options::probe_timeout at the most, then call probed().
struct Probe {
  uint64_t round = 0;
  bool source = true;    // the store or coordinator
  bool database = true;  // this process's own
  std::vector<std::string> peers;
};

struct Round {
  uint64_t number = 0;  // of the Probe
  TimePoint began;
  std::optional<bool> source{};  // whether it answered; none: not probed, or there is none
  std::optional<bool>
      database{};  // whether any own one answers; none: not probed, or there is none
  std::map<std::string, bool, std::less<>> peers{};
};

// What a peer that was asked says of itself.
struct Told {
  bool source = false;  // it reaches the store or coordinator
};
using Answers = std::map<std::string, Told, std::less<>>;  // of those that answered in time

// What there is to do on the way back, in this order.
enum class Step : uint8_t {
  kRegister,  // renew the lease or take a new one
  kList,      // a view that the source confirmed since it is heard again
  kConfig,    // the newest configuration, applied or refused
  kQuota,     // the budget of connections
};
std::string_view to_string(Step step);

// What a view of some age is good for, out of touch with its source.
enum class Service : uint8_t { kAll, kReads, kOwnPools };
Service service(Duration local_cache_ttl, Duration view_age);

// Used by one thread at a time.
class NetworkPartitionHandler {
 public:
  enum class Source : uint8_t { kNone, kCoordinator, kStore };
  struct Options {
    PartitionOptions partition{};
    Source source = Source::kStore;
    Duration probe_timeout = std::chrono::milliseconds(500);  // at most half of the interval
    int suspect_after = 2;                                    // lost rounds in a row
    int partition_after = 3;                                  // the same, and peers were asked
    int silence = 5;           // intervals without a good round, whatever else
    int source_patience = 10;  // the same where the source answers and no peer does
    int recover_after = 5;     // good rounds in a row, over as many intervals
    size_t sample = 2;         // peers of a round while all is well
    size_t relays = 3;         // peers asked what they reach
    size_t most_peers = 128;   // of a round
    Duration own_pause = std::chrono::seconds(2);     // of ticks: this process stood still
    Duration reentry = std::chrono::seconds(60);      // around again within this: twice the dwell,
    Duration most_dwell = std::chrono::seconds(60);   // up to this
    Duration least_spread = std::chrono::seconds(2);  // over which all come back,
    Duration spread_each = std::chrono::milliseconds(20);  // or this for each node
    Duration ramp = std::chrono::seconds(20);              // from a tenth of its calls to all
    uint64_t seed = 1;  // which peers, and when within the spread
  };
  struct Output {
    std::vector<Event> events;
    std::optional<Probe> probe;
    std::vector<std::string> ask;  // these peers, for probe_timeout at the most; then asked()
    bool switch_to_local = false;  // call handle_partition()
    std::optional<Step> step;      // take it, then recovered()
    bool renew = false;            // this process had paused: its lease first, no expired quota
  };

  NetworkPartitionHandler(Options options, TimePoint now);

  // The nodes that the view takes for living, but this process itself.
  void set_peers(const std::set<std::string, std::less<>>& peers);
  // Call it at due() at the latest.
  Output tick(TimePoint now);
  TimePoint due() const;
  // Rounds that were overtaken are ignored.
  Output probed(const Round& round, TimePoint now);
  Output asked(const Answers& answers, TimePoint now);
  // In PARTITIONED: LOCAL from here on.
  FallbackAction handle_partition(TimePoint now, Output* out);
  Output recovered(Step step, TimePoint now);
  // An operator's word; false: not in local mode by strategy manual, so nothing waits for it.
  bool recover();

  State state() const { return state_; }
  TimePoint since() const { return since_; }
  Cause cause() const { return cause_; }
  const std::string& reason() const { return reason_; }  // of the last event
  std::optional<Step> step() const { return step_; }     // under way
  // When the first of the good rounds began that led, or may lead, back.
  TimePoint heard_since() const { return good_since_; }
  Duration dwell() const { return dwell_; }
  // All is well but for the operator's word.
  bool waits_for_word() const { return state_ == State::kLocal && told_to_wait_; }
  bool source_reached() const { return source_failures_ == 0; }

  // Calls go only where the last probe had an answer.
  bool local() const { return state_ == State::kLocal || state_ == State::kRecovering; }
  // Whether it answers: false after two probes in a row that had no answer, since packets get lost;
  // none: not known yet.
  std::optional<bool> reached(std::string_view peer) const;
  Service service(Duration view_age) const;
  // Of their calls that peers get which were out of reach: 0.1, 0.25, 0.5, 1.
  double share(TimePoint now) const;
  const std::set<std::string, std::less<>>& returning() const { return returning_; }

 private:
  uint64_t random();
  size_t answering() const;  // peers
  void notice_pause(TimePoint now, Output* out);
  void go(State to, std::string reason, TimePoint now, Output* out, Duration took = {});
  void tell(std::string reason, Output* out);
  Probe next_probe(bool all);
  std::vector<std::string> pick(std::vector<std::string> from, size_t count);
  bool is_lost(const Round& round) const;
  bool leaves_doubt(const Round& round) const;
  void judge(const Round& round, TimePoint now, Output* out);
  void judge_parts(Output* out);
  void lost(const Round& round, TimePoint now, Output* out);
  void well(const Round& round, TimePoint now, Output* out);
  void suspect(TimePoint now, Output* out);
  void judge_silence(TimePoint now, Output* out);
  void cut_off(TimePoint now, Output* out);
  void stay_local(TimePoint now, Output* out);
  void judge_recovery(TimePoint now, Output* out);
  void take(Step step, Output* out);
  void finish(TimePoint now, Output* out);
  Cause classify() const;
  Duration intervals(int count) const { return options_.partition.detection_interval * count; }
  std::string seen() const;

  Options options_;
  uint64_t random_;
  State state_ = State::kConnected;
  TimePoint since_;
  Cause cause_ = Cause::kNone;
  std::string reason_;
  TimePoint last_call_;  // by it an own pause is noticed

  struct Seen {
    std::optional<bool> answered;  // the last probe
    int failures = 0;              // in a row
    bool is_lost() const { return failures >= 2; }
  };
  std::map<std::string, Seen, std::less<>> peers_;
  uint64_t round_ = 0;
  std::optional<Round> open_;  // of the round under way, what is known
  TimePoint next_round_;

  int lost_ = 0;  // rounds in a row
  int good_ = 0;
  TimePoint good_since_;  // when the first of those began
  TimePoint last_good_;   // when the last good round began
  TimePoint lost_since_;  // when the first lost round after it began
  TimePoint last_lost_;   // and the last one
  int source_failures_ = 0;
  int database_failures_ = 0;
  bool source_answers_ = true;  // in the last round, or there is none
  bool asked_ = false;          // in this suspicion, and answered or silent by now
  Answers told_;

  int calm_after_ = 1;  // good rounds in a row that end a suspicion
  std::optional<TimePoint> calm_since_;
  Duration dwell_;
  std::optional<TimePoint> back_since_;  // when local mode was left last
  bool word_ = false;
  bool told_to_wait_ = false;
  TimePoint rejoin_at_;
  std::optional<Step> step_;
  std::optional<TimePoint> ramp_since_;
  std::set<std::string, std::less<>> returning_;
};

}  // namespace cenote::partition
