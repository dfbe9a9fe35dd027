// The DatabasePool of every local pool: who gets which connection when. It knows connections only
// as things that can be made, proved alive, cleaned and closed. docs/pool.md describes the rules.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cenote/pool.h"

#include "base/mutex.h"
#include "base/watchdog.h"
#include "pool/executor.h"
#include "pool/local_metrics.h"

namespace cenote {

class ConnectionPool final : public DatabasePool {
 public:
  // Shared, because a lease may keep the pool alive after its LocalPool is gone.
  ConnectionPool(const PoolConfig& config, const DriverTraits& traits,
                 std::shared_ptr<Database> database, std::shared_ptr<LocalMetrics> metrics,
                 std::shared_ptr<Executor> executor);
  ~ConnectionPool() override;

  Result<Lease> checkout(const CallContext& context, Access access, std::string_view tag) override;
  void checkout_async(const CallContext& context, Access access, std::string tag,
                      Completion<Lease> done) override;
  PoolStatus status() const override;
  Status resize(int max_connections, int min_connections) override;
  void clear() override;
  void pause() override;
  void resume() override;
  Status drain(Deadline deadline) override;

  // Refuses what waits and cancels what runs, without waiting.
  void abort();
  // Opens a connection outside the lanes, with the pool's credentials and limits: for the health
  // checker.
  Result<std::unique_ptr<Connection>> connect(const CallContext& context, Access access);

 private:
  enum class State : uint8_t {
    kIdle,
    kActive,
    kBusy
  };  // kBusy: being validated, cleaned or closed

  struct Entry {
    std::unique_ptr<Connection> connection;
    uint32_t lane = 0;
    uint64_t generation = 0;
    TimePoint expires;
    TimePoint idle_since;
    TimePoint taken_at;
    State state = State::kBusy;
    bool leak_logged = false;
    std::string tag;
  };

  // A caller in the queue. All members are guarded by the pool's mutex; `done` is called without
  // it.
  struct Waiter {
    std::string tag;
    TimePoint since;
    bool linked = true;
    uint32_t slot = 0;  // served if `status` is OK and it is no longer linked
    Status status;
    std::condition_variable_any wake;  // for those who wait on a thread
    Completion<Lease> done;            // for those who do not
    CallContext context;
    Access access = Access::kReadWrite;
    std::unique_ptr<InterruptGuard> guard;
  };
  using WaiterPtr = std::shared_ptr<Waiter>;

  struct Lane {
    Access access = Access::kReadWrite;
    int max = 0;
    int min = 0;
    int total = 0;  // connecting too
    int connecting = 0;
    int closing = 0;
    std::vector<uint32_t> idle;  // newest last
    std::list<WaiterPtr> waiters;
  };

  void give_back(uint32_t slot, Connection* connection, bool discard) noexcept override;

  Lane& lane_of(Access access) CENOTE_REQUIRES(mutex_);
  Status refusal() const CENOTE_REQUIRES(mutex_);
  // The newest idle connection that is still good, or false. Stale ones go to `dead`.
  bool take_idle(Lane& lane, uint32_t* slot, std::vector<uint32_t>* dead) CENOTE_REQUIRES(mutex_);
  bool must_close(const Entry& entry, TimePoint now) const CENOTE_REQUIRES(mutex_);
  void activate(uint32_t slot, std::string_view tag) CENOTE_REQUIRES(mutex_);
  Lease lease_of(uint32_t slot) CENOTE_REQUIRES(mutex_);
  // Validates a taken connection if it was idle long enough to need it; called without the lock.
  bool prove_alive(uint32_t slot, const CallContext& context);
  // Serves waiters from idle connections and starts connects. Waiters to be told are appended to
  // `told`.
  void serve(Lane& lane, std::vector<WaiterPtr>* told) CENOTE_REQUIRES(mutex_);
  void tell(std::vector<WaiterPtr> told);
  void fail_waiters(Lane& lane, const Status& status, bool all, std::vector<WaiterPtr>* told)
      CENOTE_REQUIRES(mutex_);
  void start_connects(Lane& lane) CENOTE_REQUIRES(mutex_);
  void run_connect(uint32_t lane);
  void close_entry(uint32_t slot);
  Status timeout_error(const Lane& lane, Duration waited) const CENOTE_REQUIRES(mutex_);
  // The error of a waiter that gave up or came too late; counts the timeout.
  Status late_error(const Lane& lane, const Waiter& waiter) const CENOTE_REQUIRES(mutex_);
  // A waiter whose deadline passed or who was stopped: unlinks and fails it, unless it was served
  // already.
  void expire(const WaiterPtr& waiter, Access access);
  // The keeper's thread: reaps idle connections, keeps the least number open, logs leaks.
  void keep(const std::stop_token& stop) noexcept;
  void keep_once(TimePoint now, std::vector<uint32_t>* dead, std::vector<std::string>* leaks)
      CENOTE_REQUIRES(mutex_);
  // Takes all idle connections out, to be closed by the caller.
  void take_all_idle(std::vector<uint32_t>* dead) CENOTE_REQUIRES(mutex_);
  PoolStatus status_locked() const CENOTE_REQUIRES(mutex_);

  const PoolConfig config_;
  const DriverTraits& traits_;
  const std::shared_ptr<Database> database_;
  const std::shared_ptr<LocalMetrics> metrics_;
  const std::shared_ptr<Executor> executor_;
  const TimePoint opened_ = Clock::now();

  mutable Mutex mutex_;  // guards all below; never held across a driver call or a callback
  std::condition_variable_any changed_;
  std::vector<Lane> lanes_ CENOTE_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Entry>> entries_
      CENOTE_GUARDED_BY(mutex_);  // a slot is an index; null: free
  std::vector<uint32_t> free_slots_ CENOTE_GUARDED_BY(mutex_);
  uint64_t generation_ CENOTE_GUARDED_BY(mutex_) = 0;
  bool paused_ CENOTE_GUARDED_BY(mutex_) = false;
  bool closed_ CENOTE_GUARDED_BY(mutex_) = false;
  std::minstd_rand random_ CENOTE_GUARDED_BY(mutex_);
  std::jthread keeper_;  // last: joined before what it uses dies
};

}  // namespace cenote
