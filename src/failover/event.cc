// The names of the events.
#include "failover/event.h"

#include <array>

namespace cenote::failover {

std::string_view to_string(Event::Kind kind) {
  static constexpr std::array<std::string_view, 20> kNames = {
      "suspect",  "recovered",     "confirm",     "stays",         "switching",
      "switched", "followed",      "undecided",   "failback_wait", "failback_off",
      "latched",  "two_primaries", "one_primary", "unauthorised",  "overloaded",
      "ejected",  "kept",          "returned",    "panic",         "calm"};
  return kNames.at(static_cast<size_t>(kind));
}

}  // namespace cenote::failover
