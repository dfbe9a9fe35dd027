// What the node of a configuration file says of itself by its admin endpoint: whether it hears its
// cluster, which only it can know.
#pragma once

#include <optional>

#include "cenote/config.h"

#include "base/json.h"

namespace cenote::cli {

// The answer to /api/v1/status; none where the file names no endpoint, or no node answers there.
std::optional<Json> ask_own_node(const DeploymentConfig& config, const CallContext& context);
// One line of it: "this node (n1): local for 12 s, minority: ...". Empty where it says nothing.
std::string partition_line(const Json& status);

}  // namespace cenote::cli
