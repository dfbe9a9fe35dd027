// How a new version of the configuration reaches the nodes: one first (the canary), then a quarter,
// then all; back to the old version at the first refusal or when errors rise. Pure: reports and a
// time in, the version that each node should have out.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/deadline.h"

#include "cluster/config_id.h"

namespace cenote::cluster {

class Rollout {
 public:
  enum class Stage : uint8_t { kCanary, kQuarter, kAll, kDone, kRolledBack };
  struct Options {
    bool staged = true;                        // false: all at once, still rolled back at a refusal
    Duration hold = std::chrono::seconds(15);  // a stage lasts at least this long
    Duration ack_within = std::chrono::seconds(30);  // else the stage has failed
    double worse = 2.0;                              // errors above worse × before, and
    double least_error_rate = 0.01;                  // above this, end it
  };
  // What one node tells in its heartbeat.
  struct Report {
    ConfigId applied;
    ConfigId rejected;      // version 0: none
    std::string reason;     // of the rejection
    double error_rate = 0;  // of its statements since the last report, 0 to 1
  };

  Rollout(Options options, ConfigId version, ConfigId previous, TimePoint now);

  // The nodes that take part now; a node that leaves no longer holds a stage up.
  void members(const std::vector<std::string>& node_ids);
  void report(TimePoint now, std::string_view node_id, const Report& report);
  void abort(std::string reason);
  // True if the stage changed.
  bool tick(TimePoint now);

  // The version that the node is to have now.
  const ConfigId& wanted(std::string_view node_id) const;
  Stage stage() const { return stage_; }
  const ConfigId& version() const { return version_; }
  const ConfigId& previous() const { return previous_; }
  const std::string& reason() const { return reason_; }  // why it was rolled back
  // Node → what it said of this version: "applied", "rejected: …" or "waiting".
  std::map<std::string, std::string> acknowledgements() const;

 private:
  struct Member {
    bool chosen = false;  // its stage has come
    Report last;
    double error_rate_before = 0;
  };

  size_t wanted_count() const;
  void choose();
  bool all_applied() const;
  void roll_back(std::string reason);

  const Options options_;
  const ConfigId version_;
  const ConfigId previous_;
  Stage stage_ = Stage::kCanary;
  TimePoint stage_since_;
  std::map<std::string, Member, std::less<>> members_;
  std::string reason_;
};

std::string_view to_string(Rollout::Stage stage);

}  // namespace cenote::cluster
