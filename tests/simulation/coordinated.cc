// The coordinated mode: a pair of coordinators over a store, nodes, clients, operators.
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "simulation/caller.h"
#include "simulation/config_truth.h"
#include "simulation/coordinated_node.h"
#include "simulation/coordinator_actor.h"
#include "simulation/scenario.h"

namespace cenote::simulation {
namespace {

using cluster::View;
using coordinator::PoolCoordinator;
using coordinator::Refusal;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kCall = seconds(1);
constexpr Duration kSilence = seconds(12);

Status not_leading() {
  return make_error(ErrorKind::kNotSupported, "another coordinator leads");
}

// A client: the real view over lists and a stream. The loop is that of discovery/coordinator.cc.
class Client {
 public:
  Client(World& world, std::vector<CoordinatorActor*> coordinators, const std::string& name,
         std::function<ProcessId(const std::string&)> process_of)
      : world_(world),
        coordinators_(std::move(coordinators)),
        process_of_(std::move(process_of)),
        process_(world.add(name, [this] { boot(); })),
        view_(world, name),
        caller_(world, Caller::Options(), process_, view_, process_of_,
                [this](const std::string& node) { tell_refused(node); }) {}

  ProcessId process() const { return process_; }
  CheckedView& view() { return view_; }
  Caller& caller() { return caller_; }

 private:
  void boot() {
    view_.forget();
    at_ = world_.random().below(coordinators_.size());
    caller_.boot();
    list();
    look_out();
  }
  CoordinatorActor& coordinator() { return *coordinators_[at_ % coordinators_.size()]; }
  TimePoint now() const { return world_.clock(process_); }

  void again() {
    const uint64_t generation = ++generation_;
    world_.after(process_, world_.random().between(milliseconds(50), milliseconds(1000)),
                 [this, generation] {
                   if (generation == generation_) list();
                 });
  }

  void list() {
    const uint64_t generation = ++generation_;
    CoordinatorActor& from = coordinator();
    world_.call<cluster::Snapshot>(
        process_, from.process(), kCall,
        [this, &from]() -> Result<cluster::Snapshot> {
          PoolCoordinator* leading = from.leading();
          if (leading != nullptr) return leading->nodes();
          const bool zombie = from.last_known() && world_.random().chance(0.3);
          return zombie ? Result<cluster::Snapshot>(*from.last_known()) : not_leading();
        },
        [this, generation](const Result<cluster::Snapshot>& snapshot) {
          if (generation != generation_) return;
          if (!snapshot.ok()) {
            ++at_;
            return again();
          }
          heard_at_ = now();
          if (view_.list(now(), *snapshot) == View::Next::kList) return again();
          watch(snapshot->revision);
        });
  }

  void watch(uint64_t revision) {
    const uint64_t generation = ++generation_;
    CoordinatorActor& from = coordinator();
    world_.call<bool>(
        process_, from.process(), kCall,
        [this, &from, revision, generation]() -> Result<bool> {
          if (from.leading() == nullptr) return not_leading();
          return from.watch(process_, revision, [this, generation](const WatchEvent& event) {
            if (generation == generation_) take(event);
          });
        },
        [this, generation](const Result<bool>& begun) {
          if (generation == generation_ && (!begun.ok() || !*begun)) again();
        });
  }

  void take(const WatchEvent& event) {
    if (event.term == 0) return again();  // the stream ended
    heard_at_ = now();
    const View::Next next = event.change ? view_.change(now(), event.term, *event.change)
                                         : view_.bookmark(now(), event.term, event.revision);
    if (next == View::Next::kGoOn) return;
    world_.checks().hit(Sometimes::kRelisted);
    again();
  }

  // A stream that says nothing is dead.
  void look_out() {
    world_.after(process_, seconds(1), [this] { look_out(); });
    if (now() - heard_at_ < kSilence) return;
    heard_at_ = now();
    ++at_;
    again();
  }

