// The rule's state as callers see it.
#include "partition/plan.h"

namespace cenote::partition {

std::optional<Plan> plan_of(const NetworkPartitionHandler& rule,
                            const std::map<std::string, bool, std::less<>>& reached, Duration ttl,
                            TimePoint now) {
  Plan plan;
  plan.local = rule.local();
  plan.share = rule.share(now);
  plan.returning = rule.returning();
  if (!plan.local && (plan.share >= 1 || plan.returning.empty())) return std::nullopt;
  plan.ttl = ttl;
  plan.why = std::string(to_string(rule.state())) + ", " + std::string(to_string(rule.cause())) +
             ": " + rule.reason();
  for (const auto& [id, answers] : reached) {
    if (answers) plan.reached.insert(id);
  }
  return plan;
}

}  // namespace cenote::partition
