// Election, fence and streams around the real coordinator.
#include "simulation/coordinator_actor.h"

#include <algorithm>
#include <utility>

#include "simulation/store_parties.h"

namespace cenote::simulation {
namespace {

using coordinator::Item;
using coordinator::PoolCoordinator;
using coordinator::StoreWrite;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLease = seconds(3);
constexpr Duration kLeads = seconds(2);  // two thirds
constexpr std::string_view kPrefix = "c/";

std::string leader_value(uint64_t term, ProcessId who) {
  return std::to_string(term) + "/" + std::to_string(who);
}

// Unix time, as a store that was never written to begins its terms with.
uint64_t unix_seconds(TimePoint now) {
  return 1'800'000'000 +
         static_cast<uint64_t>(std::chrono::floor<seconds>(now.time_since_epoch()).count());
}

class FencedStore final : public coordinator::Store {
 public:
  FencedStore(World& world, KvStore& store, ProcessId self, uint64_t term)
      : world_(world), store_(store), self_(self), term_(term) {}

  Result<std::optional<Item>> get(const CallContext& /*context*/, std::string_view key) override {
    ARROW_ASSIGN_OR_RAISE(const std::vector<Item> items, read(key));
    if (items.empty() || items.front().key != key) return std::optional<Item>();
    return std::optional<Item>(items.front());
  }
  Result<std::vector<Item>> list(const CallContext& /*context*/, std::string_view prefix) override {
    return read(prefix);
  }
  Result<uint64_t> commit(const CallContext& /*context*/, const StoreWrite& write) override {
    KvStore::Write fenced;
    for (const auto& condition : write.conditions) {
      fenced.conditions.push_back({std::string(kPrefix) + condition.key, condition.version});
    }
    for (const auto& [key, value] : write.puts) {
      fenced.puts.push_back({std::string(kPrefix) + key, value, 0});
    }
    for (const std::string& key : write.deletes)
      fenced.deletes.push_back(std::string(kPrefix) + key);
    fenced.term = term_;
    if (!world_.has(Bug::kNoFence)) {
      fenced.fence = {std::string(kLeaderKey), leader_value(term_, self_)};
    }
    const Result<KvStore::Committed> done = store_.commit_from(self_, fenced);
    if (!done.ok()) {
      world_.checks().hit(Sometimes::kUnknownOutcome);
      return done.status();
    }
    if (done->outcome == KvStore::Outcome::kFenced) {
      ErrorDetail detail;
      detail.kind = ErrorKind::kReadOnly;
      detail.sent = Sent::kNo;
      return make_error(std::move(detail), "another coordinator leads by now");
    }
    return done->outcome == KvStore::Outcome::kWritten ? done->revision : 0;
  }
  uint64_t term() const override { return term_; }

 private:
  Result<std::vector<Item>> read(std::string_view prefix) {
    ARROW_ASSIGN_OR_RAISE(const KvStore::Range range,
                          store_.range_from(self_, std::string(kPrefix) + std::string(prefix)));
    std::vector<Item> items;
    items.reserve(range.items.size());
    for (const auto& [key, item] : range.items) {
      items.push_back({key.substr(kPrefix.size()), item.value, item.version});
    }
    return items;
  }