  // The coordinator tries for itself before it believes.
  void tell_refused(const std::string& node) {
    CoordinatorActor& to = coordinator();
    world_.send(process_, to.process(), [this, &to, node] {
      PoolCoordinator* leading = to.leading();
      if (leading == nullptr) return;
      const Result<std::string> location = leading->location_of(node);
      if (!location.ok()) return;
      world_.call<bool>(
          to.process(), process_of_(node), kCall, []() -> Result<bool> { return true; },
          [this, &to, node, location = *location](const Result<bool>& answer) {
            PoolCoordinator* still = to.leading();
            if (still == nullptr || answer.ok() || !is_refused(answer.status())) return;
            if (still->refused(node, location).ok()) {
              world_.checks().hit(Sometimes::kRefusedIsDead);
            }
            to.flush();
          });
    });
  }

  World& world_;
  const std::vector<CoordinatorActor*> coordinators_;
  const std::function<ProcessId(const std::string&)> process_of_;
  const ProcessId process_;
  CheckedView view_;
  Caller caller_;
  size_t at_ = 0;
  uint64_t generation_ = 0;
  TimePoint heard_at_;
};

// Writes configurations, good ones and bad ones, and asks again where it does not know what became
// of one.
class Operator {
 public:
  Operator(World& world, std::vector<CoordinatorActor*> coordinators, KvStore& store,
           ConfigTruth& truth, const std::string& name)
      : world_(world),
        coordinators_(std::move(coordinators)),
        store_(store),
        truth_(truth),
        process_(world.add(name, [this] { boot(); })) {}

  ProcessId process() const { return process_; }
  void stop() { stopped_ = true; }

 private:
  static constexpr int kMostAttempts = 8;

  void boot() { next(); }
  void next() {
    const std::optional<Duration> pause = truth_.pause(world_.name(process_) == "o1");
    if (!pause) return;
    world_.after(process_, *pause, [this] {
      if (stopped_ || truth_.is_left()) return;
      const char* kind = world_.random().chance(0.3) ? "bad " : "good ";
      change_ = kind + world_.name(process_) + "-" + std::to_string(++count_);
      attempts_ = 0;
      attempt();
    });
  }
  void retry() {
    world_.after(process_, world_.random().between(milliseconds(200), milliseconds(1500)),
                 [this] { attempt(); });
  }
  CoordinatorActor& coordinator() { return *coordinators_[at_ % coordinators_.size()]; }

  void attempt() {
    if (stopped_ || ++attempts_ > kMostAttempts) return next();
    CoordinatorActor& to = coordinator();
    const bool known = truth_.version_of(change_) != 0;
    coordinator::Change change;
    change.actor.who = world_.name(process_);
    if (!world_.has(Bug::kNoIdempotency)) change.idempotency_key = change_;
    change.body_hash = change_;
    world_.call<uint64_t>(
        process_, to.process(), kCall,
        [&to, change, seen = seen_, content = change_]() -> Result<uint64_t> {
          PoolCoordinator* leading = to.leading();
          if (leading == nullptr) return not_leading();
          const Result<Json> answer = leading->put_config("default", content, seen, change);
          to.flush();
          ARROW_RETURN_NOT_OK(answer.status());
          return answer->at("version").get<uint64_t>();
        },
        [this, known, wipes = store_.wipes()](const Result<uint64_t>& version) {
          if (version.ok()) {
            if (wipes == store_.wipes()) truth_.acknowledged(*version, change_);
            if (known) world_.checks().hit(Sometimes::kRepeatedAnswer);
            seen_ = std::max(seen_, *version);
            return next();
          }
          if (coordinator::refusal_of(version.status()) == Refusal::kStale) {
            world_.checks().hit(Sometimes::kStaleWriter);
            return look();
          }
          ++at_;
          retry();
        });
  }

  // Which version is the newest.
  void look() {
    CoordinatorActor& from = coordinator();
    world_.call<uint64_t>(
        process_, from.process(), kCall,
        [&from]() -> Result<uint64_t> {
          PoolCoordinator* leading = from.leading();
          if (leading == nullptr) return not_leading();
          const Result<Json> entry = leading->config("default", 0);
          if (coordinator::refusal_of(entry.status()) == Refusal::kNotFound) return 0;
          ARROW_RETURN_NOT_OK(entry.status());
          return entry->at("version").get<uint64_t>();
        },
        [this](const Result<uint64_t>& newest) {
          if (newest.ok()) seen_ = *newest;
          retry();
        });
  }

