// Election, fence and streams around the real coordinator.
#include "simulation/coordinator_actor.h"

#include <algorithm>
#include <utility>

#include "coordinator/fenced_store.h"
#include "coordinator/standby.h"
#include "simulation/simulated_clock.h"
#include "simulation/store_parties.h"

namespace cenote::simulation {
namespace {

using coordinator::PoolCoordinator;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kElect = milliseconds(500);
constexpr Duration kLease = seconds(3);

}  // namespace

// As etcd's, each call carried by the simulated network.
class CoordinatorActor::Fence final : public coordinator::Fence {
 public:
  Fence(World& world, KvStore& store, ProcessId self) : world_(world), store_(store), self_(self) {}
  // Its process has died.
  void forget() { lease_ = 0; }

  Result<std::optional<Found>> read(Lane /*lane*/, const CallContext& /*context*/,
                                    const std::string& key) override {
    ARROW_ASSIGN_OR_RAISE(const auto item, store_.ask_from<std::optional<KvStore::Item>>(
                                               self_, [&] { return store_.get(key); }));
    if (!item) return std::optional<Found>();
    return std::optional(Found{item->value, item->version, right_of(item->created, item->value)});
  }
  Result<bool> claim(const CallContext& /*context*/, const Claim& claim) override {
    ARROW_ASSIGN_OR_RAISE(
        lease_, store_.ask_from<uint64_t>(self_, [this] { return store_.grant(kLease); }));
    KvStore::Write write;
    write.conditions = {{claim.leader_key, 0}, {claim.term_key, claim.term_version}};
    write.puts = {{claim.leader_key, claim.leader, lease_}, {claim.term_key, claim.term, 0}};
    ARROW_ASSIGN_OR_RAISE(const KvStore::Committed done, store_.commit_from(self_, write));
    const bool won = done.outcome == KvStore::Outcome::kWritten;
    if (!won) return false;
    created_ = done.revision;
    leader_ = claim.leader;
    term_ = std::stoull(claim.term);
    return true;
  }
  Result<bool> keep(const CallContext& /*context*/, const std::string& /*leader_key*/) override {
    return store_.ask_from<bool>(self_, [this] { return store_.keep_alive(lease_); });
  }
  void give_up(const CallContext& /*context*/) override {
    if (lease_ == 0) return;
    const auto ended = store_.ask_from<bool>(self_, [this] {
      store_.revoke(lease_);
      return true;
    });
    if (ended.ok()) lease_ = 0;
  }
  Result<std::vector<store::KeyItem>> list(const CallContext& /*context*/,
                                           const std::string& prefix) override {
    ARROW_ASSIGN_OR_RAISE(const KvStore::Range range, store_.range_from(self_, prefix));
    std::vector<store::KeyItem> items;
    for (const auto& [key, item] : range.items) items.push_back({key, item.value, item.version});
    return items;
  }
  Result<std::optional<uint64_t>> commit(const CallContext& /*context*/,
                                         const std::string& leader_key,
                                         const store::KeyChange& change) override {
    KvStore::Write write;
    for (const auto& [key, version] : change.conditions) write.conditions.push_back({key, version});
    for (const auto& [key, value] : change.puts) write.puts.push_back({key, value, 0});
    write.deletes = change.deletes;
    write.term = term_;
    if (!world_.has(Bug::kNoFence)) write.fence = {leader_key, created_, leader_};
    const Result<KvStore::Committed> done = store_.commit_from(self_, write);
    if (!done.ok()) {
      world_.checks().hit(Sometimes::kUnknownOutcome);
      return done.status();
    }
    const bool written = done->outcome == KvStore::Outcome::kWritten;
    return written ? std::optional(done->revision) : std::nullopt;
  }
  std::string right() const override { return right_of(created_, leader_); }
  size_t most_steps() const override { return 60; }

 private:
  static std::string right_of(uint64_t created, const std::string& leader) {
    return std::to_string(created) + " " + leader;
  }

  World& world_;
  KvStore& store_;
  const ProcessId self_;
  uint64_t lease_ = 0;
  uint64_t created_ = 0;  // the leader's key
  std::string leader_;    // and what it says
  uint64_t term_ = 0;
};

CoordinatorActor::CoordinatorActor(World& world, KvStore& store, const std::string& name)
    : world_(world), store_(store), process_(world.add(name, [this] { boot(); })) {}

CoordinatorActor::~CoordinatorActor() {
  if (fence_ != nullptr) fence_->forget();
}

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
  if (fence_ != nullptr) fence_->forget();
  auto fence = std::make_unique<Fence>(world_, store_, process_);
  fence_ = fence.get();
  coordinator::SharedStoreOptions options;
  options.url = world_.name(process_);
  options.ttl = kLease;
  if (world_.has(Bug::kLeadsTooLong)) options.give_up_after = 4 * kLease;
  shared_ = coordinator::fenced_store(options, std::string(kCoordinators), std::move(fence));
  world_.after(process_, world_.random().between(milliseconds(0), kElect), [this] { elect(); });
  world_.after(process_, milliseconds(500), [this] { tick(); });
  world_.after(process_, seconds(5), [this] { bookmark(); });
}

bool CoordinatorActor::holds() const {
  if (!world_.is_up(process_)) return false;
  const TimePoint asked_at = Clock::now();  // by whoever's clock
  set_clock(world_.clock(process_));
  const bool leads = shared_->leads();
  set_clock(asked_at);
  return leads;
}

PoolCoordinator* CoordinatorActor::leading() {
  if (leading_ != nullptr && !holds()) step_down("its right is over");
  return leading_.get();
}

void CoordinatorActor::step_down(const char* why) {
  if (world_.tracing()) world_.trace(world_.name(process_), std::string("leads no more: ") + why);
  last_known_ = leading_->nodes();
  leading_.reset();
  shared_->resign();
  // The end of a stream is an event of term 0.
  for (const Watching& each : streams_) {
    world_.send(process_, each.watcher, [stream = each.stream] { stream(WatchEvent()); });
  }
  streams_.clear();
}

// The rules of coordinator/elected.cc.
void CoordinatorActor::elect() {
  world_.after(process_, kElect, [this] { elect(); });
  const CallContext context{Deadline::in(kElect), {}};
  if (leading() != nullptr) {
    const Status kept = shared_->renew(context);
    if (!kept.ok() && error_kind(kept) == ErrorKind::kReadOnly) step_down("another leads");
    return;
  }
  const Result<bool> won = shared_->campaign(context);
  if (won.ok() && *won) take_over();
}

void CoordinatorActor::take_over() {
  Result<std::unique_ptr<PoolCoordinator>> opened =
      PoolCoordinator::open(options(), coordinator::borrowed(*shared_, {}));
  if (!opened.ok()) return shared_->resign();
  leading_ = std::move(*opened);
  last_tick_ = world_.clock(process_);
  world_.checks().hit(Sometimes::kLeaderChanged);
  if (world_.tracing()) {
    world_.trace(world_.name(process_), "leads, term " + std::to_string(shared_->term()));
  }
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
