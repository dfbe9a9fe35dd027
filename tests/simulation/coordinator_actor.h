// A coordinator of a pair: the real PoolCoordinator over the simulated store. Thin and our own are
// the election (a key with a lease, given up at two thirds of it by its own clock), the write that
// carries the fence, and the watchers' streams.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/pool_coordinator.h"
#include "simulation/kv_store.h"
#include "simulation/world.h"

namespace cenote::simulation {

inline constexpr std::string_view kLeaderKey = "leader";
inline constexpr std::string_view kCluster = "simulated";

// What a watcher of the registry is told: a change, or a bookmark where there is none.
struct WatchEvent {
  uint64_t term = 0;
  uint64_t revision = 0;
  std::optional<cluster::Change> change{};
};

// What goes for all coordinators of a world, by which the checks judge them.
struct Terms {
  uint64_t newest = 0;  // that was ever won
};

class CoordinatorActor {
 public:
  using Stream = std::function<void(const WatchEvent&)>;

  CoordinatorActor(World& world, KvStore& store, Terms& terms, const std::string& name);

  ProcessId process() const { return process_; }
  // Called in its process, for a request. Null: it is not the leader, ask another.
  coordinator::PoolCoordinator* leading();
  // The nodes as it knew them when it led last: what a coordinator that does not know better may
  // still answer.
  const std::optional<cluster::Snapshot>& last_known() const { return last_known_; }
  // After a request that may have changed something.
  void flush();
  // Every event after `revision`, in `watcher`'s process; false: list again.
  bool watch(ProcessId watcher, uint64_t revision, Stream stream);

 private:
  struct Watching {
    ProcessId watcher = 0;
    uint64_t revision = 0;
    Stream stream;
  };

  void boot();
  void campaign();
  void won(uint64_t term, uint64_t lease, TimePoint asked);
  void step_down(const char* why);
  void tick();
  void bookmark();
  static coordinator::PoolCoordinator::Options options();

  World& world_;
  KvStore& store_;
  Terms& terms_;
  const ProcessId process_;
  std::unique_ptr<coordinator::PoolCoordinator> leading_;
  std::optional<cluster::Snapshot> last_known_;
  uint64_t lease_ = 0;
  uint64_t seen_term_ = 0;
  TimePoint last_tick_;
  TimePoint leads_until_;
  std::vector<Watching> streams_;
};

}  // namespace cenote::simulation
