// What goes wrong, by the seed: each world gets its own choice of faults and its own pace, so that
// some worlds see one kind alone and others all at once.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "simulation/kv_store.h"
#include "simulation/world.h"

namespace cenote::simulation {

class Nemesis {
 public:
  struct Targets {
    std::vector<ProcessId> control;  // coordinators and the store: what others depend on
    std::vector<ProcessId> nodes;    // what serves
    std::vector<ProcessId> others;   // clients
    bool may_wipe = true;
  };

  Nemesis(World& world, KvStore& store, Targets targets);

  // Faults until `end`; then all is mended.
  void begin(TimePoint end);
  bool over() const { return over_; }
  // No fault but the death or the pause of single nodes began or ended for so long.
  bool calm_for(Duration time) const {
    return world_.now() - world_.disturbed_at() >= time && active_ == 0;
  }

 private:
  enum class Fault : uint8_t {
    kCrashNode,
    kPauseNode,
    kPauseAllNodes,
    kCrashControl,
    kPauseControl,
    kCrashOther,
    kPauseOther,
    kCut,
    kCutOneWay,
    kIsolate,
    kLoss,
    kSlowNetwork,
    kDuplicates,
    kStalls,
    kClockJump,
    kStoreSlow,
    kStoreEmpty,
    kStoreWiped,
    kCount,
  };

  void strike();
  void inflict(Fault fault, Duration time);
  void inflict_network(Fault fault, Duration time);
  void inflict_store(Fault fault, Duration time);
  void crash(ProcessId id, Duration time);
  void pause(ProcessId id, Duration time);
  void until(Duration time, World::Action mend);  // a disturbance of the whole
  void mend_all();
  Duration a_while();
  ProcessId one_of(const std::vector<ProcessId>& some);
  ProcessId anyone();

  World& world_;
  KvStore& store_;
  const Targets targets_;
  std::array<bool, static_cast<size_t>(Fault::kCount)> enabled_{};
  Duration pace_{};
  TimePoint end_;
  int active_ = 0;
  bool over_ = false;
};

}  // namespace cenote::simulation
