// Processes that each choose between two databases by the real StandbySwitch, and agree by a record
// in the store. Thin and our own, with the rules of manager/standby_group.cc: checks twice a
// second, a look at the record each second, calls held while a switch is near.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "discovery/epochs.h"
#include "failover/standby_switch.h"
#include "simulation/databases.h"
#include "simulation/scenario.h"
#include "simulation/sharer.h"

namespace cenote::simulation {
namespace {

using failover::Event;
using failover::Record;
using failover::Sight;
using failover::StandbySwitch;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kCheck = milliseconds(500);
constexpr Duration kCheckDeadline = seconds(1);
constexpr Duration kRenewal = seconds(1);
// A look at the record, its answer's deadline, and what is under way.
constexpr Duration kDisagreement = kRenewal + seconds(1) + milliseconds(500);
constexpr const char* kKey = "epoch/main_db";

class Chooser {
 public:
  Chooser(World& world, KvStore& store, Databases& databases, const std::string& name,
          StandbySwitch::Options options)
      : world_(world),
        store_(store),
        databases_(databases),
        options_(std::move(options)),
        process_(world.add(name, [this] { boot(); })) {}

  ProcessId process() const { return process_; }
  const StandbySwitch& rule() const { return *rule_; }
  void judge_by(const Nemesis* nemesis) { nemesis_ = nemesis; }

  // An operator's wish, where only an operator may switch.
  void ask() {
    if (!world_.runs(process_)) return;
    Result<StandbySwitch::Output> out = rule_->ask("", now());
    if (out.ok()) perform(std::move(*out), false);
  }

 private:
  void boot() {
    rule_.emplace(std::vector<std::string>{databases_.name(0), databases_.name(1)}, options_);
    epoch_ = 0;
    known_ = Record();
    writable_seen_ = false;
    for (size_t i = 0; i < Databases::kCount; ++i) check(i, ++rounds_.at(i));
    read();
    pass_time();
    write();
  }
  TimePoint now() const { return world_.clock(process_); }

  // One check at a time; the next follows the end of the one before.
  void check(size_t target, uint64_t round) {
    if (round != rounds_.at(target)) return;
    const TimePoint began = now();
    world_.call<Sight>(
        process_, databases_.process(target), kCheckDeadline,
        [this, target]() -> Result<Sight> { return databases_.look(target); },
        [this, target, round, began](const Result<Sight>& answer) {
          Sight sight;
          if (answer.ok()) {
            sight = *answer;
          } else {
            sight.condition = Sight::Condition::kDead;
            sight.error = answer.status().message();
          }
          const bool busy = sight.condition == Sight::Condition::kOverloaded;
          if (busy && world_.has(Bug::kOverloadIsDeath)) {
            sight.condition = Sight::Condition::kDead;
          }
          const bool well = sight.condition == Sight::Condition::kWell;
          writable_seen_ = writable_seen_ || (well && sight.writable);
          perform(rule_->saw(target, std::move(sight), began, now()), false);
          const bool doubt = rule_->state() == StandbySwitch::State::kSuspect ||
                             rule_->state() == StandbySwitch::State::kConfirm;
          const Duration pause = doubt ? std::min(kCheck, options_.threshold / 4) : kCheck;
          world_.after(process_, pause, [this, target, round] { check(target, round); });
        });
  }

  void pass_time() {
    world_.after(process_, milliseconds(100), [this] { pass_time(); });
    if (now() >= rule_->due()) perform(rule_->tick(now()), false);
  }

  void read() {
    world_.after(process_, kRenewal, [this] { read(); });
    if (world_.has(Bug::kStoreNotRead)) return;
    store_.ask<Record>(
        process_, [this] { return stored(); },
        [this](const Result<Record>& record) {
          if (!record.ok()) return;
          if (record->epoch < rule_->epoch() && known_.epoch == rule_->epoch()) {
            return decide(known_);  // the store has lost it
          }
          note(*record);
          perform(rule_->decided(*record, now()), true);
        });
  }
  Record stored() {
    const auto item = store_.get(kKey);
    return item ? discovery::record_from(item->value).ValueOr(Record()) : Record();
  }
  void note(const Record& record) {
    if (record.epoch > known_.epoch) known_ = record;
  }

