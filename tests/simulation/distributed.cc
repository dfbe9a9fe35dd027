// The distributed mode without a coordinator: nodes and clients that meet in a store.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "simulation/caller.h"
#include "simulation/coordinated_node.h"
#include "simulation/partition_actor.h"
#include "simulation/scenario.h"
#include "simulation/store_parties.h"

namespace cenote::simulation {
namespace {

// After any trouble: a lease, and a node that enters again.
constexpr Duration kSettled = std::chrono::seconds(8);

class StoreClient {
 public:
  StoreClient(World& world, KvStore& store, const std::string& name,
              const std::function<ProcessId(const std::string&)>& process_of)
      : process_(world.add(name, [this] { boot(); })),
        watcher_(world, store, process_, ""),
        caller_(world, Caller::Options(), process_, watcher_.view(), process_of,
                [](const std::string&) {}) {}

  ProcessId process() const { return process_; }
  StoreWatcher& watcher() { return watcher_; }
  CheckedView& view() { return watcher_.view(); }
  Caller& caller() { return caller_; }
  // Called at each start, after its own.
  std::function<void()> on_boot;

 private:
  void boot() {
    watcher_.boot();
    caller_.boot();
    if (on_boot) on_boot();
  }

  const ProcessId process_;
  StoreWatcher watcher_;
  Caller caller_;
};

class Distributed final : public Scenario {
 public:
  explicit Distributed(World& world) : world_(world), store_(world), truth_(world, store_) {
    store_.on_write = [this](const KvStore::Write& write) { check(write); };
    const size_t count = world.random().between(2, 7);
    for (size_t i = 1; i <= count; ++i) {
      nodes_.push_back(std::make_unique<StoreNode>(world, store_, truth_, "n" + std::to_string(i)));
    }
    for (const char* name : {"k1", "k2"}) {
      clients_.push_back(std::make_unique<StoreClient>(
          world, store_, name, [this](const std::string& id) { return process_of(id); }));
    }
    add_partition_handlers();
    for (const char* name : {"o1", "o2"}) {
      operators_.push_back(std::make_unique<StoreOperator>(world, store_, truth_, name));
    }
    Nemesis::Targets targets;
    targets.control = {store_.process()};
    for (const auto& each : nodes_) targets.nodes.push_back(each->process());
    for (const auto& each : clients_) targets.others.push_back(each->process());
    nemesis_ = std::make_unique<Nemesis>(world, store_, targets);
    for (const auto& each : clients_) each->caller().judge_by(nemesis_.get());
    world.on_change([this] {
      for (const auto& each : handlers_) each->note_reach();
    });
  }

  void begin() override {
    for (ProcessId id = 0; id < world_.size(); ++id) world_.start(id);
  }
  Nemesis& nemesis() override { return *nemesis_; }
  void quieten() override {
    for (const auto& each : operators_) each->stop();
  }

  std::string unrest() override {
    for (const auto& each : clients_) {
      if (!each->view().all_up(nodes_.size())) {
        return world_.name(each->process()) + " does not see all nodes up; " +
               each->view().view().alarm();
      }
    }
    for (const auto& each : nodes_) {
      if (!each->watcher().view().all_up(nodes_.size())) {
        return each->id() + " does not see all nodes up; " + each->watcher().view().view().alarm();
      }
    }
    for (const auto& each : handlers_) {
      const std::string why = each->unrest();
      if (!why.empty()) return why;
    }
    return unrest_of_config();
  }

 private:
  // "n1" is the first.
  static size_t index_of(const std::string& id) { return static_cast<size_t>(id[1] - '1'); }
  ProcessId process_of(const std::string& id) const { return nodes_[index_of(id)]->process(); }

  // The nodes' come first, in their order.
  void add_partition_handlers() {
    const PartitionActor::Peers peers = {
        [this](const std::string& id) { return process_of(id); },
        [this](const std::string& id) { return handlers_[index_of(id)]->tell(); }};
    const auto add = [&](ProcessId process, const std::string& self, StoreWatcher& watcher) {
      handlers_.push_back(
          std::make_unique<PartitionActor>(world_, store_, process, self, watcher, peers));
      return [handler = handlers_.back().get()] { handler->boot(); };
    };
    for (const auto& each : nodes_) {
      each->on_boot = add(each->process(), each->id(), each->watcher());
      each->on_take = [this, &node = *each](const discovery::ConfigVersion& version) {
        judge(node, version);
      };
    }
    for (const auto& each : clients_) {
      each->on_boot = add(each->process(), "", each->watcher());
      each->caller().heed(handlers_.back().get());
    }
  }

  std::string unrest_of_config() {
    const std::string* newest = truth_.content(truth_.newest());
    if (newest == nullptr) return "";
    for (const auto& each : nodes_) {
      if (each->stuck_at() == truth_.newest()) return "";
    }
    for (const auto& each : nodes_) {
      if (each->serves() == *newest || (is_bad(*newest) && each->picky())) continue;
      return each->id() + " serves '" + each->serves() + "' and not '" + *newest + "'";
    }
    return "";
  }

  // Where all were there and nothing went wrong, a version has reached no more than its stage.
  void judge(const StoreNode& node, const discovery::ConfigVersion& version) {
    if (!version.reason.empty() || version.version != truth_.newest()) return;
    const Duration age = world_.now() - written_at_;
    const bool calm = nemesis_->calm_for(age + kSettled) &&
                      std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& each) {
                        const ProcessId process = each->process();
                        const Duration steady = world_.now() - world_.changed_at(process);
                        return world_.runs(process) && steady > age + kSettled;
                      });
    if (!calm) return;
    const size_t stage = age < kStage ? 1 : age < 2 * kStage ? (nodes_.size() + 3) / 4 : 99;
    if (index_of(node.id()) < stage) return;
    world_.checks().fail(node.id() + " takes configuration " + std::to_string(version.version) +
                         " before its turn");
  }

  void check(const KvStore::Write& write) {
    for (const KvStore::Put& put : write.puts) {
      if (!put.key.starts_with(kVersions)) continue;
      const Result<discovery::ConfigVersion> version = discovery::config_from(put.value);
      if (!version.ok()) return world_.checks().fail("a configuration is not readable");
      truth_.written(version->version, version->content,
                     version->reason.empty() ? version->content : "");
      written_at_ = world_.now();
    }
  }

  World& world_;
  KvStore store_;
  ConfigTruth truth_;
  TimePoint written_at_;  // the newest configuration
  std::vector<std::unique_ptr<StoreNode>> nodes_;
  std::vector<std::unique_ptr<StoreClient>> clients_;
  std::vector<std::unique_ptr<PartitionActor>> handlers_;
  std::vector<std::unique_ptr<StoreOperator>> operators_;
  std::unique_ptr<Nemesis> nemesis_;
};

}  // namespace

std::unique_ptr<Scenario> distributed(World& world) {
  return std::make_unique<Distributed>(world);
}

}  // namespace cenote::simulation
