// Roles and ailments.
#include "simulation/databases.h"

namespace cenote::simulation {
namespace {

using failover::Sight;
using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

Databases::Databases(World& world) : world_(world), roles_(world.random().chance(0.7)) {
  for (size_t i = 0; i < kCount; ++i) {
    databases_.at(i).process = world.add(i == 0 ? "a" : "b", [] {});
    databases_.at(i).primary = i == 0 || !roles_;
    databases_.at(i).role_since = world.now();
  }
}

Sight Databases::look(size_t which) const {
  const Database& database = databases_.at(which);
  Sight sight;
  if (database.busy) {
    sight.condition = Sight::Condition::kOverloaded;
    sight.error = "too many connections";
    world_.checks().hit(Sometimes::kOverloadSeen);
  } else if (database.unauthorised) {
    sight.condition = Sight::Condition::kUnauthorised;
    sight.error = "password";
    world_.checks().hit(Sometimes::kUnauthorisedSeen);
  } else {
    sight.condition = Sight::Condition::kWell;
    sight.writable = database.primary;
    sight.primary = database.primary && roles_;
    if (!database.primary) sight.lag = milliseconds(10);
  }
  return sight;
}

bool Databases::steady_for(size_t which, Duration time) const {
  const Database& database = databases_.at(which);
  const TimePoint since = world_.now() - time;
  return world_.runs(database.process) && world_.changed_at(database.process) <= since &&
         database.primary && database.role_since <= since;
}

void Databases::set_role(size_t which, bool primary) {
  Database& database = databases_.at(which);
  if (database.primary == primary) return;
  database.primary = primary;
  database.role_since = world_.now();
  if (world_.tracing()) world_.trace(name(which), primary ? "is promoted" : "is a replica now");
}

void Databases::begin() {
  look_after();
  ail();
}

void Databases::look_after() {
  Random& random = world_.random();
  world_.later(random.between(seconds(2), seconds(12)), [this] { look_after(); });
  if (settled_ || !roles_) return;
  for (size_t i = 0; i < kCount; ++i) {
    const size_t other = 1 - i;
    if (!is_primary(i)) continue;
    const bool serves = world_.runs(process(i));
    if (is_primary(other)) {
      // Two of them: the one that came back is made a replica, sooner or later.
      if (random.chance(0.6)) set_role(random.below(kCount), false);
      return;
    }
    if (!world_.runs(process(other))) return;
    if (!serves || random.chance(0.1)) {
      set_role(other, true);
      // A primary that is gone cannot be told: it may come back as what it was.
      if (serves || random.chance(0.6)) set_role(i, false);
    }
    return;
  }
}

void Databases::ail() {
  Random& random = world_.random();
  world_.later(random.between(seconds(3), seconds(20)), [this] { ail(); });
  if (settled_) return;
  Database& database = databases_.at(random.below(kCount));
  const bool busy = random.chance(0.7);
  (busy ? database.busy : database.unauthorised) = true;
  if (world_.tracing()) {
    world_.trace(world_.name(database.process), busy ? "is overloaded" : "refuses the password");
  }
  world_.later(random.between(seconds(1), seconds(15)),
               [&database, busy] { (busy ? database.busy : database.unauthorised) = false; });
}

void Databases::settle() {
  settled_ = true;
  const size_t primary = is_primary(0) ? 0 : 1;
  set_role(primary, true);
  if (roles_) set_role(1 - primary, false);
  for (Database& database : databases_) database.busy = database.unauthorised = false;
}

}  // namespace cenote::simulation
