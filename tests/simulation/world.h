// The world that is simulated: processes with their clocks, timers and crashes, and the network
// between them. One thread, one queue of events, one seed: the same seed gives the same history.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cenote/deadline.h"
#include "cenote/error.h"

#include "simulation/bugs.h"
#include "simulation/checks.h"
#include "simulation/random.h"

namespace cenote::simulation {

using ProcessId = size_t;

// How the network does.
struct Weather {
  double loss = 0;       // of the messages
  double duplicate = 0;  // of the messages arrive twice, the second much later
  double stall = 0;      // of the writes: their process stands still in the middle of one
  Duration least = std::chrono::microseconds(100);
  Duration most = std::chrono::milliseconds(3);
};

// Nobody answered in time: what was asked may have happened.
Status no_answer();
// The port is closed: it has not happened.
Status refused();
bool is_refused(const Status& status);

class World {
 public:
  using Action = std::function<void()>;

  World(uint64_t seed, Bug bug, bool tracing);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- Processes. `boot` is called at each start: it forgets what a process loses with its
  // memory, and sets its timers. What it refers to outlives the world's run.
  ProcessId add(std::string name, Action boot);
  void start(ProcessId id);
  void crash(ProcessId id);
  void pause(ProcessId id);
  void go_on(ProcessId id);
  // Its clock moves ahead.
  void jump(ProcessId id, Duration by);
  bool runs(ProcessId id) const { return processes_[id].up && !processes_[id].paused; }
  bool is_up(ProcessId id) const { return processes_[id].up; }
  bool is_paused(ProcessId id) const { return processes_[id].paused; }
  // When it was started, crashed, paused, continued or its clock moved last.
  TimePoint changed_at(ProcessId id) const { return processes_[id].changed_at; }
  TimePoint crashed_at(ProcessId id) const { return processes_[id].crashed_at; }
  const std::string& name(ProcessId id) const { return processes_[id].name; }
  size_t size() const { return processes_.size(); }

  // ---- Time.
  TimePoint now() const { return now_; }
  // What the process's own clock says.
  TimePoint clock(ProcessId id) const { return now_ + processes_[id].ahead; }
  // Later, in a process: not if it crashed meanwhile, and not before it goes on if it is paused.
  void after(ProcessId id, Duration time, Action action);
  // Later, by nobody's hand.
  void later(Duration time, Action action);

  // ---- The network.
  Weather& weather() { return weather_; }
  void cut(ProcessId from, ProcessId to, bool on) {
    cut_[from * kMost + to] = on;
    changed();
  }
  bool is_cut(ProcessId from, ProcessId to) const { return cut_[from * kMost + to]; }
  bool linked(ProcessId a, ProcessId b) const { return !is_cut(a, b) && !is_cut(b, a); }
  // Runs `action` in `to`, unless the message is lost or nobody runs there.
  void send(ProcessId from, ProcessId to, Action action);
  // `serve` in `to`, then `done` in `from`: with its answer, refused() or no_answer().
  template <class Answer>
  void call(ProcessId from, ProcessId to, Duration timeout, std::function<Result<Answer>()> serve,
            std::function<void(Result<Answer>)> done);
  // For code that waits for its answer: what became of a request, here and now.
  enum class Passage : uint8_t { kDone, kRefused, kLost, kAnswerLost };
  Passage pass(ProcessId from, ProcessId to);

  // More than the death of a single process goes wrong, now.
  void disturb() {
    disturbed_ = now_;
    changed();
  }
  TimePoint disturbed_at() const { return disturbed_; }
  // For checks: called after everything that decides who reaches whom.
  void on_change(Action look) { look_ = std::move(look); }

  // ---- The run.
  // False: nothing is left to do, or a check failed.
  bool step();
  void run_until(TimePoint end);
  Random& random() { return random_; }
  Checks& checks() { return checks_; }
  bool has(Bug bug) const { return bug_ == bug; }
  uint64_t events() const { return events_; }

  bool tracing() const { return tracing_; }
  // One line with the time; call it only if tracing().
  void trace(std::string_view who, std::string_view what);
  const std::string& history() const { return history_; }

 private:
  static constexpr size_t kMost = 24;  // processes
  static constexpr ProcessId kNobody = kMost;

  struct Process {
    std::string name;
    Action boot;
    bool up = false;
    bool paused = false;
    uint64_t boots = 0;
    TimePoint changed_at{};
    TimePoint crashed_at{};
    Duration ahead{};
    std::vector<Action> held;  // while it is paused
  };
  struct Event {
    ProcessId process = kNobody;
    uint64_t boot = 0;  // 0: whichever runs
    Action action;
  };
  // The heap moves these about, not the events.
  struct Due {
    TimePoint at;
    uint64_t number = 0;
    size_t slot = 0;
  };
  struct Later {
    bool operator()(const Due& a, const Due& b) const {
      return a.at != b.at ? a.at > b.at : a.number > b.number;
    }
  };

  void changed() const {
    if (look_) look_();
  }
  void push(TimePoint at, ProcessId process, uint64_t boot, Action action);
  // A message that arrives even where nobody runs.
  void carry(ProcessId from, ProcessId to, Action action);
  void run(ProcessId id, const Action& action);
  bool lost(ProcessId from, ProcessId to);

  const Bug bug_;
  const bool tracing_;
  Random random_;
  Checks checks_;
  TimePoint now_;
  uint64_t number_ = 0;
  uint64_t events_ = 0;
  std::vector<Due> queue_;  // a heap
  std::vector<Event> slots_;
  std::vector<size_t> free_slots_;
  std::vector<Process> processes_;
  std::vector<bool> cut_;
  Weather weather_;
  TimePoint disturbed_;
  Action look_;
  std::string history_;
};

template <class Answer>
void World::call(ProcessId from, ProcessId to, Duration timeout,
                 std::function<Result<Answer>()> serve, std::function<void(Result<Answer>)> done) {
  struct Pending {
    std::function<Result<Answer>()> serve;
    std::function<void(Result<Answer>)> done;
    std::optional<Result<Answer>> answer;  // the first; who is asked twice does it twice
    ProcessId from;
    uint64_t boot;
    bool open = true;
    void finish(const World& world, Result<Answer> result) {
      if (world.processes_[from].boots == boot && std::exchange(open, false)) {
        done(std::move(result));
      }
    }
  };
  const auto pending = std::make_shared<Pending>(
      Pending{std::move(serve), std::move(done), {}, from, processes_[from].boots});
  after(from, timeout, [this, pending] { pending->finish(*this, no_answer()); });
  carry(from, to, [this, to, pending] {
    // A closed port answers at once, where nothing is in between.
    if (!processes_[to].up) {
      return carry(to, pending->from, [this, pending] { pending->finish(*this, refused()); });
    }
    Result<Answer> answer = pending->serve();
    if (!pending->answer) pending->answer = std::move(answer);
    carry(to, pending->from, [this, pending] { pending->finish(*this, *pending->answer); });
  });
}

}  // namespace cenote::simulation
