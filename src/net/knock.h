// Whether anything answers at many ports at once: a connection or its refusal, for both were
// carried by the network.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cenote/deadline.h"

namespace cenote {

struct Door {
  std::string address;  // a number; no name is resolved
  uint16_t port = 0;
};

// For each door whether it answered until the deadline. Returns as soon as all did, and soon after
// a stop.
std::vector<bool> knock(std::span<const Door> doors, const CallContext& context);

}  // namespace cenote