  World& world_;
  KvStore& store_;
  const ProcessId self_;
  const uint64_t term_;
};

}  // namespace

CoordinatorActor::CoordinatorActor(World& world, KvStore& store, Terms& terms,
                                   const std::string& name)
    : world_(world), store_(store), terms_(terms), process_(world.add(name, [this] { boot(); })) {}

PoolCoordinator::Options CoordinatorActor::options() {
  PoolCoordinator::Options options;
  options.cluster = kCluster;
  options.rollout = staged();
  return options;
}

void CoordinatorActor::boot() {
  leading_.reset();
  last_known_.reset();
  streams_.clear();
  seen_term_ = 0;
  world_.after(process_, world_.random().between(milliseconds(0), milliseconds(900)),
               [this] { campaign(); });
  world_.after(process_, milliseconds(500), [this] { tick(); });
  world_.after(process_, seconds(5), [this] { bookmark(); });
}

PoolCoordinator* CoordinatorActor::leading() {
  if (leading_ != nullptr && world_.clock(process_) >= leads_until_) step_down("its lease is old");
  return leading_.get();
}

void CoordinatorActor::step_down(const char* why) {
  if (world_.tracing()) world_.trace(world_.name(process_), std::string("leads no more: ") + why);
  last_known_ = leading_->nodes();
  leading_.reset();
  // The end of a stream is an event of term 0.
  for (const Watching& each : streams_) {
    world_.send(process_, each.watcher, [stream = each.stream] { stream(WatchEvent()); });
  }
  streams_.clear();
}

void CoordinatorActor::campaign() {
  world_.after(process_, seconds(1), [this] { campaign(); });
  const TimePoint asked = world_.clock(process_);
  if (leading() != nullptr) {
    store_.ask<bool>(
        process_, [this, lease = lease_] { return store_.keep_alive(lease); },
        [this, asked, lease = lease_](const Result<bool>& held) {
          if (leading_ == nullptr || lease != lease_ || !held.ok()) return;
          if (!*held) return step_down("its lease is gone");
          leads_until_ = std::max(leads_until_, asked + kLeads);
        });
    return;
  }
  struct Ballot {
    bool won = false;
    uint64_t term = 0;
    uint64_t lease = 0;
  };
  const uint64_t unix_time = unix_seconds(world_.now());
  store_.ask<Ballot>(
      process_,
      [this, unix_time, seen = seen_term_]() -> Ballot {
        const auto last = store_.get("term");
        const uint64_t known = last ? std::stoull(last->value) : 0;
        if (store_.get(std::string(kLeaderKey))) return {false, known, 0};
        const uint64_t term = std::max(std::max(known, seen) + 1, unix_time);
        const uint64_t lease = store_.grant(kLease);
        KvStore::Write write;
        write.conditions = {{std::string(kLeaderKey), 0}, {"term", last ? last->version : 0}};
        write.puts = {{std::string(kLeaderKey), leader_value(term, process_), lease},
                      {"term", std::to_string(term), 0}};
        const bool written = store_.commit(write).outcome == KvStore::Outcome::kWritten;
        if (written) terms_.newest = std::max(terms_.newest, term);
        return {written, term, lease};
      },
      [this, asked](const Result<Ballot>& ballot) {
        if (!ballot.ok() || leading_ != nullptr) return;
        seen_term_ = std::max(seen_term_, ballot->term);
        if (ballot->won) won(ballot->term, ballot->lease, asked);
      });
}

void CoordinatorActor::won(uint64_t term, uint64_t lease, TimePoint asked) {
  leads_until_ = asked + kLeads;
  if (world_.clock(process_) >= leads_until_) return;  // it stood still meanwhile
  Result<std::unique_ptr<PoolCoordinator>> opened = PoolCoordinator::open(
      options(), std::make_unique<FencedStore>(world_, store_, process_, term));
  if (!opened.ok()) return;  // the lease ends by itself
  lease_ = lease;
  leading_ = std::move(*opened);
  last_tick_ = world_.clock(process_);
  world_.checks().hit(Sometimes::kLeaderChanged);
  if (world_.tracing()) world_.trace(world_.name(process_), "leads, term " + std::to_string(term));
}

void CoordinatorActor::tick() {
  world_.after(process_, milliseconds(500), [this] { tick(); });
  if (leading() == nullptr) return;
  const TimePoint now = world_.clock(process_);
  if (now - last_tick_ > seconds(1)) world_.checks().hit(Sometimes::kOwnPauseSeen);
  last_tick_ = now;
  leading_->tick();
  if (!world_.has(Bug::kNoRollback)) leading_->settle();
  flush();
}

void CoordinatorActor::flush() {
  if (leading_ == nullptr) return;
  const uint64_t newest = leading_->revision();
  const uint64_t term = leading_->term();
  for (Watching& each : streams_) {
    if (each.revision == newest) continue;
    const auto changes = leading_->changes_after(each.revision);
    if (!changes) continue;
    for (const cluster::Change& change : *changes) {
      WatchEvent event{term, change.revision, change};
      world_.send(process_, each.watcher, [stream = each.stream, event] { stream(event); });
    }
    each.revision = newest;
  }
}

void CoordinatorActor::bookmark() {
  world_.after(process_, seconds(5), [this] { bookmark(); });
  if (leading() == nullptr) return;
  for (const Watching& each : streams_) {
    const WatchEvent event{leading_->term(), each.revision, {}};
    world_.send(process_, each.watcher, [stream = each.stream, event] { stream(event); });
  }
}

bool CoordinatorActor::watch(ProcessId watcher, uint64_t revision, Stream stream) {
  std::erase_if(streams_, [&](const Watching& each) { return each.watcher == watcher; });
  if (!leading_->changes_after(revision)) return false;
  streams_.push_back({watcher, revision, std::move(stream)});
  flush();
  return true;
}

}  // namespace cenote::simulation
