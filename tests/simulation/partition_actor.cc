// Probes and steps, and whether the verdicts are true.
#include "simulation/partition_actor.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace cenote::simulation {
namespace {

using partition::Event;
using partition::Probe;
using partition::Round;
using partition::State;
using partition::Step;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kProbe = milliseconds(500);
constexpr Duration kStep = milliseconds(300);
// Alone for so long, a process must serve by itself: 4.5 s are promised, and a round may be under
// way when the cut comes.
constexpr Duration kLocal = milliseconds(6500);
// What a verdict may rest on is not older than this.
constexpr Duration kMemory = seconds(12);
constexpr Duration kLook = milliseconds(200);
// Shorter than in life, so that a view grows too old within a world.
constexpr Duration kTtl = seconds(8);
// Whoever was out of reach for so long has missed two probes of a process in local mode; and where
// some are silent and the store too, that process is in local mode, by whichever two it probes.
constexpr Duration kNoticed = seconds(7);
constexpr Duration kSurelyLocal = seconds(12);

// Counts down the answers of one round.
struct Waiting {
  Round round;
  partition::Answers answers;
  size_t left = 0;
};

}  // namespace

PartitionActor::PartitionActor(World& world, KvStore& store, ProcessId process, std::string self,
                               StoreWatcher& watcher, Peers peers)
    : world_(world),
      store_(store),
      process_(process),
      self_(std::move(self)),
      watcher_(watcher),
      peers_(std::move(peers)),
      strategy_(static_cast<RecoveryStrategy>(world.random().below(3))) {}

void PartitionActor::boot() {
  Handler::Options options;
  options.partition.recovery_strategy = strategy_;
  options.partition.local_cache_ttl = kTtl;
  options.seed = world_.random().bits();
  rule_.emplace(options, now());
  trouble_at_ = world_.now();
  isolated_since_.reset();
  silent_since_.clear();
  plan_.reset();
  tick();
  look_around();
}

void PartitionActor::arm() {
  const uint64_t armed = ++armed_;
  const Duration wait = std::max<Duration>(rule_->due() - now(), milliseconds(1));
  world_.after(process_, wait, [this, armed] {
    if (armed == armed_) tick();
  });
}

void PartitionActor::tick() {
  std::set<std::string, std::less<>> peers;
  for (const auto& [id, node] : watcher_.view().view().nodes()) {
    if (id != self_ && node.state != cluster::NodeState::kDead) peers.insert(id);
  }
  rule_->set_peers(peers);
  perform(rule_->tick(now()));
}

void PartitionActor::perform(const Handler::Output& out) {
  for (const Event& event : out.events) heard(event);
  if (out.probe) probe(*out.probe);
  if (!out.ask.empty()) ask(out.ask);
  if (out.step) take(*out.step);
  if (out.switch_to_local) {
    Handler::Output local;
    if (rule_->handle_partition(now(), &local) == FallbackAction::kSwitchToLocalMode) {
      world_.checks().hit(Sometimes::kLocalMode);
    }
    perform(local);
  }
  std::map<std::string, bool, std::less<>> reached;
  for (const auto& [id, node] : watcher_.view().view().nodes()) {
    const std::optional<bool> answers = rule_->reached(id);
    if (answers) reached.emplace(id, *answers);
  }
  plan_ = partition::plan_of(*rule_, reached, kTtl, now());
  arm();
}

void PartitionActor::probe(const Probe& wanted) {
  const auto waiting = std::make_shared<Waiting>();
  waiting->round.number = wanted.round;
  waiting->round.began = now();
  waiting->left = wanted.peers.size() + (wanted.source ? 1 : 0);
  if (wanted.database) waiting->round.database = true;
  const auto one_less = [this, waiting] {
    if (--waiting->left != 0) return;
    if (waiting->round.source == false && world_.has(Bug::kStoreLostIsPartition)) {
      for (auto& [id, reached] : waiting->round.peers) reached = false;
    }
    perform(rule_->probed(waiting->round, now()));
  };
  if (wanted.source) {
    store_.ask<bool>(
        process_, [] { return true; },
        [waiting, one_less](const Result<bool>& answer) {
          waiting->round.source = answer.ok();
          one_less();
        },
        kProbe);
  }
  for (const std::string& id : wanted.peers) {
    world_.call<bool>(
        process_, peers_.process_of(id), kProbe, []() -> Result<bool> { return true; },
        [waiting, one_less, id](const Result<bool>& answer) {
          // A refused connection is an answer: the network carried it.
          waiting->round.peers[id] = answer.ok() || is_refused(answer.status());
          one_less();
        });
  }
}

void PartitionActor::ask(const std::vector<std::string>& peers) {
  const auto waiting = std::make_shared<Waiting>();
  waiting->left = peers.size();
  for (const std::string& id : peers) {
    world_.call<partition::Told>(
        process_, peers_.process_of(id), kProbe,
        [this, id]() -> Result<partition::Told> { return peers_.told_by(id); },
        [this, waiting, id](const Result<partition::Told>& told) {
          if (told.ok()) waiting->answers[id] = *told;
          if (--waiting->left == 0) perform(rule_->asked(waiting->answers, now()));
        });
  }
}

