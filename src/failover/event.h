// What a failover rule decided and why, for logs, metrics and people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cenote::failover {

struct Event {
  enum class Kind : uint8_t {
    kSuspect,       // the active target failed a check
    kRecovered,     // it answers again, nothing was switched
    kConfirm,       // it is down for long enough, or is no primary any more: who could take over?
    kStays,         // nobody could
    kSwitching,     // the store is asked for the next epoch
    kSwitched,      // calls go to `to`
    kFollowed,      // the same, by another process's decision
    kUndecided,     // the store did not answer
    kFailBackWait,  // the preferred target is well again; its dwell time runs
    kFailBackOff,   // it was not well for that long
    kLatched,       // too many switches: only an operator switches from here on
    kTwoPrimaries,  // two targets take writes: none gets any
    kOnePrimary,    // no more
    kUnauthorised,  // a target refuses our credentials; no reason to switch
    kOverloaded,    // a target is too busy to answer; no reason to switch
    kEjected,       // of a balanced group: gets no calls for a while
    kKept,          // should be ejected, but too many are already
    kReturned,      // gets calls again, slowly at first
    kPanic,         // too few are well: all get calls
    kCalm,          // no more
  };
  Kind kind = Kind::kSuspect;
  uint64_t epoch = 0;
  std::string from;
  std::string to;      // empty where only one target is concerned
  std::string reason;  // a sentence without its full stop
  bool alert = false;  // a person should look
};

std::string_view to_string(Event::Kind kind);

}  // namespace cenote::failover
