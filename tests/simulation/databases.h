// A primary and a replica, and whoever looks after them: promotes the other one when a primary is
// gone, moves the role now and then, and sometimes lets two primaries stand side by side.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "failover/sight.h"
#include "simulation/world.h"

namespace cenote::simulation {

class Databases {
 public:
  static constexpr size_t kCount = 2;

  explicit Databases(World& world);

  ProcessId process(size_t which) const { return databases_.at(which).process; }
  const std::string& name(size_t which) const { return world_.name(process(which)); }
  // What a check sees; called in the database's process.
  failover::Sight look(size_t which) const;
  // Whether it has served as a primary, whatever else befell it, for so long.
  bool steady_for(size_t which, Duration time) const;
  // Where there are no roles, both are.
  bool is_primary(size_t which) const { return databases_.at(which).primary; }

  void begin();
  // One is the primary from here on, the other its replica, and nothing ails them.
  void settle();

 private:
  struct Database {
    ProcessId process = 0;
    bool primary = false;
    bool busy = false;
    bool unauthorised = false;
    TimePoint role_since;
  };

  void look_after();
  void set_role(size_t which, bool primary);
  void ail();

  World& world_;
  std::array<Database, kCount> databases_;
  const bool roles_;  // false: both always take writes, as endpoints without roles do
  bool settled_ = false;
};

}  // namespace cenote::simulation