bool PartitionActor::confirmed() const {
  const std::optional<Duration> age = watcher_.view().view().age(now());
  return age && now() - *age >= rule_->heard_since();
}

// Tried until it works, or until there is no way back any more.
void PartitionActor::take(Step step) {
  if (rule_->state() != State::kRecovering || rule_->step() != step) return;
  store_.ask<bool>(
      process_, [] { return true; },
      [this, step](const Result<bool>& answer) {
        if (answer.ok() && (step != Step::kList || confirmed())) {
          return perform(rule_->recovered(step, now()));
        }
        world_.after(process_, kStep, [this, step] { take(step); });
      });
}

void PartitionActor::heard(const Event& event) {
  if (world_.tracing()) {
    world_.trace(world_.name(process_), "is " + std::string(to_string(event.to)) + " (" +
                                            std::string(to_string(event.cause)) +
                                            "): " + event.reason);
  }
  if (event.from == event.to) return;
  if (event.to == State::kConnected && event.from == State::kRecovering) {
    world_.checks().hit(Sometimes::kCameBack);
  }
  if (event.to != State::kPartitioned) return;
  world_.checks().hit(Sometimes::kCutOff);
  if (world_.now() - trouble_at_ > kMemory) {
    world_.checks().fail(world_.name(process_) + " takes itself for cut off, though every peer " +
                         "was in reach: " + event.reason);
  }
}

bool PartitionActor::in_reach(ProcessId other) const {
  const bool silent = world_.is_up(other) && world_.is_paused(other);
  return world_.linked(process_, other) && !silent;
}

// The truth, as nobody in the world can see it.
void PartitionActor::look_around() {
  world_.after(process_, kLook, [this] { look_around(); });
  note_reach();
  const Weather& weather = world_.weather();
  bool all = weather.loss == 0 && weather.most < kProbe / 4;
  bool any = world_.linked(process_, store_.process());
  size_t peers = 0;
  for (const auto& [id, node] : watcher_.view().view().nodes()) {
    if (id == self_) continue;
    const ProcessId peer = peers_.process_of(id);
    peers += node.state != cluster::NodeState::kDead ? 1 : 0;
    all = all && in_reach(peer);
    any = any || world_.linked(process_, peer);
  }
  // Its own stand-still counts like a peer's: probes were under way.
  const bool steady = world_.now() - world_.changed_at(process_) > seconds(1);
  if (!all || !steady) trouble_at_ = world_.now();
  if (any || peers == 0 || !steady) {
    isolated_since_.reset();
    return;
  }
  if (!isolated_since_) isolated_since_ = world_.now();
  if (world_.now() - *isolated_since_ <= kLocal || rule_->local()) return;
  world_.checks().fail(world_.name(process_) + " has been alone for " +
                       std::to_string((world_.now() - *isolated_since_) / milliseconds(1)) +
                       " ms and is " + std::string(to_string(rule_->state())));
}

void PartitionActor::note_reach() {
  const auto note = [this](const std::string& whom, bool reached) {
    if (reached) {
      silent_since_.erase(whom);
    } else {
      silent_since_.try_emplace(whom, world_.now());
    }
  };
  const ProcessId store = store_.process();
  note("", world_.linked(process_, store) && world_.runs(store) && !store_.is_slow());
  for (const auto& [id, node] : watcher_.view().view().nodes()) {
    if (id != self_) note(id, in_reach(peers_.process_of(id)));
  }
}

Duration PartitionActor::silent(const std::string& node) const {
  const auto found = silent_since_.find(node);
  if (found == silent_since_.end()) return Duration::zero();
  return world_.now() - std::max(found->second, world_.changed_at(process_));
}

void PartitionActor::check_call(const std::string& node, bool write) const {
  if (!rule_->local()) return;
  if (silent(node) > kNoticed) {
    world_.checks().fail(world_.name(process_) + " is in local mode and calls " + node +
                         ", which has been out of its reach for " +
                         std::to_string(silent(node) / milliseconds(1)) + " ms");
  }
  if (silent("") > (write ? 1 : 4) * kTtl + seconds(1)) {
    world_.checks().fail(world_.name(process_) + (write ? " writes" : " reads") +
                         " by a view that nobody has confirmed for " +
                         std::to_string(silent("") / milliseconds(1)) + " ms");
  }
}

void PartitionActor::check_answer(bool stale) const {
  if (stale) return world_.checks().hit(Sometimes::kStaleAnswer);
  if (silent("") <= kSurelyLocal) return;
  for (const auto& [id, node] : watcher_.view().view().nodes()) {
    if (id == self_ || node.state == cluster::NodeState::kDead) continue;
    if (silent(id) <= kSurelyLocal) continue;
    world_.checks().fail(world_.name(process_) + " takes an answer for fresh, though neither " +
                         id + " nor the store has been in reach for long");
  }
}

std::string PartitionActor::unrest() {
  if (rule_->waits_for_word() && rule_->recover()) world_.checks().hit(Sometimes::kWordGiven);
  if (rule_->state() == State::kConnected) return "";
  return world_.name(process_) + " is " + std::string(to_string(rule_->state())) + ": " +
         rule_->reason();
}

}  // namespace cenote::simulation
