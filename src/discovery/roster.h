// Which nodes there are and how they are, from lists of a store. Pure. The same rules as a
// coordinator's: a node whose lease ended is dead and leaves the list after a minute; too many at
// once speak against the store rather than against them, and they are frozen, used last; only who
// said goodbye is gone at once. So neither a wiped store nor an empty answer empties it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cluster/service_registry.h"
#include "discovery/directory.h"

namespace cenote::discovery {

class Roster {
 public:
  // `self`: this process's node id, if it serves; once it was listed alive, a list without it is
  // not believed.
  Roster(std::string cluster, std::string self, TimePoint now);

  // The state after this list; kOperational, and all stays as it is, for one that is not believed.
  Result<cluster::Snapshot> apply(TimePoint now, const Listing& listing);

 private:
  void take(TimePoint now, const Entry& entry);

  const std::string self_;
  bool self_seen_ = false;
  uint64_t seq_ = 0;
  cluster::ServiceRegistry registry_;
};

}  // namespace cenote::discovery
