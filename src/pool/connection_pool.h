// The DatabasePool of every local pool: makes, proves, cleans and closes the connections that its
// lanes' handoffs give out. docs/pool.md describes the rules.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "cenote/pool.h"

#include "base/fork.h"
#include "base/mutex.h"
#include "base/watchdog.h"
#include "pool/executor.h"
#include "pool/handoff.h"
#include "pool/lent_connection.h"
#include "pool/local_metrics.h"
#include "pool/probe_session.h"
#include "pool/stable_array.h"

namespace cenote {

// Must be held by a shared_ptr, and be told to abort() by its owner: an open connection keeps its
// pool alive.
class ConnectionPool final : public DatabasePool,
                             public std::enable_shared_from_this<ConnectionPool> {
 public:
  ConnectionPool(const PoolConfig& config, const DriverTraits& traits,
                 std::shared_ptr<Database> database, std::shared_ptr<LocalMetrics> metrics,
                 std::shared_ptr<Executor> executor);

  Result<Lease> checkout(const CallContext& context, Access access, std::string_view tag) override {
    return checkout(context, access, tag, Clock::now());
  }
  // For a caller that knows what time it is: a reading of the clock costs a fifth of a checkout.
  // `by_hand`: for one who speaks with the connection itself, and keeps it.
  Result<Lease> checkout(const CallContext& context, Access access, std::string_view tag,
                         TimePoint now, bool by_hand = false);
  void checkout_async(const CallContext& context, Access access, std::string tag,
                      Completion<Lease> done) override;
  PoolStatus status() const override;
  Status resize(int max_connections, int min_connections) override;
  void clear() override;
  void retire() override;
  void pause() override;
  void resume() override;
  Status drain(Deadline deadline) override;

  // The caller keeps it for more than one statement, so that retire() ends it.
  void kept(const Lease& lease) {
    const uint32_t id = slot_of(lease);
    entry_of(id).kept = true;
  }
  // Whether a lease taken by hand may run a statement now, which retire() ends then.
  Status check_lent(uint32_t slot) const;
  Status check_inherited() const {
    return born_ == fork_generation() ? Status::OK() : inherited_error();
  }
  // How a statement on one ended; a cancel that retire() asked for says so.
  Status judge_kept(uint32_t slot, Status status) const;
  Status check_retired(const Lease& lease) const {
    return lease.retired() ? retired_error(Sent::kNo) : Status::OK();
  }
  Status judge_kept(const Lease& lease, Status status) const {
    return judge_kept(slot_of(lease), std::move(status));
  }

  // Refuses what waits and cancels what runs, without waiting.
  void abort();
  // One round of upkeep: reaps, refills, keeps alive, logs leaks. `unnoticed`: how much longer the
  // sleep before it took than was asked for; long if the machine was suspended.
  void keep(TimePoint now, Duration unnoticed);
  // Sleeps until the next round is due, or a stop is requested. Returns `unnoticed`.
  Duration wait_for_upkeep(const std::stop_token& stop);

  // For the health checker: a session within the limit. It keeps one of its own while callers would
  // still find a place, borrows an idle one otherwise; nothing if the pool is full: then there is
  // nothing to see. A login that takes longer than a check may have until `most`.
  std::optional<Result<Probe>> probe(const CallContext& context, Deadline most);
  // Gives up the health checker's own session, now or when its check ends.
  void yield_probe_session();

  // In a forked child: lets go of the parent's sessions without a word to the server.
  void leave_to_parent() noexcept;

 private:
  struct Entry {
    std::unique_ptr<Connection> connection;  // of the slot's holder, as is the next
    bool fresh = false;                      // made, but not used yet
    std::atomic<bool> kept{false};           // for more than one statement
    std::optional<LentConnection> lent;      // the connection as who takes it by hand sees it
    std::shared_ptr<ConnectionPool> pool;    // while the connection is open
    std::atomic<uint64_t> generation{0};
    std::atomic<TimePoint> expires{TimePoint::max()};
    std::atomic<TimePoint> keepalive_at{TimePoint::max()};
    std::atomic<TimePoint> leak_logged_at{TimePoint::min()};  // the checkout that was logged
    // Callers of cancel() from outside; closing waits for them.
    std::atomic<int> pins{0};
  };
  struct Lane {
    Lane(Access lane_access, uint32_t lane_index, const Handoff::Limits& limits)
        : access(lane_access), index(lane_index), handoff(limits) {}
    const Access access;
    const uint32_t index;
    Handoff handoff;
    StableArray<Entry> entries;
  };
  struct AsyncWaiter final : Waiter {
    std::string text;
    Access access = Access::kReadWrite;
    Completion<Lease> done;
    std::unique_ptr<InterruptGuard> guard;
  };
  void give_back(uint32_t slot, Connection* connection, bool discard) noexcept override;
  bool retired(uint32_t slot) const override;
  // Cleans, closes or hands over: whatever is more than making the slot idle.
  void give_back_slowly(Lane& lane, uint32_t slot, bool discard);

  static std::vector<std::unique_ptr<Lane>> make_lanes(const PoolConfig& config,
                                                       const DriverTraits& traits,
                                                       const Database& database);
  Lane& lane_of(Access access) const {
    return access == Access::kReadOnly && lanes_.size() > 1 ? *lanes_[1] : *lanes_[0];
  }
  Result<Lease> checkout_slowly(Lane& lane, const CallContext& context, std::string_view tag,
                                std::optional<Handoff::Taken> taken, TimePoint began, bool by_hand);
  Lease lease_of(Lane& lane, uint32_t slot, bool by_hand = false);
  bool stale(const Entry& entry, TimePoint now) const;
  // Whether a taken connection may be handed out; the caller closes it if not.
  bool prove_alive(Lane& lane, const Handoff::Taken& taken, const CallContext& context);
  // Why a waiter got nothing; counts a timeout.
  Status refusal(const Waiter& waiter) const;
  Status timeout_error(Duration waited) const;
  void queue_async(const std::shared_ptr<AsyncWaiter>& waiter, bool front);
  void complete_async(Lane& lane, const std::shared_ptr<AsyncWaiter>& waiter);
  Status inherited_error() const;
  Status retired_error(Sent sent) const;
  // A lease's slot: the lane in its lowest bit.
  static uint32_t lease_slot(uint32_t lane, uint32_t slot) { return (slot << 1) | lane; }
  Entry& entry_of(uint32_t id) const { return lanes_[id & 1]->entries[id >> 1]; }

  // Does what a call of the handoff left to do.
  void perform(Lane& lane, Handoff::Work work);
  Result<std::unique_ptr<Connection>> connect(const CallContext& context, Access access);
  void run_connect(Lane& lane, uint32_t slot);
  void install(Lane& lane, uint32_t slot, std::unique_ptr<Connection> connection,
               uint64_t generation);
  // Closes the connection of a slot that is kClosing; it counts until it is closed.
  Handoff::Work finish_close(Lane& lane, uint32_t slot);
  void close_slot(Lane& lane, uint32_t slot);
  // The same on the executor: closing a dead connection may take long.
  void close_elsewhere(Lane& lane, uint32_t slot);
  void schedule_keepalive(Entry& entry, TimePoint now);
  double random_part(double most);
  void keep_lane(Lane& lane, TimePoint now);
  void keep_alive(Lane& lane, uint32_t slot, TimePoint idle_since);
  void log_leaks(Lane& lane, TimePoint now);
  void close();
  void cancel_running();
  // Those that retire() ended.
  void cancel_retired();
  // Closes all idle connections that are stale.
  void sweep(Lane& lane);

  std::optional<Result<Probe>> probe_borrowed(Lane& lane, const CallContext& context);

  const PoolConfig config_;
  const DriverTraits& traits_;
  const std::shared_ptr<Database> database_;
  const std::shared_ptr<LocalMetrics> metrics_;
  const std::shared_ptr<Executor> executor_;
  const TimePoint opened_ = Clock::now();
  const uint64_t born_ = fork_generation();

  // One, or where the driver has a read lane: the writer's and the readers'. Never changed.
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<uint64_t> retired_before_{0};  // generations that retire() ended
  std::atomic<bool> paused_{false};
  std::atomic<bool> closed_{false};

  mutable Mutex mutex_;  // guards the small things below; never held across a call out
  std::condition_variable_any upkeep_;
  bool upkeep_due_ CENOTE_GUARDED_BY(mutex_) = false;
  std::string last_connect_error_ CENOTE_GUARDED_BY(mutex_);
  std::minstd_rand random_ CENOTE_GUARDED_BY(mutex_);

  ProbeSession session_;
  // The last login of a check took longer than a check may; so did the last that succeeded.
  std::atomic<bool> slow_login_{false};
  std::atomic<bool> far_{false};
};

}  // namespace cenote
