// Names.
#include "partition/event.h"

namespace cenote::partition {

std::string_view to_string(State state) {
  switch (state) {
    case State::kConnected:
      return "connected";
    case State::kSuspect:
      return "suspect";
    case State::kPartitioned:
      return "partitioned";
    case State::kLocal:
      return "local";
    case State::kRecovering:
      return "recovering";
  }
  return "unknown";
}

std::string_view to_string(Cause cause) {
  switch (cause) {
    case Cause::kNone:
      return "";
    case Cause::kStoreLost:
      return "store-lost";
    case Cause::kCoordinatorLost:
      return "coordinator-lost";
    case Cause::kMinority:
      return "minority";
    case Cause::kOneWay:
      return "one-way";
    case Cause::kDatabaseLost:
      return "database-lost";
  }
  return "unknown";
}

}  // namespace cenote::partition
