// What the partition rule found and why, for logs, metrics and people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cenote/deadline.h"

namespace cenote::partition {

enum class State : uint8_t {
  kConnected,
  kSuspect,      // the cluster was not heard for two rounds
  kPartitioned,  // it is out of reach; handle_partition() is due
  kLocal,        // calls are served by what is known and in reach
  kRecovering,   // it is heard again, and step by step taken at its word
};
std::string_view to_string(State state);

// What is missing. The last one, and the first two while all peers answer, are no partition.
enum class Cause : uint8_t {
  kNone,
  kStoreLost,        // the store, and some peers
  kCoordinatorLost,  // the coordinator, and some peers
  kMinority,         // the store or coordinator, and more than half of the peers
  kOneWay,           // others reach what this process does not
  kDatabaseLost,     // this process's own databases
};
std::string_view to_string(Cause cause);  // "store-lost"

struct Event {
  State from = State::kConnected;
  State to = State::kConnected;  // the same: only the cause changed, or the process had paused
  Cause cause = Cause::kNone;
  std::string reason;  // a sentence without its full stop
  // To kPartitioned: since the cluster was lost. From kRecovering to kConnected: since it is heard
  // again. Either was between two rounds, and is taken to be in their middle: true within half an
  // interval.
  Duration took{};
};

}  // namespace cenote::partition
