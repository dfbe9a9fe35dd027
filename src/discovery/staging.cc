// One node's view of a roll-out.
#include "discovery/staging.h"

#include <algorithm>
#include <map>
#include <utility>

namespace cenote::discovery {
namespace {

using cluster::ConfigId;
using Stage = cluster::Rollout::Stage;

constexpr double kNewest = 0.2;  // the weight of the latest share of errors in the average

// Of as many nodes the older one. Where all have the newest already, the one before it.
ConfigId way_back(uint64_t head, const std::vector<Entry>& nodes) {
  std::map<std::pair<uint64_t, std::string>, int> counts;
  for (const Entry& node : nodes) {
    if (node.alive && node.config_version > 0 && node.config_version < head) {
      ++counts[{node.config_version, node.config_hash}];
    }
  }
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == counts.end()) return {head - 1};
  return {most->first.first, most->first.second};
}

}  // namespace

void Staging::begin(TimePoint now, const ConfigVersion& head, const std::vector<Entry>& nodes,
                    std::string_view self) {
  goes_back_ = !head.reason.empty();
  size_t others = 0;
  bool all_have_it = true;
  for (const Entry& node : nodes) {
    if (!node.alive || node.about.node_id == self) continue;
    ++others;
    all_have_it = all_have_it && same(node.applied(), head.id());
  }
  // Who comes when it is over takes it at once, and what it says of it is its own affair. Who heard
  // the store less than a stage ago was there when it began, though all others have it: of two
  // nodes the second, once the first has.
  rollout_.reset();
  const bool was_there = before_ && now - *before_ < options_.hold;
  if (others > 0 && all_have_it && !was_there) return;
  cluster::Rollout::Options options = options_;
  options.staged = options.staged && !goes_back_;
  rollout_.emplace(options, head.id(), ConfigId{head.version - 1}, now);
}

Staging::Step Staging::look(TimePoint now, const ConfigVersion& head,
                            const std::vector<Entry>& nodes, std::string_view self) {
  if (!is_under_way(head.id())) begin(now, head, nodes, self);
  if (!rollout_) return {true, "", {}};
  std::vector<std::string> living;
  for (const Entry& node : nodes) {
    if (node.alive) living.push_back(node.about.node_id);
  }
  rollout_->members(living);
  for (const Entry& node : nodes) {
    rollout_->report(now, node.about.node_id,
                     {node.applied(), node.rejected(), node.config_reason, 0});
  }
  (void)rollout_->tick(now);
  Step step;
  step.take = goes_back_ || rollout_->wanted(self).version == head.version;
  const bool failed = rollout_->stage() == Stage::kRolledBack && !goes_back_;
  if (failed) {
    step.failed = rollout_->reason();
    step.back_to = way_back(head.version, nodes);
  }
  return step;
}

bool Staging::is_under_way(const ConfigId& version) const {
  return rollout_ && same(rollout_->version(), version) && rollout_->stage() != Stage::kDone;
}

std::optional<std::string> Staging::judge(double error_rate, const ConfigId& applied) {
  if (!is_under_way(applied)) {
    usual_errors_ += kNewest * (error_rate - usual_errors_);
    return std::nullopt;
  }
  const double limit = std::max(options_.worse * usual_errors_, options_.least_error_rate);
  if (goes_back_ || error_rate <= limit) return std::nullopt;
  return "errors rose from " + std::to_string(usual_errors_) + " to " + std::to_string(error_rate);
}

}  // namespace cenote::discovery
