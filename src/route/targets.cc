// Filter (role, state, zone) → choose → fall to the next tier.
#include "route/targets.h"

#include <algorithm>
#include <array>
#include <utility>

namespace cenote::route {
namespace {

using cluster::NodeState;
using cluster::PoolInstance;

constexpr int kDraws = 4;

bool contains(std::span<const Target* const> tried, const Target& target) {
  return std::any_of(tried.begin(), tried.end(),
                     [&](const Target* each) { return each->node_id == target.node_id; });
}

// 0: up in our zone, 1: up elsewhere, 2: suspect, 3: frozen; -1: never.
int rank(const PoolInstance& instance, std::string_view zone) {
  if (!instance.pool.healthy) return -1;
  switch (instance.state) {
    case NodeState::kUp:
      return zone.empty() || instance.zone == zone ? 0 : 1;
    case NodeState::kSuspect:
      return 2;
    case NodeState::kFrozen:
      return 3;
    case NodeState::kDraining:
    case NodeState::kDead:
      return -1;
  }
  return -1;
}

constexpr int kFrozenRank = 3;

}  // namespace

std::shared_ptr<const Targets> Targets::build(std::span<const PoolInstance> instances,
                                              std::string_view zone, const Targets* before) {
  auto targets = std::make_shared<Targets>();
  std::array<std::vector<Target>, 4> readers;
  std::array<std::vector<Target>, 4> writers;
  for (const PoolInstance& instance : instances) {
    Target target{instance.node_id, instance.location, instance.zone,
                  instance.weight,  instance.pool.max, nullptr};
    const Target* known = before == nullptr ? nullptr : before->find(instance.node_id);
    const bool same = known != nullptr && known->location == target.location;
    target.load = same ? known->load : std::make_shared<Load>();
    targets->all_.push_back(target);
    const int place = rank(instance, zone);
    if (place < 0) continue;
    readers.at(static_cast<size_t>(place)).push_back(target);
    if (instance.pool.writable) writers.at(static_cast<size_t>(place)).push_back(target);
  }
  for (size_t place = 0; place < readers.size(); ++place) {
    const bool frozen = place == kFrozenRank;
    if (!readers.at(place).empty())
      targets->readers_.push_back({Tier(std::move(readers.at(place))), frozen});
    if (!writers.at(place).empty())
      targets->writers_.push_back({Tier(std::move(writers.at(place))), frozen});
  }
  std::sort(targets->all_.begin(), targets->all_.end(),
            [](const Target& a, const Target& b) { return a.node_id < b.node_id; });
  return targets;
}

const Target* Targets::find(std::string_view node_id) const {
  const auto found = std::lower_bound(
      all_.begin(), all_.end(), node_id,
      [](const Target& target, std::string_view id) { return target.node_id < id; });
  return found != all_.end() && found->node_id == node_id ? &*found : nullptr;
}

const Target* Targets::choose_in(const Tier& tier, LoadBalancer& balancer, TimePoint now,
                                 uint64_t random, std::span<const Target* const> tried,
                                 bool last) const {
  for (int draw = 0; draw < kDraws; ++draw) {
    const Target& target = tier.targets[balancer.choose(tier, now, random)];
    if (!target.load->is_shut(now) && !contains(tried, target)) return &target;
    random = random * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX
  }
  const size_t n = tier.size();
  size_t open = 0;
  const Target* first_open = nullptr;
  const Target* first_shut = nullptr;
  for (size_t i = 0; i < n; ++i) {
    const Target& target = tier.targets[(random + i) % n];
    if (contains(tried, target)) continue;
    if (target.load->is_shut(now)) {
      if (first_shut == nullptr) first_shut = &target;
      continue;
    }
    ++open;
    if (first_open == nullptr) first_open = &target;
  }
  const bool panic = last && open * 2 < n && first_shut != nullptr;
  // In panic every target takes its share, so the draw decides.
  if (panic && (first_open == nullptr ||
                fraction(random) * static_cast<double>(n) >= static_cast<double>(open))) {
    return first_shut;
  }
  return first_open;
}

Targets::Choice Targets::choose(Need need, LoadBalancer& balancer, TimePoint now, uint64_t random,
                                std::span<const Target* const> tried) const {
  const std::vector<Ranked>& tiers = need == Need::kWrite ? writers_ : readers_;
  for (const bool panic : {false, true}) {
    for (size_t i = 0; i < tiers.size(); ++i) {
      const bool last = panic || i + 1 == tiers.size() || tiers[i + 1].frozen;
      const Target* target = choose_in(tiers[i].tier, balancer, now, random, tried, last);
      if (target != nullptr) return {target, tiers[i].frozen};
    }
  }
  return {};
}

}  // namespace cenote::route
