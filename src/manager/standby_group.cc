// ActiveStandby at work: the rule, its store, and callers that wait for a switch.
#include <utility>

#include "base/log.h"
#include "failover/standby_switch.h"
#include "manager/failover_group.h"

namespace cenote {
namespace {

using failover::StandbySwitch;
using Gate = StandbySwitch::Gate;

constexpr Duration kStore = std::chrono::seconds(1);
// Of what this process knows of a shared store: with the time of a call, two processes disagree for
// two seconds at most.
constexpr Duration kRenewal = std::chrono::seconds(1);
// A leader's election passes before writes are held.
constexpr Duration kLost = std::chrono::seconds(5);

class LocalEpochs final : public failover::EpochStore {
 public:
  Result<failover::Record> read(const CallContext& /*context*/, std::string_view group) override {
    const Lock lock(mutex_);
    const auto known = records_.find(group);
    return known == records_.end() ? failover::Record() : known->second;
  }
  Result<failover::Record> decide(const CallContext& /*context*/, std::string_view group,
                                  const failover::Record& wanted) override {
    const Lock lock(mutex_);
    failover::Record& record = records_[std::string(group)];
    if (record.epoch < wanted.epoch) record = wanted;
    return record;
  }

 private:
  Mutex mutex_;
  std::map<std::string, failover::Record, std::less<>> records_ CENOTE_GUARDED_BY(mutex_);
};

StandbySwitch::Options rule_options(const ActiveStandby& strategy, const Epochs& epochs) {
  StandbySwitch::Options options;
  options.threshold = strategy.switch_threshold;
  options.fail_back = strategy.fail_back;
  options.fail_back_after = strategy.fail_back_after;
  options.self = epochs.self;
  return options;
}

std::vector<std::string> names_of(const std::vector<FailoverGroup::Member>& members) {
  std::vector<std::string> names;
  for (const FailoverGroup::Member& member : members) names.push_back(member.name);
  return names;
}

std::string describe(const failover::Sight& sight) {
  using Condition = failover::Sight::Condition;
  switch (sight.condition) {
    case Condition::kUnknown:
      return "unknown";
    case Condition::kWell:
      return sight.writable ? "writable" : "read-only";
    case Condition::kDead:
      return "dead";
    case Condition::kOverloaded:
      return "overloaded";
    case Condition::kUnauthorised:
      return "unauthorised";
  }
  return "unknown";
}

class StandbyGroup final : public FailoverGroup {
 public:
  StandbyGroup(std::vector<Member> members, Options options, const ActiveStandby& strategy,
               Epochs epochs)
      : FailoverGroup(members, std::move(options)),
        epochs_(std::move(epochs)),
        writes_need_store_(epochs_.shared && strategy.without_store == WithoutStore::kHold),
        doubted_(members.size()),
        rule_(names_of(members), rule_options(strategy, epochs_)) {
    if (epochs_.shared) {
      follower_ = std::jthread([this](const std::stop_token& stop) { follow(stop); });
    } else {
      renew({});
    }
    start();
  }
  ~StandbyGroup() override {
    follower_ = std::jthread();
    stop();
  }

  size_t current() const override {
    const Lock lock(mutex_);
    return rule_.active();
  }

  FailoverStatus status() const override {
    const Lock lock(mutex_);
    FailoverStatus status;
    status.id = id();
    status.strategy = "active_standby";
    status.state = !asked_           ? "starting"
                   : rule_.latched() ? "latched"
                                     : std::string(to_string(rule_.state()));
    status.epoch = rule_.epoch();
    status.store = epochs_.where;
    status.store_error = store_error_;
    status.active = members()[rule_.active()].name;
    status.takes_writes = rule_.writes() == Gate::kOpen && rule_.sight(rule_.active()).writable;
    if (rule_.writes() != Gate::kOpen) status.why = rule_.why();
    if (left_by_store()) {
      status.takes_writes = false;
      status.why = without_store();
    }
    for (size_t i = 0; i < members().size(); ++i) {
      status.targets.push_back({members()[i].name, describe(rule_.sight(i)), rule_.sight(i).error});
    }
    tell_history(&status);
    return status;
  }

