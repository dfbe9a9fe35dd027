// The two loops, over any directory.
#include "discovery/store_discovery.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/log.h"
#include "discovery/backoff.h"
#include "discovery/handed_on.h"
#include "discovery/roster.h"
#include "discovery/staging.h"

namespace cenote::discovery {
namespace {

using cluster::ConfigId;
using cluster::View;

constexpr int kFailures = 3;        // renewals in a row that may fail before all begins anew
constexpr uint64_t kLookEvery = 3;  // renewals between two looks at the list

Result<std::unique_ptr<Directory>> open_directory(const StoreDiscoveryOptions& options) {
  return options.store == StoreDiscoveryOptions::Store::kEtcd ? etcd_directory(options.directory)
                                                              : consul_directory(options.directory);
}

// Some may follow at once, then one a second: a store in trouble changes much and often.
class Brake {
 public:
  bool wait(const std::stop_token& stop) {
    const TimePoint now = Clock::now();
    const double passed = std::chrono::duration<double>(now - filled_).count();
    tokens_ = std::min(kBurst, tokens_ + passed);
    filled_ = now;
    tokens_ -= 1;
    if (tokens_ >= 0) return !stop.stop_requested();
    const std::chrono::duration<double> owed(-tokens_);
    return pause(stop, std::chrono::duration_cast<Duration>(owed));
  }

 private:
  static constexpr double kBurst = 4;
  double tokens_ = kBurst;
  TimePoint filled_ = Clock::now();
};

// Load changes all the time and is told with every answer; only what lasts is published, but of a
// node that is drained, which somebody waits for.
void forget_load(std::vector<cluster::PoolReport>* pools) {
  for (cluster::PoolReport& pool : *pools) {
    pool.active = pool.idle = pool.waiting = 0;
    pool.lag.reset();
  }
}

Entry entry_of(Member& member, const cluster::Heartbeat& beat, uint64_t sequence) {
  Entry entry;
  entry.about = member.about();
  entry.about.pools = beat.pools;
  entry.sequence = sequence;
  entry.draining = beat.draining;
  entry.config_version = beat.config_version;
  entry.config_rejected = beat.config_rejected;
  entry.config_reason = beat.config_reason.substr(0, 300);
  return entry;
}

cluster::Heartbeat heartbeat_of(Member& member) {
  cluster::Heartbeat beat;
  member.fill(&beat);
  return beat;
}

class StoreDiscovery final : public ServiceDiscovery {
 public:
  explicit StoreDiscovery(StoreDiscoveryOptions options)
      : options_(std::move(options)), staging_(options_.rollout) {}

  void watch(const std::stop_token& stop, Watcher& watcher) override {
    const auto directory = open_directory(options_);
    if (!directory.ok()) return watcher.failed(directory.status());  // was checked before
    Roster roster(options_.directory.cluster, options_.self, Clock::now());
    Brake brake;
    Backoff backoff;
    while (!stop.stop_requested()) {
      const Status status = list_and_follow(stop, **directory, roster, watcher, brake, backoff);
      if (stop.stop_requested()) return;
      if (!status.ok()) watcher.failed(status);
      backoff.wait(stop);
    }
  }

  void serve(const std::stop_token& stop, Member& member) override {
    const auto directory = open_directory(options_);
    if (!directory.ok()) return member.renewed(directory.status());
    Backoff backoff;
    while (!stop.stop_requested()) {
      const Status status = register_and_renew(stop, **directory, member, backoff);
      if (stop.stop_requested()) break;
      member.renewed(status);
      backoff.wait(stop);
    }
    (*directory)->leave(entry_of(member, heartbeat_of(member), sequence_));
  }

  // Reads what every process may read, from whoever leads. A refusal is an answer.
  Status probe(const std::stop_token& stop) override {
    if (probed_ == nullptr) {
      StoreDiscoveryOptions quick = options_;
      quick.directory.store.call_timeout = kProbe;
      ARROW_ASSIGN_OR_RAISE(probed_, open_directory(quick));
    }
    const Status status = probed_->config_head(stop).status();
    return error_kind(status) == ErrorKind::kAuthentication ? Status::OK() : status;
  }

 private:
  // OK: the list is due again.
  Status list_and_follow(const std::stop_token& stop, Directory& directory, Roster& roster,
                         Watcher& watcher, Brake& brake, Backoff& backoff) const {
    if (!brake.wait(stop)) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(Listing listing, directory.list(stop));
    ARROW_ASSIGN_OR_RAISE(cluster::Snapshot shown, roster.apply(Clock::now(), listing));
    if (watcher.list(shown) == View::Next::kList) return Status::OK();
    backoff.reset();
    const TimePoint relist = Clock::now() + relist_after();
    while (!stop.stop_requested() && Clock::now() < relist) {
      ARROW_ASSIGN_OR_RAISE(Listing next, directory.wait(stop, listing, options_.confirm));
      const bool changed = next.entries != listing.entries;
      listing = std::move(next);
      ARROW_ASSIGN_OR_RAISE(cluster::Snapshot now, roster.apply(Clock::now(), listing));
      const bool same = now.revision == shown.revision;
      shown = std::move(now);
      const View::Next answer =
          same ? watcher.bookmark(shown.cluster, shown.term, shown.revision) : watcher.list(shown);
      if (answer == View::Next::kList) return Status::OK();
      if (changed && !brake.wait(stop)) return Status::OK();
    }
    return Status::OK();
  }

