// A node of the coordinated mode. Thin and our own, with the rules of discovery/coordinator.cc and
// node/membership.cc: register, a heartbeat each second, three failures or a lost lease begin anew,
// a configuration is taken or refused, its last good one and its incarnation are on disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cluster/service_registry.h"
#include "discovery/handed_on.h"
#include "simulation/config_truth.h"
#include "simulation/coordinator_actor.h"
#include "simulation/world.h"

namespace cenote::simulation {

class CoordinatedNode {
 public:
  CoordinatedNode(World& world, std::vector<CoordinatorActor*> coordinators, KvStore& store,
                  ConfigTruth& truth, const std::string& name);

  ProcessId process() const { return process_; }
  const std::string& id() const { return world_.name(process_); }
  std::string location() const { return "grpc://" + id() + ":8815"; }
  // The content that its pools are of.
  const std::string& serves() const { return content_; }
  bool picky() const { return picky_; }
  // When a coordinator heard it last.
  TimePoint heard_at() const { return heard_at_; }

 private:
  void boot();
  void enroll();
  void linger();
  void beat(uint64_t generation);
  void beaten(const Result<Json>& answer, uint64_t generation, const cluster::Heartbeat& beat);
  void take_config(const cluster::ConfigId& wanted);
  cluster::Registration about() const;
  // Starts anew, a little later.
  void again();
  CoordinatorActor& coordinator() { return *coordinators_[at_ % coordinators_.size()]; }

  World& world_;
  const std::vector<CoordinatorActor*> coordinators_;
  KvStore& store_;
  ConfigTruth& truth_;
  const bool picky_;  // refuses bad configurations
  const ProcessId process_;
  // On disk.
  uint64_t incarnation_ = 0;
  std::string content_;
  // In memory.
  size_t at_ = 0;
  uint64_t generation_ = 0;  // of registrations
  uint64_t lease_ = 0;
  uint64_t seq_ = 0;
  int failures_ = 0;
  uint64_t config_version_ = 0;
  std::optional<uint64_t> config_rejected_;
  discovery::HandedOn handed_on_;
  // Nobody's but the checks'.
  TimePoint heard_at_;
};

// Bad ones are refused by picky nodes.
inline bool is_bad(const std::string& content) {
  return content.starts_with("bad");
}

}  // namespace cenote::simulation
