// ADR-002's HealthMonitor: which nodes live, judged by their silence. Pure: events and a time in,
// verdicts out.
//
// A node silent for `suspect_after` gets no new work, after `dead_after` it is dead. Too many
// silent at once speak against our own ears rather than against them (self-preservation, as
// Eureka's): then they are frozen instead, listed last, until enough are heard again. What is
// certain (a node that left, a refused connection, three peers that agree) is believed at once and
// lowers the number of nodes expected, so that preservation ends (Netflix/eureka#1073).
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/instance.h"

namespace cenote::cluster {

class HealthMonitor {
 public:
  struct Options {
    Duration suspect_after = std::chrono::seconds(3);
    Duration dead_after = std::chrono::seconds(5);
    // After a start, or a pause of our own, nobody is judged for this long.
    Duration grace = std::chrono::seconds(10);
    // Our own clock standing still for longer than this is such a pause.
    Duration own_pause = std::chrono::seconds(1);
    // More than this share of the expected nodes (and more than one) silent within the window
    // freezes them; this share heard again thaws.
    Duration window = std::chrono::seconds(15);
    double tolerated = 0.33;
    double thaw_at = 0.85;
    // A frozen node that nobody has heard of for this long is dead after all.
    Duration frozen_limit = std::chrono::seconds(60);
    int peers_to_confirm = 3;
  };
  struct Verdict {
    std::string node_id;
    NodeState state;  // kUp, kSuspect, kFrozen or kDead
  };

  HealthMonitor(Options options, TimePoint now);

  // A node registered or sent a heartbeat.
  void heard(TimePoint now, std::string_view node_id);
  // Its port refused a connection: dead without waiting.
  void refused(std::string_view node_id);
  // A peer can or cannot reach it.
  void peer_says(TimePoint now, std::string_view node_id, std::string_view peer, bool reachable);
  // It left of its own will.
  void forget(std::string_view node_id);

  // What changed since the last tick. Call at least every `own_pause`.
  std::vector<Verdict> tick(TimePoint now);

  bool preserving() const { return preserving_; }
  bool in_grace(TimePoint now) const { return now < grace_until_; }
  NodeState state(std::string_view node_id) const;
  // How long ago it was heard last; none if it is not known.
  std::optional<Duration> silence(TimePoint now, std::string_view node_id) const;

 private:
  struct Watched {
    TimePoint heard;
    TimePoint seen_by_peer = TimePoint::min();
    NodeState state = NodeState::kUp;
    bool refused = false;
    std::set<std::string, std::less<>> doubters;  // peers that cannot reach it
  };

  void begin_grace(TimePoint now);
  bool certainly_dead(const Watched& node) const;
  bool too_many_silent(TimePoint now) const;
  bool enough_heard(TimePoint now) const;
  NodeState judge(TimePoint now, const Watched& node) const;

  const Options options_;
  std::map<std::string, Watched, std::less<>> nodes_;
  TimePoint last_tick_;
  TimePoint grace_until_;
  bool preserving_ = false;
};

}  // namespace cenote::cluster