  void decide(const Record& wanted) {
    store_.ask<std::optional<Record>>(
        process_,
        [this, wanted]() -> std::optional<Record> {
          const auto item = store_.get(kKey);
          const Record before =
              item ? discovery::record_from(item->value).ValueOr(Record()) : Record();
          const bool compares = !world_.has(Bug::kEpochNotCompared);
          if (compares && before.epoch >= wanted.epoch) return before;
          KvStore::Write write;
          if (compares) write.conditions = {{kKey, item ? item->version : 0}};
          write.puts = {{kKey, discovery::record_text(wanted), 0}};
          if (store_.commit(write).outcome != KvStore::Outcome::kWritten) return std::nullopt;
          return wanted;
        },
        [this](const Result<std::optional<Record>>& record) {
          if (!record.ok() || !*record) {
            return perform(rule_->undecided("it did not take it", now()), true);
          }
          note(**record);
          const bool lost =
              rule_->state() == StandbySwitch::State::kSwitching && (*record)->by != options_.self;
          if (lost) world_.checks().hit(Sometimes::kLostDecision);
          perform(rule_->decided(**record, now()), true);
        });
  }

  void perform(StandbySwitch::Output out, bool from_store) {
    for (const Event& event : out.events) tell(event);
    if (rule_->epoch() < epoch_) {
      world_.checks().fail(world_.name(process_) + "'s epoch went back from " +
                           std::to_string(epoch_) + " to " + std::to_string(rule_->epoch()));
    }
    epoch_ = rule_->epoch();
    if (out.check_others) {
      for (size_t i = 0; i < Databases::kCount; ++i) {
        if (i != rule_->active()) check(i, ++rounds_.at(i));
      }
    }
    if (!out.decide) return;
    if (!from_store) judge(*out.decide);
    decide(*out.decide);
  }

  // A database that has served as the primary all along, however busy, is not left.
  void judge(const Record& wanted) const {
    if (options_.fail_back == FailBack::kAutomatic && wanted.target == databases_.name(0)) return;
    const Duration past = options_.threshold + seconds(4);
    const size_t active = rule_->active();
    if (nemesis_ == nullptr || !nemesis_->calm_for(past)) return;
    if (world_.now() - world_.changed_at(process_) < past) return;
    if (!databases_.steady_for(active, past) || !rule_->sight(active).writable) return;
    world_.checks().fail(world_.name(process_) + " leaves " + databases_.name(active) +
                         ", which has been up as the primary all along: " + wanted.reason);
  }

  void tell(const Event& event) {
    if (world_.tracing()) {
      world_.trace(world_.name(process_), "says " + std::string(to_string(event.kind)) + " " +
                                              event.from + " " + event.to + ": " + event.reason);
    }
    static const std::map<Event::Kind, Sometimes> kSeen = {
        {Event::Kind::kSwitched, Sometimes::kSwitched},
        {Event::Kind::kFollowed, Sometimes::kFollowed},
        {Event::Kind::kUndecided, Sometimes::kUndecided},
        {Event::Kind::kTwoPrimaries, Sometimes::kTwoPrimaries},
        {Event::Kind::kLatched, Sometimes::kLatched}};
    const auto seen = kSeen.find(event.kind);
    if (seen != kSeen.end()) world_.checks().hit(seen->second);
    const bool back = event.kind == Event::Kind::kSwitched && event.to == databases_.name(0) &&
                      event.reason.find("preferred") != std::string::npos;
    if (back) world_.checks().hit(Sometimes::kFailedBack);
  }

  void write() {
    world_.after(process_, world_.random().between(milliseconds(100), milliseconds(400)),
                 [this] { write(); });
    if (rule_->writes() != StandbySwitch::Gate::kOpen && !world_.has(Bug::kWritesWhereverActive)) {
      return world_.checks().hit(Sometimes::kHeldWrite);
    }
    if (!writable_seen_) return;
    const size_t active = rule_->active();
    const Sight& sight = rule_->sight(active);
    const auto is_primary = [](const Sight& each) {
      return each.condition == Sight::Condition::kWell && each.primary && each.writable;
    };
    const std::string who = world_.name(process_) + " writes to " + databases_.name(active);
    if (sight.condition == Sight::Condition::kWell && !sight.writable) {
      world_.checks().fail(who + ", which its last check saw as a replica");
    }
    if (is_primary(rule_->sight(0)) && is_primary(rule_->sight(1))) {
      world_.checks().fail(who + ", though both take writes");
    }
  }