  World& world_;
  const std::vector<CoordinatorActor*> coordinators_;
  KvStore& store_;
  ConfigTruth& truth_;
  const ProcessId process_;
  bool stopped_ = false;
  size_t at_ = 0;
  uint64_t count_ = 0;
  std::string change_;
  int attempts_ = 0;
  uint64_t seen_ = 0;
};

class Coordinated final : public Scenario {
 public:
  explicit Coordinated(World& world) : world_(world), store_(world), truth_(world, store_) {
    store_.on_write = [this](const KvStore::Write& write) { check(write); };
    for (const char* name : {"c1", "c2"}) {
      coordinators_.push_back(std::make_unique<CoordinatorActor>(world, store_, name));
    }
    std::vector<CoordinatorActor*> all;
    for (const auto& each : coordinators_) all.push_back(each.get());
    const size_t count = world.random().between(2, 6);
    for (size_t i = 1; i <= count; ++i) {
      nodes_.push_back(
          std::make_unique<CoordinatedNode>(world, all, store_, truth_, "n" + std::to_string(i)));
    }
    const auto process_of = [this](const std::string& id) { return find(id)->process(); };
    for (const char* name : {"k1", "k2"}) {
      clients_.push_back(std::make_unique<Client>(world, all, name, process_of));
    }
    for (const char* name : {"o1", "o2"}) {
      operators_.push_back(std::make_unique<Operator>(world, all, store_, truth_, name));
    }
    nemesis_ = std::make_unique<Nemesis>(world, store_, targets());
    for (const auto& each : clients_) each->caller().judge_by(nemesis_.get());
  }

  void begin() override {
    for (ProcessId id = 0; id < world_.size(); ++id) world_.start(id);
    watch_over();
  }
  Nemesis& nemesis() override { return *nemesis_; }
  void quieten() override {
    for (const auto& each : operators_) each->stop();
  }

  std::string unrest() override {
    PoolCoordinator* leading = nullptr;
    for (const auto& each : coordinators_) {
      PoolCoordinator* one = each->leading();
      if (one != nullptr && leading != nullptr) return "two coordinators lead";
      if (one != nullptr) leading = one;
    }
    if (leading == nullptr) return "no coordinator leads";
    for (const auto& each : clients_) {
      if (!each->view().all_up(nodes_.size())) {
        return world_.name(each->process()) + " does not see all nodes up; " +
               each->view().view().alarm();
      }
    }
    return unrest_of_config(*leading);
  }

 private:
  Nemesis::Targets targets() const {
    Nemesis::Targets targets;
    targets.control = {store_.process()};
    for (const auto& each : coordinators_) targets.control.push_back(each->process());
    for (const auto& each : nodes_) targets.nodes.push_back(each->process());
    for (const auto& each : clients_) targets.others.push_back(each->process());
    return targets;
  }
  const CoordinatedNode* find(const std::string& id) const {
    for (const auto& each : nodes_) {
      if (each->id() == id) return each.get();
    }
    return nullptr;
  }

  // Everything that is written passes here, before it is done.
  void check(const KvStore::Write& write) {
    constexpr std::string_view kVersions = "c/data/config/default/";
    if (write.term != 0 && write.term < newest_term_) {
      world_.checks().fail("a write of term " + std::to_string(write.term) +
                           " was accepted, but term " + std::to_string(newest_term_) +
                           " was won already");
    }
    for (const KvStore::Put& put : write.puts) {
      if (put.key == kLeaderKey) elected(*coordinator::leader_from(put.value));
      if (!put.key.starts_with(kVersions)) continue;
      const Result<Json> entry = parse_json(put.value);
      const auto action = entry->at("action").get<std::string>();
      const auto content = entry->at("content").get<std::string>();
      if (action == "config.auto_rollback") world_.checks().hit(Sometimes::kRolledBack);
      truth_.written(entry->at("version").get<uint64_t>(), content,
                     action == "config.put" ? content : "");
    }
    for (const std::string& key : write.deletes) {
      if (key.starts_with(kVersions)) world_.checks().fail(key + " was deleted");
      if (key.starts_with("c/data/rollout/")) world_.checks().hit(Sometimes::kRolledOut);
    }
  }

