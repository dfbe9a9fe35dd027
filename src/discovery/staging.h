// Roll-outs where no coordinator leads them: every node runs the same roll-out, by the list that
// all of them read, and takes a version when its turn has come. When one fails, whoever sees it
// writes the old content as a new version, and the store lets one of them win.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/rollout.h"
#include "discovery/directory.h"

namespace cenote::discovery {

// Pure; used by one thread.
class Staging {
 public:
  explicit Staging(cluster::Rollout::Options options) : options_(options) {}

  struct Step {
    bool take = false;   // the node's turn has come
    std::string failed;  // why all go back; empty: they do not
    // Then: what most nodes still have, since a version that overtook another on its way must not
    // bring that back; version 0: there is none.
    cluster::ConfigId back_to;
  };
  // The store has told its head: to be called each time, before look().
  void heard(TimePoint now) {
    before_ = heard_;
    heard_ = now;
  }
  // What the node `self` is to do about the newest version.
  Step look(TimePoint now, const ConfigVersion& head, const std::vector<Entry>& nodes,
            std::string_view self);
  // Whether the roll-out of this version is to be looked at further, also by who has it.
  bool is_under_way(const cluster::ConfigId& version) const;

  // The share of the node's own statements that failed lately, and the version that it has: why it
  // complains of that version, or nothing.
  std::optional<std::string> judge(double error_rate, const cluster::ConfigId& applied);

 private:
  void begin(TimePoint now, const ConfigVersion& head, const std::vector<Entry>& nodes,
             std::string_view self);

  const cluster::Rollout::Options options_;
  std::optional<cluster::Rollout> rollout_;
  std::optional<TimePoint> heard_;
  std::optional<TimePoint> before_;  // the time before that
  bool goes_back_ = false;           // it brings an old content back, which must not go back again
  double usual_errors_ = 0;          // an average of those without a roll-out
};

}  // namespace cenote::discovery