  World& world_;
  KvStore& store_;
  Databases& databases_;
  const StandbySwitch::Options options_;
  const ProcessId process_;
  const Nemesis* nemesis_ = nullptr;
  std::optional<StandbySwitch> rule_;
  std::array<uint64_t, Databases::kCount> rounds_{};
  uint64_t epoch_ = 0;
  Record known_;  // of the newest epoch that the store told
  bool writable_seen_ = false;
};

class Standby final : public Scenario {
 public:
  explicit Standby(World& world) : world_(world), store_(world), databases_(world) {
    store_.on_write = [this](const KvStore::Write& write) { check(write); };
    Random& random = world.random();
    StandbySwitch::Options options;
    options.threshold = random.between(seconds(1), seconds(5));
    options.fail_back = random.chance(0.5) ? FailBack::kAutomatic : FailBack::kManual;
    options.fail_back_after = random.between(seconds(3), seconds(15));
    options.dwell = random.between(seconds(5), seconds(20));
    options.most_switches = random.chance(0.5) ? 3 : 100;
    const size_t count = random.between(2, 5);
    for (size_t i = 1; i <= count; ++i) {
      options.self = "p" + std::to_string(i);
      choosers_.push_back(
          std::make_unique<Chooser>(world, store_, databases_, options.self, options));
    }
    std::vector<ProcessId> members;
    for (const char* member : {"m1", "m2", "m3", "m4", "m5"}) {
      members.push_back(world.add(member, [] {}));
    }
    members.resize(random.between(2, members.size()));
    sharer_ = std::make_unique<Sharer>(world, "s", members,
                                       static_cast<LoadBalanceAlgorithm>(random.below(5)));
    Nemesis::Targets targets;
    targets.control = {store_.process()};
    targets.nodes = members;
    for (size_t i = 0; i < Databases::kCount; ++i) targets.nodes.push_back(databases_.process(i));
    for (const auto& each : choosers_) targets.others.push_back(each->process());
    nemesis_ = std::make_unique<Nemesis>(world, store_, targets);
    for (const auto& each : choosers_) each->judge_by(nemesis_.get());
    differ_since_.assign(count * count, TimePoint::max());
  }

  void begin() override {
    for (ProcessId id = 0; id < world_.size(); ++id) world_.start(id);
    databases_.begin();
    compare();
  }
  Nemesis& nemesis() override { return *nemesis_; }
  void quieten() override { databases_.settle(); }

  std::string unrest() override {
    const StandbySwitch& first = choosers_.front()->rule();
    for (const auto& each : choosers_) {
      const StandbySwitch& rule = each->rule();
      const std::string who = world_.name(each->process());
      const bool wrong = !databases_.is_primary(rule.active());
      if (rule.latched() && wrong) each->ask();
      if (rule.epoch() != first.epoch() || rule.active() != first.active()) {
        return who + " does not agree with the first";
      }
      if (wrong) return who + " has chosen " + databases_.name(rule.active()) + ", a replica";
      if (rule.writes() != StandbySwitch::Gate::kOpen) return who + " holds writes: " + rule.why();
    }
    return sharer_->unrest();
  }

 private:
  void check(const KvStore::Write& write) {
    for (const KvStore::Put& put : write.puts) {
      if (put.key != kKey) continue;
      const Record record = discovery::record_from(put.value).ValueOr(Record());
      if (world_.tracing()) world_.trace("store", "decides " + put.value);
      if (wipes_ != store_.wipes()) {
        wipes_ = store_.wipes();
        decided_.clear();
      }
      if (!decided_.empty() && record.epoch <= decided_.rbegin()->first) {
        const Record& before = decided_.rbegin()->second;
        world_.checks().fail("epoch " + std::to_string(record.epoch) + " for " + record.target +
                             " by " + record.by + " came after epoch " +
                             std::to_string(before.epoch) + " for " + before.target + " by " +
                             before.by);
      }
      decided_[record.epoch] = record;
    }
  }

  // Two processes never differ for longer than a renewal while the store answers.
  void compare() {
    world_.later(milliseconds(100), [this] { compare(); });
    const size_t count = choosers_.size();
    for (size_t i = 0; i < count; ++i) {
      for (size_t j = i + 1; j < count; ++j) {
        const Chooser& one = *choosers_[i];
        const Chooser& two = *choosers_[j];
        TimePoint& since = differ_since_[i * count + j];
        const bool both = world_.runs(one.process()) && world_.runs(two.process());
        if (!both || one.rule().active() == two.rule().active()) {
          since = TimePoint::max();
          continue;
        }
        since = std::min(since, world_.now());
        if (world_.now() - since <= kDisagreement) continue;
        if (!nemesis_->calm_for(kDisagreement + seconds(1))) continue;
        world_.checks().fail(world_.name(one.process()) + " and " + world_.name(two.process()) +
                             " have differed for longer than a renewal");
      }
    }
  }

  World& world_;
  KvStore store_;
  Databases databases_;
  std::vector<std::unique_ptr<Chooser>> choosers_;
  std::unique_ptr<Sharer> sharer_;
  std::unique_ptr<Nemesis> nemesis_;
  std::vector<TimePoint> differ_since_;
  std::map<uint64_t, Record> decided_;
  uint64_t wipes_ = 0;
};

}  // namespace

std::unique_ptr<Scenario> standby(World& world) {
  return std::make_unique<Standby>(world);
}

}  // namespace cenote::simulation