  Result<std::string> switch_to(std::string_view to, bool dry_run) override {
    if (dry_run) {
      const Lock lock(mutex_);
      ARROW_ASSIGN_OR_RAISE(const size_t target, rule_.could_switch(to));
      return members()[target].name;
    }
    Result<StandbySwitch::Output> out = [&] {
      const Lock lock(mutex_);
      return rule_.ask(to, Clock::now());
    }();
    ARROW_RETURN_NOT_OK(out.status());
    const std::string wanted = out->decide->target;
    perform(std::move(*out), {});
    std::string now = members()[current()].name;
    if (now == wanted) return now;
    return make_error(ErrorKind::kOperational, "pool '" + id() + "': calls still go to '" + now +
                                                   "'; the events of its status say why");
  }

 protected:
  Result<size_t> pick(const RoutedCall& call, const std::vector<bool>& tried, uint64_t seen,
                      Deadline deadline, const std::stop_token& stop, Lock& lock) override
      CENOTE_REQUIRES(mutex_) {
    const bool write = call.need == route::Need::kWrite;
    const auto free = [&]() CENOTE_REQUIRES(mutex_) {
      if (ended_) return true;
      if (!asked_ || (write && left_by_store())) return false;
      const Gate gate = write ? rule_.writes() : rule_.reads();
      if (gate == Gate::kClosed) return true;
      if (gate == Gate::kHeld) return false;
      // What failed there goes there again only when something has changed.
      return !tried[target(write)] || changes_ != seen;
    };
    const bool now = changed_.wait_until(lock, stop, deadline.at(), free);
    const Gate gate = write ? rule_.writes() : rule_.reads();
    if (now && gate == Gate::kOpen) return target(write);
    return refuse(gate, write && left_by_store(), stop);
  }
  void on_sight(size_t member, failover::Sight sight, TimePoint began,
                const std::stop_token& stop) override {
    StandbySwitch::Output out;
    bool well = false;
    {
      const Lock lock(mutex_);
      well = sight.condition == failover::Sight::Condition::kWell && doubted_[member];
      if (well) doubted_[member] = false;
      out = rule_.saw(member, std::move(sight), began, Clock::now());
    }
    // A call failed, and yet the target is well: who waits may try again.
    if (well && out.events.empty()) tell({});
    perform(std::move(out), stop);
  }
  void on_call(size_t member, const Status& status, TimePoint /*begin*/) override {
    if (!counts_against_target(status)) return;
    const Lock lock(mutex_);
    doubted_[member] = true;
  }
  void on_time(const std::stop_token& stop) override {
    StandbySwitch::Output out;
    {
      const Lock lock(mutex_);
      if (Clock::now() < rule_.due()) return;
      out = rule_.tick(Clock::now());
    }
    perform(std::move(out), stop);
  }
  TimePoint due() const override CENOTE_REQUIRES(mutex_) { return rule_.due(); }
  bool in_doubt(size_t member) const override CENOTE_REQUIRES(mutex_) {
    const auto state = rule_.state();
    return (member == rule_.active() && state == StandbySwitch::State::kSuspect) ||
           state == StandbySwitch::State::kConfirm || rule_.writes() == Gate::kClosed;
  }

 private:
  size_t target(bool write) const CENOTE_REQUIRES(mutex_) {
    return write ? rule_.active() : rule_.reader();
  }

  // Whether others may have decided without this process, which then may not write.
  bool left_by_store() const CENOTE_REQUIRES(mutex_) {
    return writes_need_store_ && Clock::now() - confirmed_at_ > kLost;
  }
  std::string without_store() const CENOTE_REQUIRES(mutex_) {
    return epochs_.where + " does not answer, and without_store is hold: " + store_error_;
  }

  Status refuse(Gate gate, bool left, const std::stop_token& stop) const CENOTE_REQUIRES(mutex_) {
    if (stop.stop_requested()) {
      return make_error(ErrorKind::kCancelled, "cancelled while a failover was awaited");
    }
    ErrorDetail detail;
    detail.kind = gate == Gate::kClosed ? ErrorKind::kReadOnly : ErrorKind::kConnection;
    detail.pool = id();
    detail.sent = Sent::kNo;
    const std::string what = gate == Gate::kClosed ? "takes no writes" : "found no target in time";
    const std::string why = left      ? without_store()
                            : !asked_ ? epochs_.where + " was not heard of yet"
                                      : rule_.why();
    return make_error(std::move(detail), "pool '" + id() + "' " + what + ": " + why);
  }

