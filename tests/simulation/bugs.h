// Mistakes that can be planted in the actors of a simulation, to prove that its checks see them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace cenote::simulation {

enum class Bug : uint8_t {
  kNone,
  kNoFence,               // a coordinator writes without comparing its fence
  kNoIdempotency,         // a repeated change is done again
  kEmptyAnswerTaken,      // an empty list empties the view
  kOldAnswerTaken,        // answers of an older term are believed
  kLapsedLeaseTrusted,    // a node goes on with a lease that the store does not know any more
  kNoRollback,            // a version that was refused is handed out all the same
  kDeadNodeCalled,        // a client ignores what the view says of a node
  kEpochNotCompared,      // a decision overwrites whatever the store holds
  kStoreNotRead,          // decisions of others are never looked for
  kOverloadIsDeath,       // a database that is busy counts as down
  kWritesWhereverActive,  // writes go to the active target whatever its role
  kStoreLostIsPartition,  // a process whose store is silent counts its peers as silent too
  kNumberIsEnough,        // a configuration is known by its number alone
  kNoStages,              // a node takes a version whether its turn has come or not
  kNoWayBack,             // nobody writes the old content after a refusal
  kLeadsTooLong,          // a leader that cannot renew goes on beyond its lease
  kUnreachedCalled,       // in local mode calls go to nodes that do not answer
  kAgeIgnored,            // in local mode writes go on by however old a view
  kFreshLabel,            // answers of local mode are not labelled as stale
  kCount,
};

inline constexpr std::array<std::string_view, static_cast<size_t>(Bug::kCount)> kBugNames = {
    "none",
    "no_fence",
    "no_idempotency",
    "empty_answer_taken",
    "old_answer_taken",
    "lapsed_lease_trusted",
    "no_rollback",
    "dead_node_called",
    "epoch_not_compared",
    "store_not_read",
    "overload_is_death",
    "writes_wherever_active",
    "store_lost_is_partition",
    "number_is_enough",
    "no_stages",
    "no_way_back",
    "leads_too_long",
    "unreached_called",
    "age_ignored",
    "fresh_label",
};

inline std::string_view to_string(Bug bug) {
  return kBugNames.at(static_cast<size_t>(bug));
}

inline std::optional<Bug> bug_named(std::string_view name) {
  for (size_t i = 0; i < kBugNames.size(); ++i) {
    if (kBugNames.at(i) == name) return static_cast<Bug>(i);
  }
  return std::nullopt;
}

}  // namespace cenote::simulation