  Duration relist_after() const {
    std::minstd_rand random(std::random_device{}());
    const double share = std::uniform_real_distribution<double>(0.8, 1.2)(random);
    return Duration(static_cast<int64_t>(static_cast<double>(options_.relist.count()) * share));
  }

  // Ends when the lease is lost, or with what went wrong.
  Status register_and_renew(const std::stop_token& stop, Directory& directory, Member& member,
                            Backoff& backoff) {
    Entry entry = published(member, heartbeat_of(member), ++sequence_);
    ARROW_RETURN_NOT_OK(directory.enter(stop, entry));
    backoff.reset();
    std::minstd_rand random(std::random_device{}());
    std::uniform_real_distribution<double> jitter(0.9, 1.1);
    int failures = 0;
    for (uint64_t beats = 1; !stop.stop_requested(); ++beats) {
      const Status status = beat(stop, directory, member, &entry, beats);
      // A lost lease is taken anew at once; a store that does not answer is given some renewals.
      if (!status.ok() && error_kind(status) == ErrorKind::kInterface) return status;
      failures = status.ok() ? 0 : failures + 1;
      if (stop.stop_requested()) break;
      member.renewed(status);
      if (failures >= kFailures) return status;
      const auto third = static_cast<double>(options_.directory.ttl.count()) / 3;
      pause(stop, Duration(static_cast<int64_t>(third * jitter(random))));
    }
    return Status::OK();
  }

  Status beat(const std::stop_token& stop, Directory& directory, Member& member, Entry* entry,
              uint64_t beats) {
    ARROW_RETURN_NOT_OK(directory.renew(stop));
    ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> drained, directory.drained(stop));
    drained_ = std::find(drained.begin(), drained.end(), entry->about.node_id) != drained.end();
    const Entry now = published(member, heartbeat_of(member), entry->sequence);
    member.set_draining(now.draining);
    if (!(now == *entry)) {
      ARROW_RETURN_NOT_OK(directory.update(stop, now));
      *entry = now;
    }
    if (missing_ || beats % kLookEvery == 0) {
      ARROW_RETURN_NOT_OK(look_for(stop, directory, *entry));
    }
    ARROW_ASSIGN_OR_RAISE(const ConfigId head, directory.config_head(stop));
    staging_.heard(Clock::now());
    const bool news = head.version != 0 && !now.done_with(head);
    return news || staging_.is_under_way(head) ? follow(stop, directory, member, now, head)
                                               : Status::OK();
  }

  // As the node is, and as an operator or its own errors want it.
  Entry published(Member& member, const cluster::Heartbeat& beat, uint64_t sequence) {
    Entry entry = entry_of(member, beat, sequence);
    entry.draining = entry.draining || drained_;
    if (!entry.draining) forget_load(&entry.about.pools);
    handed_on_.name(&entry);
    const auto complaint = staging_.judge(beat.error_rate, entry.applied());
    if (complaint) complaint_ = {entry.applied(), *complaint};
    if (complaint_.first.version != 0 && complaint_.first == entry.applied()) {
      entry.config_rejected = entry.config_version;
      entry.config_rejected_hash = entry.config_hash;
      entry.config_reason = complaint_.second;
    }
    return entry;
  }

