// Verdicts from silence, with self-preservation.
#include "cluster/health_monitor.h"

#include <algorithm>

namespace cenote::cluster {

HealthMonitor::HealthMonitor(Options options, TimePoint now)
    : options_(options), last_tick_(now), grace_until_(now + options.grace) {}

void HealthMonitor::begin_grace(TimePoint now) {
  grace_until_ = now + options_.grace;
  // Whoever stays silent dies at the end of the grace, not before.
  for (auto& [id, node] : nodes_) {
    node.heard = std::max(node.heard, grace_until_ - options_.dead_after);
  }
}

void HealthMonitor::heard(TimePoint now, std::string_view node_id) {
  auto found = nodes_.find(node_id);
  if (found == nodes_.end()) found = nodes_.emplace(node_id, Watched()).first;
  Watched& node = found->second;
  node.heard = std::max(node.heard, now);
  node.refused = false;
  node.doubters.clear();
}

void HealthMonitor::refused(std::string_view node_id) {
  const auto found = nodes_.find(node_id);
  if (found != nodes_.end()) found->second.refused = true;
}

void HealthMonitor::peer_says(TimePoint now, std::string_view node_id, std::string_view peer,
                              bool reachable) {
  const auto found = nodes_.find(node_id);
  if (found == nodes_.end()) return;
  if (reachable) {
    found->second.seen_by_peer = now;
    found->second.doubters.erase(std::string(peer));
  } else {
    found->second.doubters.emplace(peer);
  }
}

void HealthMonitor::forget(std::string_view node_id) {
  const auto found = nodes_.find(node_id);
  if (found != nodes_.end()) nodes_.erase(found);
}

std::optional<Duration> HealthMonitor::silence(TimePoint now, std::string_view node_id) const {
  const auto found = nodes_.find(node_id);
  if (found == nodes_.end()) return std::nullopt;
  // A grace may have moved it ahead.
  return std::max(now - found->second.heard, Duration::zero());
}

NodeState HealthMonitor::state(std::string_view node_id) const {
  const auto found = nodes_.find(node_id);
  return found == nodes_.end() ? NodeState::kDead : found->second.state;
}

bool HealthMonitor::certainly_dead(const Watched& node) const {
  return node.refused || static_cast<int>(node.doubters.size()) >= options_.peers_to_confirm;
}

bool HealthMonitor::too_many_silent(TimePoint now) const {
  int expected = 0;
  int silent = 0;
  int living = 0;
  for (const auto& [id, node] : nodes_) {
    const Duration silence = now - node.heard;
    if (certainly_dead(node)) continue;
    const bool lapsed = silence >= options_.dead_after;
    // A node that died long ago, one of few, is no longer expected.
    if (node.state == NodeState::kDead && silence >= options_.dead_after + options_.window)
      continue;
    ++expected;
    if (lapsed) ++silent;
    if (!lapsed) ++living;
  }
  if (silent == 0) return false;
  const auto tolerated = std::max(1.0, options_.tolerated * expected);
  return silent > tolerated || living == 0;
}

bool HealthMonitor::enough_heard(TimePoint now) const {
  int expected = 0;
  int living = 0;
  for (const auto& [id, node] : nodes_) {
    if (node.state == NodeState::kDead || certainly_dead(node)) continue;
    ++expected;
    if (now - node.heard < options_.suspect_after) ++living;
  }
  return living > 0 && living >= options_.thaw_at * expected;
}

NodeState HealthMonitor::judge(TimePoint now, const Watched& node) const {
  const Duration silence = now - node.heard;
  if (certainly_dead(node)) return NodeState::kDead;
  if (silence < options_.suspect_after) return NodeState::kUp;
  if (silence < options_.dead_after) return NodeState::kSuspect;
  if (node.state == NodeState::kDead && silence >= options_.dead_after + options_.window) {
    return NodeState::kDead;  // it died before the others fell silent
  }
  if (!preserving_) return NodeState::kDead;
  const TimePoint last_sign = std::max(node.heard, node.seen_by_peer);
  const bool given_up = now - last_sign >= options_.dead_after + options_.frozen_limit;
  return given_up ? NodeState::kDead : NodeState::kFrozen;
}

std::vector<HealthMonitor::Verdict> HealthMonitor::tick(TimePoint now) {
  if (now - last_tick_ > options_.own_pause) begin_grace(now);
  last_tick_ = now;
  if (preserving_ ? enough_heard(now) : too_many_silent(now)) preserving_ = !preserving_;

  std::vector<Verdict> verdicts;
  bool one_lives = false;
  for (const auto& [id, node] : nodes_) {
    one_lives = one_lives || (judge(now, node) != NodeState::kDead);
  }
  for (auto& [id, node] : nodes_) {
    NodeState state = judge(now, node);
    if (in_grace(now) && state != NodeState::kUp && !certainly_dead(node)) continue;
    // Silence alone never empties the registry.
    if (state == NodeState::kDead && !one_lives && !certainly_dead(node))
      state = NodeState::kFrozen;
    if (state == node.state) continue;
    node.state = state;
    verdicts.push_back({id, state});
  }
  return verdicts;
}

}  // namespace cenote::cluster
