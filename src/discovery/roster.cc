// A registry of this process's own, which hears of a node whenever a list shows it alive.
#include "discovery/roster.h"

#include <algorithm>
#include <set>
#include <utility>

namespace cenote::discovery {
namespace {

// The lease was the wait: whom a list does not show is silent for long enough.
cluster::ServiceRegistry::Options rules() {
  cluster::ServiceRegistry::Options options;
  options.health.suspect_after = Duration(1);
  options.health.dead_after = Duration(1);
  options.health.grace = Duration::zero();
  options.health.own_pause = Duration::max();
  options.history = 1;
  return options;
}

}  // namespace

Roster::Roster(std::string cluster, std::string self, TimePoint now)
    : self_(std::move(self)), registry_(std::move(cluster), 1, rules(), now, {}) {}

void Roster::take(TimePoint now, const Entry& entry) {
  // Older than what is known, or malformed: as if it was not there.
  const Result<cluster::NodeRecord> record = registry_.register_node(now, entry.about);
  if (!record.ok()) return;
  cluster::Heartbeat beat;
  beat.node_id = entry.about.node_id;
  beat.incarnation = entry.about.incarnation;
  beat.lease = record->lease;
  beat.seq = ++seq_;
  beat.pools = entry.about.pools;
  beat.config_version = entry.config_version;
  beat.draining = entry.draining;
  (void)registry_.heartbeat(now, beat);
}

Result<cluster::Snapshot> Roster::apply(TimePoint now, const Listing& listing) {
  const cluster::Snapshot before = registry_.snapshot(now);
  const bool one_lives = std::any_of(listing.entries.begin(), listing.entries.end(),
                                     [](const Entry& entry) { return entry.alive; });
  const auto lives = [&](const Entry& entry) {
    // A first look at a store where all have lapsed: better all than none.
    return entry.alive || (!one_lives && before.nodes.empty());
  };
  std::set<std::string, std::less<>> living;
  for (const Entry& entry : listing.entries) {
    if (lives(entry)) living.insert(entry.about.node_id);
  }
  if (!self_.empty()) {
    self_seen_ = self_seen_ || living.contains(self_);
    if (self_seen_ && !living.contains(self_)) {
      return make_error(ErrorKind::kOperational,
                        "the list does not show this node, '" + self_ +
                            "', and is not believed; has the store lost its data, or the token "
                            "its rights?");
    }
  }
  for (const Entry& entry : listing.entries) {
    if (lives(entry)) take(now, entry);
  }
  for (const cluster::Node& node : before.nodes) {
    const bool said_goodbye = node.state == cluster::NodeState::kDraining;
    if (said_goodbye && !living.contains(node.about.node_id)) registry_.remove(node.about.node_id);
  }
  (void)registry_.tick(now);
  return registry_.snapshot(now);
}

}  // namespace cenote::discovery
