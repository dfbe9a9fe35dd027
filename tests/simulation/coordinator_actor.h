// A coordinator of a pair: the real PoolCoordinator and the real election with its fence
// (coordinator/fenced_store.cc) over the simulated store. Thin and our own are the loop around
// them, with the rules of coordinator/elected.cc, and the watchers' streams.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/pool_coordinator.h"
#include "coordinator/shared_store.h"
#include "simulation/kv_store.h"
#include "simulation/world.h"

namespace cenote::simulation {

inline constexpr std::string_view kCoordinators = "c/";  // of their keys
inline constexpr std::string_view kLeaderKey = "c/leader";
inline constexpr std::string_view kCluster = "simulated";

// What a watcher of the registry is told: a change, or a bookmark where there is none.
struct WatchEvent {
  uint64_t term = 0;
  uint64_t revision = 0;
  std::optional<cluster::Change> change{};
};

class CoordinatorActor {
 public:
  using Stream = std::function<void(const WatchEvent&)>;

  CoordinatorActor(World& world, KvStore& store, const std::string& name);
  ~CoordinatorActor();

  ProcessId process() const { return process_; }
  // Called in its process, for a request. Null: it is not the leader, ask another.
  coordinator::PoolCoordinator* leading();
  // The nodes as it knew them when it led last: what a coordinator that does not know better may
  // still answer.
  const std::optional<cluster::Snapshot>& last_known() const { return last_known_; }
  // Whether it takes itself for the leader, by its own clock.
  bool holds() const;
  // After a request that may have changed something.
  void flush();
  // Every event after `revision`, in `watcher`'s process; false: list again.
  bool watch(ProcessId watcher, uint64_t revision, Stream stream);

 private:
  class Fence;
  struct Watching {
    ProcessId watcher = 0;
    uint64_t revision = 0;
    Stream stream;
  };

  void boot();
  void elect();
  void take_over();
  void step_down(const char* why);
  void tick();
  void bookmark();
  static coordinator::PoolCoordinator::Options options();

  World& world_;
  KvStore& store_;
  const ProcessId process_;
  Fence* fence_ = nullptr;  // of shared_
  std::unique_ptr<coordinator::SharedStore> shared_;
  std::unique_ptr<coordinator::PoolCoordinator> leading_;
  std::optional<cluster::Snapshot> last_known_;
  TimePoint last_tick_;
  std::vector<Watching> streams_;
};

}  // namespace cenote::simulation
