// Who meets in a store, in the distributed mode. Thin and our own, with the rules of
// discovery/store_discovery.cc and etcd.cc, are the loops: enter, renew at a third of the lease,
// look for oneself, follow the roll-out; list, wait, list again. What they drive is real: the
// roster, the view, the staging, the texts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "discovery/handed_on.h"
#include "discovery/roster.h"
#include "discovery/staging.h"
#include "simulation/checked_view.h"
#include "simulation/config_truth.h"
#include "simulation/kv_store.h"
#include "simulation/world.h"

namespace cenote::simulation {

inline constexpr std::string_view kNodes = "nodes/";
inline constexpr std::string_view kVersions = "config/v/";
inline constexpr std::string_view kHead = "config/head";
// Shorter stages than in life: the rules are the same, and a seed is over sooner.
inline constexpr Duration kStage = std::chrono::seconds(4);
cluster::Rollout::Options staged();

// The watching loop of any process.
class StoreWatcher {
 public:
  // `self`: its node id, if it serves.
  StoreWatcher(World& world, KvStore& store, ProcessId process, std::string self);

  void boot();
  CheckedView& view() { return view_; }

 private:
  void list();
  void wait(uint64_t generation);
  void take(const Result<std::optional<KvStore::Range>>& range, bool whole);
  void again();

  World& world_;
  KvStore& store_;
  const ProcessId process_;
  const std::string self_;
  CheckedView view_;
  std::optional<discovery::Roster> roster_;
  uint64_t generation_ = 0;
  uint64_t shown_ = 0;  // the roster's revision that the view has
  uint64_t seen_ = 0;   // the store's
  TimePoint confirmed_at_;
  TimePoint relist_at_;
};

class StoreNode {
 public:
  StoreNode(World& world, KvStore& store, ConfigTruth& truth, const std::string& name);

  ProcessId process() const { return process_; }
  const std::string& id() const { return world_.name(process_); }
  StoreWatcher& watcher() { return watcher_; }
  bool picky() const { return picky_; }
  const std::string& serves() const { return content_; }
  // It saw this version fail, and there was nothing to go back to.
  uint64_t stuck_at() const { return stuck_wipes_ == store_.wipes() ? stuck_at_ : 0; }
  // Called at each start, after its own.
  std::function<void()> on_boot;
  // Before it takes a version, or refuses it.
  std::function<void(const discovery::ConfigVersion&)> on_take;

 private:
  void boot();
  void enter();
  void commit_entry(uint64_t seen_version);
  void beat(uint64_t generation);
  void update(uint64_t generation);
  void look(uint64_t generation);
  void read_head(uint64_t generation);
  void fetch(uint64_t generation, const cluster::ConfigId& head);
  void follow(uint64_t generation);
  void take_config();
  void go_back(uint64_t generation, const discovery::Staging::Step& step);
  void failed(uint64_t generation);
  void lost();
  discovery::Entry entry() const;
  std::string key() const { return std::string(kNodes) + id(); }

  World& world_;
  KvStore& store_;
  ConfigTruth& truth_;
  const bool picky_;
  const ProcessId process_;
  StoreWatcher watcher_;
  // On disk.
  uint64_t incarnation_ = 0;
  std::string content_;
  // In memory.
  uint64_t generation_ = 0;  // of leases
  uint64_t sequence_ = 0;
  uint64_t beats_ = 0;
  int failures_ = 0;
  bool missing_ = false;
  uint64_t lease_ = 0;
  uint64_t written_ = 0;  // the version of our key
  std::string text_;      // and what it holds
  uint64_t config_version_ = 0;
  std::optional<uint64_t> config_rejected_;
  discovery::HandedOn handed_on_;
  std::optional<discovery::Staging> staging_;
  discovery::ConfigVersion newest_;
  uint64_t newest_wipes_ = 0;  // of the store, when it was read
  // Nobody's but the checks'.
  uint64_t stuck_at_ = 0;
  uint64_t stuck_wipes_ = 0;
};

// Appends configurations behind the head, in one step or not at all.
class StoreOperator {
 public:
  StoreOperator(World& world, KvStore& store, ConfigTruth& truth, const std::string& name);

  ProcessId process() const { return process_; }
  void stop() { stopped_ = true; }

 private:
  void next();
  void attempt();
  void append(uint64_t head, uint64_t head_version);

  World& world_;
  KvStore& store_;
  ConfigTruth& truth_;
  const ProcessId process_;
  bool stopped_ = false;
  uint64_t count_ = 0;
  std::string change_;
  int attempts_ = 0;
};

}  // namespace cenote::simulation
