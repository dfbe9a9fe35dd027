// A seed becomes a world, its faults, and the verdict on it.
#include <utility>

#include "simulation/scenario.h"

namespace cenote::simulation {
namespace {

using std::chrono::seconds;

// After the last fault all must have come to rest within this time.
constexpr Duration kRest = seconds(120);

// What was sent before that arrives within this.
constexpr Duration kLast = seconds(10);

std::unique_ptr<Scenario> made(World& world, size_t kind) {
  switch (kind) {
    case 0:
      return coordinated(world);
    case 1:
      return distributed(world);
    default:
      return standby(world);
  }
}

constexpr const char* kNames[] = {"coordinated", "distributed", "standby"};

}  // namespace

Outcome simulate(uint64_t seed, Bug bug, bool tracing) {
  const size_t kind = seed % 3;
  World world(seed * 0x2545f4914f6cdd1d + 1, bug, tracing);
  const std::unique_ptr<Scenario> scenario = made(world, kind);
  const TimePoint end = world.now() + world.random().between(seconds(30), seconds(120));
  scenario->begin();
  scenario->nemesis().begin(end);
  world.run_until(end);
  scenario->quieten();
  world.run_until(end + kLast);
  std::string unrest;
  const TimePoint limit = end + kRest;
  do {
    world.run_until(world.now() + seconds(1));
    unrest = scenario->unrest();
  } while (!unrest.empty() && world.now() < limit && !world.checks().failed());
  if (!unrest.empty()) {
    world.checks().fail("two minutes after the last fault not all is at rest: " + unrest);
  }
  // And it stays so, but for calls that fail back to a preferred database.
  world.run_until(world.now() + seconds(5));
  for (int i = 0; i < 10 && !(unrest = scenario->unrest()).empty(); ++i) {
    world.run_until(world.now() + seconds(1));
  }
  if (!unrest.empty()) world.checks().fail("all was at rest, and then not any more: " + unrest);
  if (world.tracing() && world.checks().failed()) world.trace("FAILED:", world.checks().failure());
  return {kNames[kind], world.checks().failure(), world.checks().counts(), world.events(),
          world.history()};
}

}  // namespace cenote::simulation