  // One look at the roll-out of the newest configuration.
  Status follow(const std::stop_token& stop, Directory& directory, Member& member,
                const Entry& entry, const ConfigId& head) {
    if (newest_.version == 0 || !same(newest_.id(), head)) {
      ARROW_ASSIGN_OR_RAISE(newest_, directory.config(stop, head.version));
    }
    if (!same(newest_.id(), head)) {
      log(LogLevel::kWarning, "discovery",
          "configuration " + std::to_string(head.version) +
              " is not what the store's head says, and is left alone; write another version");
      return Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(const Listing listing, directory.list(stop));
    const Staging::Step step =
        staging_.look(Clock::now(), newest_, listing.entries, entry.about.node_id);
    if (!step.failed.empty()) return go_back(stop, directory, entry, step);
    if (step.take && !entry.done_with(head)) take_config(member);
    return Status::OK();
  }

  // Who writes and is not in the list that it reads must not believe that list.
  Status look_for(const std::stop_token& stop, Directory& directory, const Entry& entry) {
    ARROW_ASSIGN_OR_RAISE(const Listing listing, directory.list(stop));
    for (const Entry& each : listing.entries) {
      const bool self = each.about.node_id == entry.about.node_id;
      if (!self || !each.alive) continue;
      missing_ = false;
      if (each.about.incarnation <= entry.about.incarnation) return Status::OK();
      return make_error(ErrorKind::kInterface,
                        "node '" + entry.about.node_id +
                            "' was taken over by a newer process; stop this one, or give one of "
                            "the two another node id");
    }
    // The first time somebody may have taken the node out: it enters again.
    const bool again = std::exchange(missing_, true);
    return make_error(again ? ErrorKind::kOperational : ErrorKind::kInterface,
                      "the lease is renewed, but the store's list does not show node '" +
                          entry.about.node_id +
                          "'; check that discovery.token may read the nodes, and that all "
                          "processes name the same store and cluster");
  }

  void take_config(Member& member) {
    const Status applied = member.apply_config(newest_.version, newest_.content);
    handed_on_.note(newest_.id(), applied.ok());
    if (applied.ok()) return;
    log(LogLevel::kWarning, "discovery",
        "configuration " + std::to_string(newest_.version) + " was refused: " + applied.message());
  }

  Status go_back(const std::stop_token& stop, Directory& directory, const Entry& entry,
                 const Staging::Step& step) {
    const ConfigId head = newest_.id();
    if (step.back_to.version == 0) return Status::OK();
    Result<ConfigVersion> found = directory.config(stop, step.back_to.version);
    // What the nodes have is of a store that was wiped since: they keep it.
    if (error_kind(found.status()) == ErrorKind::kUnknownPool && !found.ok()) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(ConfigVersion old, std::move(found));
    if (!same(old.id(), step.back_to)) return Status::OK();
    old.version = head.version + 1;
    old.at = utc_now();
    old.who = "node " + entry.about.node_id;
    old.reason = "back to version " + std::to_string(step.back_to.version) + ": " + step.failed;
    ARROW_ASSIGN_OR_RAISE(const bool won, directory.append_config(stop, head, old));
    if (won) {
      log(LogLevel::kWarning, "discovery",
          "configuration " + std::to_string(head.version) + " was taken back: " + step.failed);
    }
    return Status::OK();
  }

  const StoreDiscoveryOptions options_;
  // Of the serving thread.
  uint64_t sequence_ = 0;
  bool missing_ = false;  // the last look did not find this node
  bool drained_ = false;  // by an operator
  Staging staging_;
  ConfigVersion newest_;
  HandedOn handed_on_;
  std::pair<ConfigId, std::string> complaint_;  // of which version, and why; version 0: none

  std::unique_ptr<Directory> probed_;  // of the probing thread
};

// Taken to be up; the breakers of calls do the rest.
class StaticDiscovery final : public ServiceDiscovery {
 public:
  explicit StaticDiscovery(cluster::Snapshot nodes) : nodes_(std::move(nodes)) {}

  void watch(const std::stop_token& stop, Watcher& watcher) override {
    while (!stop.stop_requested()) {
      (void)watcher.list(nodes_);
      pause(stop, std::chrono::seconds(5));
    }
  }
  void serve(const std::stop_token& stop, Member& member) override {
    while (!stop.stop_requested()) {
      cluster::Heartbeat unheard;
      member.fill(&unheard);
      member.renewed(Status::OK());
      pause(stop, std::chrono::seconds(1));
    }
  }
  bool has_source() const override { return false; }
  Status probe(const std::stop_token& /*stop*/) override { return Status::OK(); }

 private:
  const cluster::Snapshot nodes_;
};

}  // namespace

Result<std::unique_ptr<ServiceDiscovery>> store_discovery(StoreDiscoveryOptions options) {
  const Duration ttl = options.directory.ttl;
  if (ttl < std::chrono::seconds(2) || ttl > std::chrono::minutes(1)) {
    return make_error(ErrorKind::kConfig, "discovery.ttl must be from 2s to 60s");
  }
  ARROW_RETURN_NOT_OK(open_directory(options).status());
  return std::make_unique<StoreDiscovery>(std::move(options));
}

Result<std::unique_ptr<ServiceDiscovery>> static_discovery(const StaticOptions& options) {
  if (options.nodes.empty()) {
    return make_error(ErrorKind::kConfig,
                      "discovery.endpoint is missing; write the nodes, as \"db1:8815, db2:8815\"");
  }
  if (options.pools.empty()) {
    return make_error(ErrorKind::kConfig,
                      "discovery.pools is missing; a fixed list must say what its nodes serve, as "
                      "\"main_db\"");
  }
  cluster::Snapshot all;
  all.cluster = options.cluster;
  all.term = 1;
  all.revision = 1;
  for (const std::string& place : options.nodes) {
    cluster::Node node;
    const size_t scheme = place.find("://");
    node.about.node_id = scheme == std::string::npos ? place : place.substr(scheme + 3);
    node.about.location = scheme == std::string::npos ? "grpc://" + place : place;
    for (const std::string& pool : options.pools) {
      node.about.pools.emplace_back().pool_id = pool;
    }
    all.nodes.push_back(std::move(node));
  }
  std::sort(all.nodes.begin(), all.nodes.end(), [](const cluster::Node& a, const cluster::Node& b) {
    return a.about.node_id < b.about.node_id;
  });
  return std::make_unique<StaticDiscovery>(std::move(all));
}

}  // namespace cenote::discovery
