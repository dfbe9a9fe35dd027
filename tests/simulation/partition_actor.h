// A process of the distributed mode with the real NetworkPartitionHandler. Thin and our own is what
// carries out its wishes: probes, questions to peers, the steps back.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "partition/network_partition_handler.h"
#include "partition/plan.h"
#include "simulation/kv_store.h"
#include "simulation/store_parties.h"
#include "simulation/world.h"

namespace cenote::simulation {

class PartitionActor {
 public:
  using Handler = partition::NetworkPartitionHandler;
  // Others of the world, by their node's id.
  struct Peers {
    std::function<ProcessId(const std::string&)> process_of;
    std::function<partition::Told(const std::string&)> told_by;
  };

  // `self`: its node's id; empty: it serves nothing.
  PartitionActor(World& world, KvStore& store, ProcessId process, std::string self,
                 StoreWatcher& watcher, Peers peers);

  // With its process.
  void boot();
  partition::Told tell() const { return {rule_->source_reached()}; }
  // What its calls must heed; null: all is well.
  const partition::Plan* plan() const { return plan_ ? &*plan_ : nullptr; }
  // A call goes to this node; an answer comes, with its label.
  void check_call(const std::string& node, bool write) const;
  void check_answer(bool stale) const;
  // For checks: who reaches whom may have changed.
  void note_reach();
  // What is still to come to rest; an operator says his word where one is waited for.
  std::string unrest();

 private:
  void arm();
  void tick();
  void perform(const Handler::Output& out);
  void heard(const partition::Event& event);
  void probe(const partition::Probe& wanted);
  void ask(const std::vector<std::string>& peers);
  void take(partition::Step step);
  bool confirmed() const;
  TimePoint now() const { return world_.clock(process_); }

  // ---- Checks.
  void look_around();
  // For how long it has been out of reach, in truth; zero: it is not.
  Duration silent(const std::string& node) const;
  bool in_reach(ProcessId other) const;

  World& world_;
  KvStore& store_;
  const ProcessId process_;
  const std::string self_;
  StoreWatcher& watcher_;
  const Peers peers_;
  const RecoveryStrategy strategy_;
  std::optional<Handler> rule_;
  std::optional<partition::Plan> plan_;
  uint64_t armed_ = 0;
  TimePoint trouble_at_;  // when a peer was out of reach last
  std::optional<TimePoint> isolated_since_;
  std::map<std::string, TimePoint> silent_since_;  // nodes, and "" for the store
};

}  // namespace cenote::simulation
