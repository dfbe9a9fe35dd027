// The one history of configurations.
#include "simulation/config_truth.h"

namespace cenote::simulation {

void ConfigTruth::follow_wipes() {
  if (wipes_ == store_.wipes()) return;
  wipes_ = store_.wipes();
  before_ = versions_.empty() ? 0 : versions_.rbegin()->first;
  versions_.clear();
  changes_.clear();
}

std::optional<Duration> ConfigTruth::pause(bool rewrites) {
  follow_wipes();
  Random& random = world_.random();
  if (before_ != 0 && newest() >= before_) {
    before_ = 0;
    left_ = random.chance(0.7);
  }
  if (left_) return std::nullopt;
  if (before_ != 0 && rewrites) {
    return random.between(std::chrono::milliseconds(50), std::chrono::milliseconds(500));
  }
  return random.between(std::chrono::seconds(3), std::chrono::seconds(25));
}

void ConfigTruth::written(uint64_t version, const std::string& content, const std::string& change) {
  follow_wipes();
  const std::string name = "configuration " + std::to_string(version);
  if (world_.tracing()) world_.trace("store", "has " + name + ": " + content);
  if (versions_.contains(version)) {
    return world_.checks().fail(name + " was written twice: '" + versions_[version] + "' and '" +
                                content + "'");
  }
  if (version != newest() + 1) {
    return world_.checks().fail(name + " follows " + std::to_string(newest()));
  }
  versions_[version] = content;
  if (change.empty()) return;
  const auto [made, first] = changes_.emplace(change, version);
  if (!first) {
    world_.checks().fail("the change '" + change + "' was made twice: as " + name + " and as " +
                         std::to_string(made->second));
  }
}

void ConfigTruth::acknowledged(uint64_t version, const std::string& content) {
  follow_wipes();
  const auto found = versions_.find(version);
  if (found == versions_.end() || found->second != content) {
    world_.checks().fail(
        "configuration " + std::to_string(version) + ", '" + content + "', was acknowledged, but " +
        (found == versions_.end() ? "there is none" : "that is '" + found->second + "'"));
  }
}

void ConfigTruth::handed_out(uint64_t version, const std::string& content) {
  follow_wipes();
  const auto found = versions_.find(version);
  if (found != versions_.end() && found->second == content) return;
  world_.checks().fail("a node was given configuration " + std::to_string(version) + " as '" +
                       content + "', which the store does not have");
}

uint64_t ConfigTruth::version_of(const std::string& change) {
  follow_wipes();
  const auto found = changes_.find(change);
  return found == changes_.end() ? 0 : found->second;
}

uint64_t ConfigTruth::newest() {
  follow_wipes();
  return versions_.empty() ? 0 : versions_.rbegin()->first;
}

const std::string* ConfigTruth::content(uint64_t version) {
  follow_wipes();
  const auto found = versions_.find(version);
  return found == versions_.end() ? nullptr : &found->second;
}

}  // namespace cenote::simulation
