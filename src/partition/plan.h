// What calls must heed while not all is well: where they may go, and by how old a view.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "partition/network_partition_handler.h"

namespace cenote::partition {

struct Plan {
  bool local = false;
  std::set<std::string, std::less<>> reached;  // in local mode: the nodes that calls may go to
  // Nodes that were out of reach get this share of their calls, where there are others.
  std::set<std::string, std::less<>> returning;
  double share = 1;
  Duration ttl{};   // PartitionOptions::local_cache_ttl
  std::string why;  // for errors

  bool is_reached(std::string_view node_id) const { return !local || reached.contains(node_id); }
  // `where`: a random number from 0 to 1.
  bool holds_back(std::string_view node_id, double where) const {
    return where >= share && returning.contains(node_id);
  }
  // What may be asked of nodes by a view of this age; none: there never was one.
  Service service(std::optional<Duration> view_age) const {
    return local ? partition::service(ttl, view_age.value_or(Duration::max())) : Service::kAll;
  }
};

// `reached`: which nodes answer, as far as is known. None: all is well.
std::optional<Plan> plan_of(const NetworkPartitionHandler& rule,
                            const std::map<std::string, bool, std::less<>>& reached, Duration ttl,
                            TimePoint now);

}  // namespace cenote::partition
