// A cluster in a few lines, for `cenote status`.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/cluster.h"

namespace cenote::cli {

struct ClusterReport {
  std::string text;
  nlohmann::ordered_json json;
  std::string trouble;  // pools that no node can serve now; empty: none
};

// Asks for the nodes and the summary; goes without the summary where the token may not read it.
Result<ClusterReport> report_cluster(Cluster& cluster);

}  // namespace cenote::cli
