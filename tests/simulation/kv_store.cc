// Keys, leases, conditions.
#include "simulation/kv_store.h"

#include <algorithm>
#include <utility>

namespace cenote::simulation {
namespace {

using std::chrono::milliseconds;

}  // namespace

KvStore::KvStore(World& world) : world_(world), process_(world.add("store", [this] { boot(); })) {}

void KvStore::boot() {
  // Leases begin anew with a new leader (etcd).
  for (auto& [id, lease] : leases_) lease.ends = world_.now() + lease.ttl;
}

// Leases end by the store's clock, looked at whenever it is asked anything.
void KvStore::expire() {
  const TimePoint now = world_.clock(process_);
  if (now < next_end_) return;
  next_end_ = TimePoint::max();
  for (auto lease = leases_.begin(); lease != leases_.end();) {
    if (now < lease->second.ends) {
      next_end_ = std::min(next_end_, lease->second.ends);
      ++lease;
      continue;
    }
    std::erase_if(items_, [&](const auto& each) { return each.second.lease == lease->first; });
    ++revision_;
    lease = leases_.erase(lease);
  }
}

KvStore::Range KvStore::range(std::string_view prefix) {
  expire();
  Range range;
  range.revision = revision_;
  if (empty_) return range;
  for (auto item = items_.lower_bound(std::string(prefix));
       item != items_.end() && item->first.starts_with(prefix); ++item) {
    range.items.insert(range.items.end(), *item);
  }
  return range;
}

std::optional<KvStore::Range> KvStore::newer(std::string_view prefix, uint64_t known) {
  expire();
  if (revision_ == known && !empty_) return std::nullopt;
  return range(prefix);
}

std::optional<KvStore::Item> KvStore::get(const std::string& key) {
  expire();
  const auto found = items_.find(key);
  return found == items_.end() || empty_ ? std::nullopt : std::optional(found->second);
}

void KvStore::revoke(uint64_t lease) {
  expire();
  if (leases_.erase(lease) == 0) return;
  std::erase_if(items_, [&](const auto& each) { return each.second.lease == lease; });
  ++revision_;
}

KvStore::Committed KvStore::commit(const Write& write) {
  expire();
  if (write.fence) {
    const auto held = items_.find(write.fence->key);
    if (held == items_.end() || held->second.created != write.fence->created ||
        held->second.value != write.fence->value) {
      world_.checks().hit(Sometimes::kFenceRejected);
      return {Outcome::kFenced, revision_};
    }
  }
  for (const auto& condition : write.conditions) {
    const auto found = items_.find(condition.key);
    const uint64_t version = found == items_.end() ? 0 : found->second.version;
    if (version != condition.version) return {Outcome::kStale, revision_};
  }
  for (const Put& put : write.puts) {
    if (put.lease != 0 && !leases_.contains(put.lease)) return {Outcome::kStale, revision_};
  }
  if (on_write) on_write(write);
  ++revision_;
  for (const Put& put : write.puts) {
    Item& item = items_[put.key];
    if (item.created == 0) item.created = revision_;
    item.value = put.value;
    item.version = revision_;
    item.lease = put.lease;
  }
  for (const std::string& key : write.deletes) items_.erase(key);
  return {Outcome::kWritten, revision_};
}

uint64_t KvStore::grant(Duration ttl) {
  leases_[++last_lease_] = {ttl, world_.clock(process_) + ttl};
  next_end_ = std::min(next_end_, leases_[last_lease_].ends);
  return last_lease_;
}

bool KvStore::keep_alive(uint64_t lease) {
  expire();
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return false;
  found->second.ends = world_.clock(process_) + found->second.ttl;
  return true;
}

Duration KvStore::commit_late(const Write& write, Duration most) {
  const Duration late = world_.random().between(milliseconds(1), most);
  world_.later(late, [this, write] {
    if (!world_.runs(process_)) return;
    world_.checks().hit(Sometimes::kLateWrite);
    (void)commit(write);
  });
  return late;
}

Result<KvStore::Committed> KvStore::commit_from(ProcessId from, const Write& write) {
  const World::Passage passage = world_.pass(from, process_);
  if (passage == World::Passage::kRefused) return refused();
  if (passage == World::Passage::kLost) {
    // It may be no more than late: beyond its writer's patience.
    if (world_.random().chance(0.3)) commit_late(write, milliseconds(3000));
    return no_answer();
  }
  if (world_.random().chance(world_.weather().stall)) {
    // The writer stands still between its decision and the write.
    const Duration time = commit_late(write, milliseconds(6000));
    world_.pause(from);
    world_.disturb();
    world_.later(time, [this, from] {
      world_.disturb();
      world_.go_on(from);
    });
    return no_answer();
  }
  Committed done = commit(write);
  if (passage == World::Passage::kAnswerLost || slow_) return no_answer();
  return done;
}

Result<KvStore::Range> KvStore::range_from(ProcessId from, std::string_view prefix) {
  return ask_from<Range>(from, [this, prefix] { return range(prefix); });
}

void KvStore::wipe() {
  items_.clear();
  leases_.clear();
  revision_ = 1;
  ++wipes_;
  wiped_at_ = world_.now();
  world_.checks().hit(Sometimes::kStoreWiped);
  if (world_.tracing()) world_.trace("store", "is wiped");
}

}  // namespace cenote::simulation
