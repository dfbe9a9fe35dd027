// A kind of world: who is in it, and when it has come to rest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "simulation/nemesis.h"
#include "simulation/world.h"

namespace cenote::simulation {

class Scenario {
 public:
  virtual ~Scenario() = default;
  // Starts all processes.
  virtual void begin() = 0;
  virtual Nemesis& nemesis() = 0;
  // All is mended: no more changes are asked for.
  virtual void quieten() = 0;
  // What is still to come to rest; empty: nothing.
  virtual std::string unrest() = 0;
};

// A pair of coordinators over a store; nodes, clients, two operators.
std::unique_ptr<Scenario> coordinated(World& world);
// Nodes and clients that meet in a store; two operators.
std::unique_ptr<Scenario> distributed(World& world);
// Processes with a choice between two databases, over a store; a database that is promoted.
std::unique_ptr<Scenario> standby(World& world);

struct Outcome {
  std::string scenario;
  std::string failure;  // empty: none
  Checks::Counts counts{};
  uint64_t events = 0;
  std::string history;  // if it was asked for
};

// One world, from its first event to its rest.
Outcome simulate(uint64_t seed, Bug bug, bool tracing);

}  // namespace cenote::simulation
