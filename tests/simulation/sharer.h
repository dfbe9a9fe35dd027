// A process that shares its calls among several databases by the real Ejection: ADR-002's
// LoadBalanced. Half of them stay at the least, what is well is never shut out for load, and a call
// always finds somebody.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "failover/ejection.h"
#include "simulation/world.h"

namespace cenote::simulation {

class Sharer {
 public:
  Sharer(World& world, const std::string& name, const std::vector<ProcessId>& members,
         LoadBalanceAlgorithm algorithm);

  ProcessId process() const { return process_; }
  // Who is out; empty: nobody.
  std::string unrest() const;

 private:
  void boot();
  void check_member(size_t member);
  void call();
  void tell(const std::vector<failover::Event>& events);
  void judge() const;

  World& world_;
  const std::vector<ProcessId> members_;
  const LoadBalanceAlgorithm algorithm_;
  const ProcessId process_;
  std::optional<failover::Ejection> rule_;
};

}  // namespace cenote::simulation
