// What a simulation found: the first invariant that broke, and how often things happened that are
// rare in life and must be seen in a run of many seeds, or the run proves nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace cenote::simulation {

enum class Sometimes : uint8_t {
  // Coordinators, stores and views.
  kFroze,              // self-preservation began
  kThawed,             // and ended
  kOwnPauseSeen,       // a coordinator noticed that it had stood still
  kLeaderChanged,      // another coordinator took over
  kFenceRejected,      // a write of a former leader was refused
  kLateWrite,          // a write arrived after its writer had given it up
  kUnknownOutcome,     // a change whose outcome its writer does not know
  kRepeatedAnswer,     // a repeated change got its first answer again
  kStaleWriter,        // a writer had not seen the newest version
  kRolledBack,         // a roll-out went back by itself
  kRolledOut,          // a roll-out came to its end
  kReRegistered,       // a node's lease was gone, and it registered again
  kOldProcessRefused,  // an older process of a node was refused
  kRelisted,           // a watcher had missed something and listed again
  kOldAnswerDropped,   // a view refused an answer of the past
  kEmptyAnswerKept,    // a view refused an empty answer
  kSelfMissing,        // a list without its reader was not believed
  kProbedFirst,        // a frozen node was probed before use
  kRefusedIsDead,      // a refused connection was death at once
  kStoreWiped,
  kLeaseLost,    // a lease ran out while its node lived
  kStageHeld,    // a node waited for its turn to take a version
  kNumberAgain,  // a version had the number of another that its node knew
  // Partitions.
  kCutOff,
  kLocalMode,
  kCameBack,
  kPassedOver,    // a node that did not answer got no call
  kWriteRefused,  // by the age of the view
  kReadRefused,
  kStaleAnswer,  // and labelled so
  kWordGiven,
  // Failover.
  kSwitched,
  kFollowed,
  kLostDecision,  // two decided at once, and one of them lost
  kUndecided,
  kOverloadSeen,
  kUnauthorisedSeen,
  kTwoPrimaries,
  kHeldWrite,
  kFailedBack,
  kLatched,
  kEjected,
  kKept,
  kPanicked,
  kCount,
};

inline constexpr std::array<std::string_view, static_cast<size_t>(Sometimes::kCount)>
    kSometimesNames = {"froze",
                       "thawed",
                       "own pause seen",
                       "leader changed",
                       "fence rejected",
                       "late write",
                       "unknown outcome",
                       "repeated answer",
                       "stale writer",
                       "rolled back",
                       "rolled out",
                       "registered again",
                       "old process refused",
                       "listed again",
                       "old answer dropped",
                       "empty answer kept out",
                       "reader missing in its list",
                       "probed first",
                       "refused is dead",
                       "store wiped",
                       "lease lost",
                       "stage held back",
                       "number given again",
                       "cut off",
                       "local mode",
                       "came back",
                       "passed over",
                       "write refused",
                       "read refused",
                       "stale answer",
                       "operator's word given",
                       "switched",
                       "followed",
                       "lost a decision",
                       "undecided",
                       "overload seen",
                       "unauthorised seen",
                       "two primaries",
                       "held a write",
                       "failed back",
                       "latched",
                       "ejected",
                       "kept",
                       "panicked"};

class Checks {
 public:
  using Counts = std::array<uint64_t, static_cast<size_t>(Sometimes::kCount)>;

  void hit(Sometimes what) { ++counts_.at(static_cast<size_t>(what)); }
  // Only the first counts: what follows may follow from it.
  void fail(std::string what) {
    if (failure_.empty()) failure_ = std::move(what);
  }
  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  const Counts& counts() const { return counts_; }

 private:
  Counts counts_{};
  std::string failure_;
};

}  // namespace cenote::simulation