  // Terms only grow, and who led before has given up by its own clock, unless the store's own went
  // faster.
  void elected(const coordinator::Leader& leader) {
    if (term_wipes_ != store_.wipes()) newest_term_ = 0;
    term_wipes_ = store_.wipes();
    if (leader.term <= newest_term_) {
      world_.checks().fail("term " + std::to_string(leader.term) + " was won after term " +
                           std::to_string(newest_term_));
    }
    newest_term_ = leader.term;
    const bool steady = world_.now() - world_.changed_at(store_.process()) > seconds(4) &&
                        (store_.wipes() == 0 || world_.now() - store_.wiped_at() > seconds(4));
    if (!steady) return;
    for (const auto& each : coordinators_) {
      const std::string& name = world_.name(each->process());
      if (name == leader.url || !each->holds()) continue;
      world_.checks().fail(leader.url + " is elected, and " + name + " still leads");
    }
  }

  // Silence alone never leaves a client without nodes.
  void watch_over() {
    world_.later(milliseconds(500), [this] { watch_over(); });
    if (wipes_ != store_.wipes()) {
      wipes_ = store_.wipes();
      wiped_at_ = world_.now();
    }
    if (wipes_ != 0 && world_.now() - wiped_at_ < seconds(120)) return;
    for (const auto& client : clients_) {
      const auto& nodes = client->view().view().nodes();
      const bool none = std::all_of(nodes.begin(), nodes.end(), [](const auto& each) {
        return each.second.state == cluster::NodeState::kDead;
      });
      if (nodes.empty() || !none) continue;
      for (const auto& node : nodes_) {
        const bool steady = world_.now() - world_.crashed_at(node->process()) > seconds(90);
        if (!steady || world_.now() - node->heard_at() > seconds(60)) continue;
        world_.checks().fail("all nodes are dead for " + world_.name(client->process()) +
                             ", though " + node->id() + " was heard within the last minute");
      }
    }
  }

  std::string unrest_of_config(PoolCoordinator& leading) {
    const uint64_t newest = truth_.newest();
    if (newest == 0) return "";
    const Result<Json> rollout = leading.rollout("default");
    if (rollout.ok()) {
      const auto stage = rollout->at("stage").get<std::string>();
      const bool first = rollout->at("previous").get<uint64_t>() == 0;
      if (stage == "rolled_back" && first) return "";  // there is nothing to go back to
      // Or what failed was the way back to a content that the nodes have.
      const std::string* before = truth_.content(rollout->at("previous").get<uint64_t>());
      const bool way_back =
          stage == "rolled_back" && before != nullptr && *before == *truth_.content(newest);
      if (stage != "done" && !way_back) return "the roll-out is at stage " + stage;
    }
    for (const auto& node : nodes_) {
      // One that was away during the roll-out may refuse what the others took.
      const bool refuses = is_bad(*truth_.content(newest)) && node->picky();
      if (node->serves() != *truth_.content(newest) && !refuses) {
        return node->id() + " serves '" + node->serves() + "' and not configuration " +
               std::to_string(newest) + ", '" + *truth_.content(newest) + "'";
      }
    }
    return "";
  }

  World& world_;
  KvStore store_;
  ConfigTruth truth_;
  uint64_t newest_term_ = 0;
  uint64_t term_wipes_ = 0;
  std::vector<std::unique_ptr<CoordinatorActor>> coordinators_;
  std::vector<std::unique_ptr<CoordinatedNode>> nodes_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Operator>> operators_;
  std::unique_ptr<Nemesis> nemesis_;
  uint64_t wipes_ = 0;
  TimePoint wiped_at_;
};

}  // namespace

std::unique_ptr<Scenario> coordinated(World& world) {
  return std::make_unique<Coordinated>(world);
}

}  // namespace cenote::simulation
