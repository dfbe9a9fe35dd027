// Names of the states.
#include "cluster/instance.h"

#include <array>
#include <utility>

namespace cenote::cluster {
namespace {

constexpr std::array<std::pair<NodeState, std::string_view>, 5> kStates = {{
    {NodeState::kUp, "up"},
    {NodeState::kSuspect, "suspect"},
    {NodeState::kFrozen, "frozen"},
    {NodeState::kDraining, "draining"},
    {NodeState::kDead, "dead"},
}};

}  // namespace

std::string_view to_string(NodeState state) {
  for (const auto& [each, name] : kStates) {
    if (each == state) return name;
  }
  return "unknown";
}

std::optional<NodeState> node_state(std::string_view name) {
  for (const auto& [state, each] : kStates) {
    if (each == name) return state;
  }
  return std::nullopt;
}

}  // namespace cenote::cluster
