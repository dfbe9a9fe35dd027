// Entering, renewing, watching, appending.
#include "simulation/store_parties.h"

#include <map>
#include <utility>

#include "simulation/coordinated_node.h"

namespace cenote::simulation {
namespace {

using cluster::ConfigId;
using cluster::View;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kTtl = seconds(5);
constexpr Duration kConfirm = seconds(5);
constexpr Duration kPoll = milliseconds(300);  // stands for the store's own watch
constexpr int kFailures = 3;
constexpr uint64_t kLookEvery = 3;
constexpr int kMostAttempts = 8;

std::string version_key(uint64_t version) {
  return std::string(kVersions) + std::to_string(version);
}

// A version behind a head that was seen, in one step.
KvStore::Write appending(const discovery::ConfigVersion& version, uint64_t head_seen) {
  const std::string key = version_key(version.version);
  return {.conditions = {{std::string(kHead), head_seen}, {key, 0}},
          .puts = {{key, discovery::config_text(version), 0},
                   {std::string(kHead), discovery::head_text(version), 0}},
          .deletes = {}};
}

// Reading a text is most of a world's time, and the same is read by all.
const discovery::Entry* entry_of(const std::string& text) {
  static std::map<std::string, std::optional<discovery::Entry>> known;
  if (known.size() > 1'000) known.clear();
  const auto [at, first] = known.try_emplace(text);
  if (first) {
    Result<discovery::Entry> entry = discovery::entry_from(text);
    if (entry.ok()) at->second = std::move(*entry);
  }
  return at->second ? &*at->second : nullptr;
}

discovery::Listing listing_of(const KvStore::Range& range) {
  discovery::Listing listing;
  listing.revision = range.revision;
  for (const auto& [key, item] : range.items) {
    const discovery::Entry* entry = entry_of(item.value);
    if (entry != nullptr) listing.entries.push_back(*entry);
  }
  return listing;
}

}  // namespace

cluster::Rollout::Options staged() {
  cluster::Rollout::Options options;
  options.hold = kStage;
  options.ack_within = 2 * kStage;
  return options;
}

StoreWatcher::StoreWatcher(World& world, KvStore& store, ProcessId process, std::string self)
    : world_(world),
      store_(store),
      process_(process),
      self_(std::move(self)),
      view_(world, world.name(process)) {}

void StoreWatcher::boot() {
  view_.forget();
  roster_.emplace("simulated", self_, world_.clock(process_));
  shown_ = seen_ = 0;
  list();
}

void StoreWatcher::again() {
  const uint64_t generation = ++generation_;
  world_.after(process_, world_.random().between(milliseconds(50), milliseconds(1500)),
               [this, generation] {
                 if (generation == generation_) list();
               });
}

void StoreWatcher::list() {
  const uint64_t generation = ++generation_;
  relist_at_ = world_.clock(process_) + world_.random().between(seconds(48), seconds(72));
  store_.ask<std::optional<KvStore::Range>>(
      process_, [this] { return std::optional(store_.range(kNodes)); },
      [this, generation](const Result<std::optional<KvStore::Range>>& range) {
        if (generation == generation_) take(range, true);
      });
}

void StoreWatcher::wait(uint64_t generation) {
  if (generation != generation_) return;
  if (world_.clock(process_) >= relist_at_) return list();
  const bool confirm = world_.clock(process_) - confirmed_at_ >= kConfirm;
  store_.ask<std::optional<KvStore::Range>>(
      process_, [this, known = confirm ? 0 : seen_] { return store_.newer(kNodes, known); },
      [this, generation](const Result<std::optional<KvStore::Range>>& range) {
        if (generation == generation_) take(range, false);
      });
}

void StoreWatcher::take(const Result<std::optional<KvStore::Range>>& range, bool whole) {
  if (!range.ok()) return again();
  const TimePoint now = world_.clock(process_);
  if (*range) {
    seen_ = (*range)->revision;
    confirmed_at_ = now;
    const discovery::Listing listing = listing_of(**range);
    if (listing.entries.empty() && world_.has(Bug::kEmptyAnswerTaken)) {
      roster_.emplace("simulated", "", now);
    }
    const Result<cluster::Snapshot> shown = roster_->apply(now, listing);
    if (!shown.ok()) {
      world_.checks().hit(Sometimes::kSelfMissing);
      return again();
    }
    if (listing.entries.empty() && !view_.view().is_empty()) {
      world_.checks().hit(Sometimes::kEmptyAnswerKept);
    }
    const bool same = !whole && shown->revision == shown_;
    shown_ = shown->revision;
    const View::Next next =
        same ? view_.bookmark(now, shown->term, shown->revision) : view_.list(now, *shown);
    if (next == View::Next::kList) {
      world_.checks().hit(Sometimes::kRelisted);
      return again();
    }
  }
  world_.after(process_, kPoll, [this, generation = generation_] { wait(generation); });
}

StoreNode::StoreNode(World& world, KvStore& store, ConfigTruth& truth, const std::string& name)
    : world_(world),
      store_(store),
      truth_(truth),
      picky_(world.random().chance(0.5)),
      process_(world.add(name, [this] { boot(); })),
      watcher_(world, store, process_, name) {}

void StoreNode::boot() {
  ++incarnation_;
  sequence_ = beats_ = lease_ = written_ = config_version_ = 0;
  failures_ = 0;
  missing_ = false;
  config_rejected_.reset();
  handed_on_ = {};
  newest_ = {};
  staging_.emplace(staged());
  watcher_.boot();
  enter();
  if (on_boot) on_boot();
}

discovery::Entry StoreNode::entry() const {
  discovery::Entry entry;
  entry.about.node_id = id();
  entry.about.incarnation = incarnation_;
  entry.about.location = "grpc://" + id() + ":8815";
  entry.about.pools = {{.pool_id = std::string(kPool), .type = "sqlite", .max = 10}};
  entry.sequence = sequence_;
  entry.config_version = config_version_;
  entry.config_rejected = config_rejected_;
  if (config_rejected_) entry.config_reason = "it is bad";
  if (!world_.has(Bug::kNumberIsEnough)) handed_on_.name(&entry);
  return entry;
}

void StoreNode::enter() {
  const uint64_t generation = ++generation_;
  ++sequence_;
  store_.ask<std::optional<KvStore::Item>>(
      process_, [this, key = key()] { return store_.get(key); },
      [this, generation](const Result<std::optional<KvStore::Item>>& found) {
        if (generation != generation_) return;
        if (!found.ok()) return lost();
        if (*found) {
          const Result<discovery::Entry> other = discovery::entry_from((*found)->value);
          if (other.ok() && other->about.incarnation > incarnation_) {
            world_.checks().hit(Sometimes::kOldProcessRefused);
            return lost();
          }
        }
        commit_entry(*found ? (*found)->version : 0);
      });
}

void StoreNode::commit_entry(uint64_t seen_version) {
  struct Entered {
    uint64_t lease = 0;
    uint64_t version = 0;
  };
  const std::string text = discovery::entry_text(entry());
  store_.ask<Entered>(
      process_,
      [this, key = key(), text, seen_version]() -> Entered {
        const uint64_t lease = store_.grant(kTtl);
        const KvStore::Committed done = store_.commit(
            {.conditions = {{key, seen_version}}, .puts = {{key, text, lease}}, .deletes = {}});
        if (done.outcome != KvStore::Outcome::kWritten) return {};
        return {lease, done.revision};
      },
      [this, text, generation = generation_](const Result<Entered>& entered) {
        if (generation != generation_) return;
        if (!entered.ok() || entered->lease == 0) return lost();
        lease_ = entered->lease;
        written_ = entered->version;
        text_ = text;
        failures_ = 0;
        beat(generation);
      });
}

// All begins anew, a little later.
void StoreNode::lost() {
  const uint64_t generation = ++generation_;
  world_.after(process_, world_.random().between(milliseconds(50), milliseconds(1000)),
               [this, generation] {
                 if (generation == generation_) enter();
               });
}

void StoreNode::failed(uint64_t generation) {
  if (generation == generation_ && ++failures_ >= kFailures) lost();
}

void StoreNode::beat(uint64_t generation) {
  if (generation != generation_) return;
  const Duration third = kTtl / 3;
  world_.after(process_, world_.random().between(third * 9 / 10, third * 11 / 10),
               [this, generation] { beat(generation); });
  ++beats_;
  store_.ask<bool>(
      process_, [this, lease = lease_] { return store_.keep_alive(lease); },
      [this, generation](const Result<bool>& held) {
        if (generation != generation_) return;
        if (!held.ok()) return failed(generation);
        if (!*held && !world_.has(Bug::kLapsedLeaseTrusted)) {
          world_.checks().hit(Sometimes::kLeaseLost);
          return lost();
        }
        failures_ = 0;
        update(generation);
      });
}

void StoreNode::update(uint64_t generation) {
  const std::string text = discovery::entry_text(entry());
  const bool bug = world_.has(Bug::kLapsedLeaseTrusted);
  if (text == text_ || bug) return bug ? read_head(generation) : look(generation);
  store_.ask<KvStore::Committed>(
      process_,
      [this, key = key(), text, lease = lease_, seen = written_] {
        return store_.commit(
            {.conditions = {{key, seen}}, .puts = {{key, text, lease}}, .deletes = {}});
      },
      [this, generation, text](const Result<KvStore::Committed>& done) {
        if (generation != generation_) return;
        if (!done.ok()) return failed(generation);
        if (done->outcome != KvStore::Outcome::kWritten) return lost();
        written_ = done->revision;
        text_ = text;
        look(generation);
      });
}

void StoreNode::look(uint64_t generation) {
  if (!missing_ && beats_ % kLookEvery != 0) return read_head(generation);
  store_.ask<KvStore::Range>(
      process_, [this] { return store_.range(kNodes); },
      [this, generation](const Result<KvStore::Range>& range) {
        if (generation != generation_) return;
        if (!range.ok()) return failed(generation);
        for (const discovery::Entry& each : listing_of(*range).entries) {
          if (each.about.node_id != id()) continue;
          missing_ = false;
          return each.about.incarnation <= incarnation_ ? read_head(generation) : lost();
        }
        // The first time somebody may have taken the node out: it enters again.
        if (!std::exchange(missing_, true)) return lost();
        failed(generation);
      });
}

void StoreNode::read_head(uint64_t generation) {
  store_.ask<ConfigId>(
      process_,
      [this]() -> ConfigId {
        const auto head = store_.get(std::string(kHead));
        return head ? discovery::head_from(head->value).ValueOr(ConfigId()) : ConfigId();
      },
      [this, generation](const Result<ConfigId>& head) {
        if (generation != generation_ || !head.ok()) return;
        staging_->heard(world_.clock(process_));
        if (head->version == 0) return;
        const discovery::Entry now = entry();
        const ConfigId known = world_.has(Bug::kNumberIsEnough) ? ConfigId{head->version} : *head;
        if (now.done_with(known) && !staging_->is_under_way(known)) return;
        if (now.config_version == head->version && !now.done_with(*head)) {
          world_.checks().hit(Sometimes::kNumberAgain);
        }
        fetch(generation, known);
      });
}

void StoreNode::fetch(uint64_t generation, const ConfigId& head) {
  if (newest_.version != 0 && same(newest_.id(), head)) return follow(generation);
  store_.ask<std::optional<KvStore::Item>>(
      process_, [this, version = head.version] { return store_.get(version_key(version)); },
      [this, generation, head,
       wipes = store_.wipes()](const Result<std::optional<KvStore::Item>>& item) {
        if (generation != generation_ || !item.ok() || !*item) return;
        const Result<discovery::ConfigVersion> config = discovery::config_from((*item)->value);
        if (!config.ok()) return world_.checks().fail("a configuration is not readable");
        newest_ = *config;
        newest_wipes_ = wipes;
        if (same(newest_.id(), head)) follow(generation);
      });
}

void StoreNode::follow(uint64_t generation) {
  store_.ask<KvStore::Range>(
      process_, [this] { return store_.range(kNodes); },
      [this, generation](const Result<KvStore::Range>& range) {
        if (generation != generation_ || !range.ok()) return;
        const discovery::Staging::Step step =
            staging_->look(world_.clock(process_), newest_, listing_of(*range).entries, id());
        if (!step.failed.empty()) return go_back(generation, step);
        if (entry().done_with(newest_.id())) return;
        if (step.take || world_.has(Bug::kNoStages)) return take_config();
        world_.checks().hit(Sometimes::kStageHeld);
      });
}

void StoreNode::take_config() {
  if (on_take) on_take(newest_);
  if (newest_wipes_ == store_.wipes()) truth_.handed_out(newest_.version, newest_.content);
  const bool bad = is_bad(newest_.content) && picky_;
  if (world_.tracing()) {
    world_.trace(id(), (bad ? "refuses " : "applies ") + std::to_string(newest_.version) + ", " +
                           newest_.content);
  }
  handed_on_.note(newest_.id(), !bad);
  if (bad) {
    config_rejected_ = newest_.version;
    return;
  }
  config_rejected_.reset();
  config_version_ = newest_.version;
  content_ = newest_.content;
}

void StoreNode::go_back(uint64_t generation, const discovery::Staging::Step& step) {
  if (world_.has(Bug::kNoWayBack)) return;
  const auto stuck = [this] {
    stuck_at_ = newest_.version;
    stuck_wipes_ = newest_wipes_;
  };
  if (step.back_to.version == 0) return stuck();
  store_.ask<KvStore::Range>(
      process_, [this] { return store_.range("config/"); },
      [this, generation, step, stuck](const Result<KvStore::Range>& range) {
        if (generation != generation_ || !range.ok()) return;
        const auto found = range->items.find(version_key(step.back_to.version));
        const auto head = range->items.find(std::string(kHead));
        if (head == range->items.end()) return;
        if (!same(*discovery::head_from(head->second.value), newest_.id())) return;
        if (found == range->items.end()) return stuck();
        discovery::ConfigVersion old = *discovery::config_from(found->second.value);
        if (!same(old.id(), step.back_to)) return stuck();
        old.version = newest_.version + 1;
        old.who = id();
        old.reason = step.failed;
        store_.ask<KvStore::Committed>(
            process_,
            [this, seen = head->second.version, old] {
              return store_.commit(appending(old, seen));
            },
            [this](const Result<KvStore::Committed>& done) {
              const bool won = done.ok() && done->outcome == KvStore::Outcome::kWritten;
              if (won) world_.checks().hit(Sometimes::kRolledBack);
            });
      });
}

StoreOperator::StoreOperator(World& world, KvStore& store, ConfigTruth& truth,
                             const std::string& name)
    : world_(world), store_(store), truth_(truth), process_(world.add(name, [this] { next(); })) {}

void StoreOperator::next() {
  const std::optional<Duration> pause = truth_.pause(world_.name(process_) == "o1");
  if (!pause) return;
  world_.after(process_, *pause, [this] {
    if (stopped_ || truth_.is_left()) return;
    const char* kind = world_.random().chance(0.3) ? "bad " : "good ";
    change_ = kind + world_.name(process_) + "-" + std::to_string(++count_);
    attempts_ = 0;
    attempt();
  });
}

// Looks first whether an attempt before, of whose end it does not know, has succeeded.
void StoreOperator::attempt() {
  if (stopped_ || ++attempts_ > kMostAttempts) return next();
  store_.ask<KvStore::Range>(
      process_, [this] { return store_.range("config/"); },
      [this, wipes = store_.wipes()](const Result<KvStore::Range>& range) {
        if (!range.ok()) {
          return world_.after(process_, seconds(1), [this] { attempt(); });
        }
        if (!world_.has(Bug::kNoIdempotency) && attempts_ > 1) {
          for (const auto& [key, item] : range->items) {
            if (!key.starts_with(kVersions)) continue;
            const auto version = discovery::config_from(item.value);
            if (!version.ok() || version->content != change_) continue;
            if (wipes == store_.wipes()) truth_.acknowledged(version->version, change_);
            world_.checks().hit(Sometimes::kRepeatedAnswer);
            return next();
          }
        }
        const auto head = range->items.find(std::string(kHead));
        if (head == range->items.end()) return append(0, 0);
        append(discovery::head_from(head->second.value).ValueOr(ConfigId()).version,
               head->second.version);
      });
}

void StoreOperator::append(uint64_t head, uint64_t head_version) {
  discovery::ConfigVersion version;
  version.version = head + 1;
  version.content = change_;
  version.who = world_.name(process_);
  store_.ask<KvStore::Committed>(
      process_,
      [this, head_version, version] { return store_.commit(appending(version, head_version)); },
      [this, version, wipes = store_.wipes()](const Result<KvStore::Committed>& done) {
        if (done.ok() && done->outcome == KvStore::Outcome::kWritten) {
          if (wipes == store_.wipes()) truth_.acknowledged(version.version, change_);
          return next();
        }
        world_.checks().hit(done.ok() ? Sometimes::kStaleWriter : Sometimes::kUnknownOutcome);
        world_.after(process_, world_.random().between(milliseconds(200), milliseconds(1500)),
                     [this] { attempt(); });
      });
}

}  // namespace cenote::simulation