  void follow(const std::stop_token& stop) noexcept {
    while (!stop.stop_requested()) {
      const TimePoint next = Clock::now() + kRenewal;
      renew(stop);
      Lock lock(mutex_);
      renew_.wait_until(lock, stop, next, [] { return false; });
    }
  }

  // What the store holds now; a store that lost what this process knows gets it back.
  void renew(const std::stop_token& stop) {
    const TimePoint began = Clock::now();
    const auto held = epochs_.store->read({Deadline::in(kStore), stop}, id());
    if (stop.stop_requested()) return;
    StandbySwitch::Output out;
    std::optional<failover::Record> lost;
    bool change = false;
    {
      const Lock lock(mutex_);
      asked_ = true;
      change = held.ok() != store_error_.empty();
      store_error_ = held.ok() ? "" : held.status().message();
      if (held.ok()) {
        confirmed_at_ = began;
        if (held->epoch > rule_.epoch()) {
          known_ = *held;
          out = rule_.decided(*held, Clock::now());
        } else if (held->epoch < known_.epoch) {
          lost = known_;
        }
      }
    }
    changed_.notify_all();
    if (change) log_store(held.status());
    perform(std::move(out), stop);
    if (lost) (void)epochs_.store->decide({Deadline::in(kStore), stop}, id(), *lost);
  }

  void log_store(const Status& answer) const {
    log(answer.ok() ? LogLevel::kInfo : LogLevel::kWarning, "failover",
        "pool '" + id() + "': " + epochs_.where +
            (answer.ok() ? " answers again"
                         : " does not answer, so nothing is decided: " + answer.message()));
  }

  // Without the lock: the store may be far, and clearing a pool closes connections.
  void perform(StandbySwitch::Output out, const std::stop_token& stop) {
    for (;;) {
      // Before anybody hears that calls go elsewhere; closing connections may take longer.
      if (out.move) end_calls(out.move->from);
      if (!out.events.empty()) tell(out.events);
      if (out.move) retire(out.move->from);
      if (out.check_others) {
        for (size_t i = 0; i < members().size(); ++i) {
          if (i != current()) check_soon(i);
        }
      }
      if (!out.decide) return;
      const auto stored = epochs_.store->decide({Deadline::in(kStore), stop}, id(), *out.decide);
      const Lock lock(mutex_);
      if (!stored.ok()) {
        out = rule_.undecided(stored.status().message(), Clock::now());
        continue;
      }
      if (stored->epoch > known_.epoch) known_ = *stored;
      out = rule_.decided(*stored, Clock::now());
    }
  }

  const Epochs epochs_;
  const bool writes_need_store_;
  bool asked_ CENOTE_GUARDED_BY(mutex_) = false;  // the store, or it did not answer
  TimePoint confirmed_at_ CENOTE_GUARDED_BY(mutex_) = TimePoint() - std::chrono::hours(1);
  std::string store_error_ CENOTE_GUARDED_BY(mutex_);
  failover::Record known_ CENOTE_GUARDED_BY(mutex_);
  std::condition_variable_any renew_;
  std::vector<bool> doubted_ CENOTE_GUARDED_BY(mutex_);
  StandbySwitch rule_ CENOTE_GUARDED_BY(mutex_);
  std::jthread follower_;
};

}  // namespace

std::shared_ptr<failover::EpochStore> local_epochs() {
  return std::make_shared<LocalEpochs>();
}

std::shared_ptr<FailoverGroup> standby_group(std::vector<FailoverGroup::Member> members,
                                             FailoverGroup::Options options,
                                             const ActiveStandby& strategy, Epochs epochs) {
  options.hold = strategy.hold;
  options.hurried = std::min<Duration>(options.hurried, strategy.switch_threshold / 4);
  return std::make_shared<StandbyGroup>(std::move(members), std::move(options), strategy,
                                        std::move(epochs));
}

}  // namespace cenote
