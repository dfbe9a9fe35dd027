// The stages of a roll-out.
#include "cluster/rollout.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cenote::cluster {

std::string_view to_string(Rollout::Stage stage) {
  switch (stage) {
    case Rollout::Stage::kCanary:
      return "canary";
    case Rollout::Stage::kQuarter:
      return "quarter";
    case Rollout::Stage::kAll:
      return "all";
    case Rollout::Stage::kDone:
      return "done";
    case Rollout::Stage::kRolledBack:
      return "rolled_back";
  }
  return "unknown";
}

Rollout::Rollout(Options options, ConfigId version, ConfigId previous, TimePoint now)
    : options_(options),
      version_(std::move(version)),
      previous_(std::move(previous)),
      stage_(options.staged ? Stage::kCanary : Stage::kAll),
      stage_since_(now) {}

size_t Rollout::wanted_count() const {
  switch (stage_) {
    case Stage::kCanary:
      return std::min<size_t>(1, members_.size());
    case Stage::kQuarter:
      return static_cast<size_t>(std::ceil(static_cast<double>(members_.size()) / 4));
    default:
      return members_.size();
  }
}

// Those chosen stay chosen; others join in the order of their ids.
void Rollout::choose() {
  const size_t wanted = wanted_count();
  size_t chosen = 0;
  for (const auto& [id, member] : members_) chosen += member.chosen ? 1 : 0;
  for (auto& [id, member] : members_) {
    if (chosen >= wanted) break;
    if (member.chosen) continue;
    member.chosen = true;
    member.error_rate_before = member.last.error_rate;
    ++chosen;
  }
}

void Rollout::members(const std::vector<std::string>& node_ids) {
  std::erase_if(members_, [&](const auto& each) {
    return std::find(node_ids.begin(), node_ids.end(), each.first) == node_ids.end();
  });
  for (const std::string& id : node_ids) members_.try_emplace(id);
  choose();
}

void Rollout::roll_back(std::string reason) {
  stage_ = Stage::kRolledBack;
  reason_ = std::move(reason);
}

void Rollout::abort(std::string reason) {
  if (stage_ != Stage::kDone && stage_ != Stage::kRolledBack) roll_back(std::move(reason));
}

void Rollout::report(TimePoint, std::string_view node_id, const Report& report) {
  const auto found = members_.find(node_id);
  if (found == members_.end()) return;
  Member& member = found->second;
  member.last = report;
  if (stage_ == Stage::kDone || stage_ == Stage::kRolledBack || !member.chosen) return;
  if (same(report.rejected, version_)) {
    return roll_back("node '" + found->first + "' rejected it: " + report.reason);
  }
  const double limit =
      std::max(options_.worse * member.error_rate_before, options_.least_error_rate);
  if (same(report.applied, version_) && report.error_rate > limit) {
    roll_back("errors rose on node '" + found->first + "' from " +
              std::to_string(member.error_rate_before) + " to " +
              std::to_string(report.error_rate));
  }
}

bool Rollout::all_applied() const {
  return std::all_of(members_.begin(), members_.end(), [this](const auto& each) {
    return !each.second.chosen || same(each.second.last.applied, version_);
  });
}

bool Rollout::tick(TimePoint now) {
  // Where nobody is there, nobody is waited for, but a stage keeps its time: who comes meanwhile is
  // taken in.
  if (stage_ == Stage::kDone || stage_ == Stage::kRolledBack) return false;
  const Duration elapsed = now - stage_since_;
  if (!all_applied()) {
    if (elapsed < options_.ack_within) return false;
    std::string late;
    for (const auto& [id, member] : members_) {
      if (member.chosen && !same(member.last.applied, version_))
        late += (late.empty() ? "" : ", ") + id;
    }
    roll_back("not acknowledged in time by " + late);
    return true;
  }
  if (options_.staged && elapsed < options_.hold) return false;
  stage_since_ = now;
  stage_ = stage_ == Stage::kCanary    ? Stage::kQuarter
           : stage_ == Stage::kQuarter ? Stage::kAll
                                       : Stage::kDone;
  choose();
  return true;
}

const ConfigId& Rollout::wanted(std::string_view node_id) const {
  if (stage_ == Stage::kRolledBack) return previous_;
  if (stage_ == Stage::kDone || stage_ == Stage::kAll) return version_;
  const auto found = members_.find(node_id);
  return found != members_.end() && found->second.chosen ? version_ : previous_;
}

std::map<std::string, std::string> Rollout::acknowledgements() const {
  std::map<std::string, std::string> all;
  for (const auto& [id, member] : members_) {
    all[id] = same(member.last.rejected, version_)  ? "rejected: " + member.last.reason
              : same(member.last.applied, version_) ? "applied"
                                                    : "waiting";
  }
  return all;
}

}  // namespace cenote::cluster
