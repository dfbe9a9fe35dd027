// What one check saw of a target.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cenote/deadline.h"

namespace cenote::failover {

struct Sight {
  enum class Condition : uint8_t {
    kUnknown,       // never checked
    kWell,          // answered
    kDead,          // refused, reset, or silent until the deadline
    kOverloaded,    // alive, but had no connection left
    kUnauthorised,  // alive, but refuses our credentials
  };
  Condition condition = Condition::kUnknown;
  // Of the last answer; meaningful where condition is kWell.
  bool writable = false;
  bool primary = false;  // says itself that it is the one that takes writes
  std::optional<std::chrono::milliseconds> lag;
  std::string error;  // of what is not well
};

}  // namespace cenote::failover
