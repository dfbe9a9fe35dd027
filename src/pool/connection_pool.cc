// Checkout and return.
#include "pool/connection_pool.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/clip.h"

namespace cenote {
void Lease::give_back() noexcept {
  if (connection_ == nullptr) return;
  const auto pool = std::move(pool_);
  pool->give_back(slot_, std::exchange(connection_, nullptr), false);
}

void Lease::discard() noexcept {
  if (connection_ == nullptr) return;
  const auto pool = std::move(pool_);
  pool->give_back(slot_, std::exchange(connection_, nullptr), true);
}

ConnectionPool::ConnectionPool(const PoolConfig& config, const DriverTraits& traits,
                               std::shared_ptr<Database> database,
                               std::shared_ptr<LocalMetrics> metrics,
                               std::shared_ptr<Executor> executor)
    : config_(config),
      traits_(traits),
      database_(std::move(database)),
      metrics_(std::move(metrics)),
      executor_(std::move(executor)),
      random_(std::random_device{}()) {
  const PoolOptions& options = config_.pool;
  const int readers = !traits_.has_read_lane              ? 0
                      : database_->default_readers() == 0 ? 0
                      : options.max_readers > 0           ? options.max_readers
                                                          : database_->default_readers();
  Lane writer;
  // Where reads have a lane of their own, one writer is all that the database can use.
  writer.max = readers > 0 ? 1 : options.max_connections;
  writer.min = std::min(writer.max, options.min_connections);
  lanes_.push_back(std::move(writer));
  if (readers > 0) {
    Lane lane;
    lane.access = Access::kReadOnly;
    lane.max = readers;
    lanes_.push_back(std::move(lane));
  }
  keeper_ = std::jthread([this](const std::stop_token& stop) { keep(stop); });
}

ConnectionPool::~ConnectionPool() {
  abort();
  keeper_.request_stop();
  changed_.notify_all();
}

ConnectionPool::Lane& ConnectionPool::lane_of(Access access) {
  return access == Access::kReadOnly && lanes_.size() > 1 ? lanes_[1] : lanes_[0];
}

Status ConnectionPool::refusal() const {
  if (!closed_) return Status::OK();
  return make_error(ErrorKind::kPoolClosed,
                    "pool '" + config_.id + "' is closed; open it again or use another pool");
}

bool ConnectionPool::must_close(const Entry& entry, TimePoint now) const {
  return closed_ || entry.generation != generation_ || now >= entry.expires ||
         !entry.connection->usable() ||
         lanes_[entry.lane].total - lanes_[entry.lane].closing > lanes_[entry.lane].max;
}

bool ConnectionPool::take_idle(Lane& lane, uint32_t* slot, std::vector<uint32_t>* dead) {
  const TimePoint now = Clock::now();
  while (!lane.idle.empty()) {
    *slot = lane.idle.back();
    lane.idle.pop_back();
    Entry& entry = *entries_[*slot];
    entry.state = State::kBusy;
    if (!must_close(entry, now)) return true;
    dead->push_back(*slot);
  }
  return false;
}

void ConnectionPool::activate(uint32_t slot, std::string_view tag) {
  Entry& entry = *entries_[slot];
  entry.state = State::kActive;
  entry.taken_at = Clock::now();
  entry.leak_logged = false;
  entry.tag = clipped(tag, 120);
}

Lease ConnectionPool::lease_of(uint32_t slot) {
  return make_lease(shared_from_this(), entries_[slot]->connection.get(), slot);
}

bool ConnectionPool::prove_alive(uint32_t slot, const CallContext& context) {
  Connection* connection = nullptr;
  {
    const Lock lock(mutex_);
    const Entry& entry = *entries_[slot];
    if (Clock::now() - entry.idle_since < config_.pool.validate_after_idle) return true;
    connection = entry.connection.get();
  }
  const CallContext bounded{context.deadline.sooner(Deadline::in(config_.pool.validation_timeout)),
                            context.stop};
  if (connection->validate(bounded).ok()) return true;
  close_entry(slot);
  return false;
}

Result<Lease> ConnectionPool::checkout(const CallContext& context, Access access,
                                       std::string_view tag) {
  for (;;) {
    std::vector<uint32_t> dead;
    uint32_t slot = 0;
    bool taken = false;
    Result<Lease> result = Lease();
    {
      Lock lock(mutex_);
      ARROW_RETURN_NOT_OK(refusal());
      Lane& lane = lane_of(access);
      if (lane.waiters.empty() && !paused_) taken = take_idle(lane, &slot, &dead);
      if (!taken && dead.empty()) {
        if (config_.pool.max_waiting > 0 &&
            static_cast<int>(lane.waiters.size()) >= config_.pool.max_waiting) {
          return make_error(ErrorKind::kPoolExhausted,
                            "pool '" + config_.id + "': " + std::to_string(lane.waiters.size()) +
                                " callers wait already; raise max_waiting or max_connections");
        }
        auto waiter = std::make_shared<Waiter>();
        waiter->tag = tag;
        waiter->since = Clock::now();
        waiter->context = context;
        lane.waiters.push_back(waiter);
        start_connects(lane);
        waiter->wake.wait_until(lock, context.stop, context.deadline.at(),
                                [&] { return !waiter->linked; });
        const Duration waited = Clock::now() - waiter->since;
        if (waiter->linked) {
          lane.waiters.remove(waiter);
          waiter->linked = false;
          return late_error(lane, *waiter);
        }
        metrics_->wait_time.record(waited);
        ARROW_RETURN_NOT_OK(waiter->status);
        metrics_->checkouts.fetch_add(1, std::memory_order_relaxed);
        return lease_of(waiter->slot);
      }
    }
    for (const uint32_t each : dead) close_entry(each);
    if (!taken) continue;
    if (!prove_alive(slot, context)) continue;
    const Lock lock(mutex_);
    activate(slot, tag);
    metrics_->wait_time.record(Duration::zero());
    metrics_->checkouts.fetch_add(1, std::memory_order_relaxed);
    return lease_of(slot);
  }
}

void ConnectionPool::checkout_async(const CallContext& context, Access access, std::string tag,
                                    Completion<Lease> done) {
  auto waiter = std::make_shared<Waiter>();
  waiter->tag = std::move(tag);
  waiter->since = Clock::now();
  waiter->done = std::move(done);
  waiter->context = context;
  waiter->access = access;
  std::vector<WaiterPtr> told;
  {
    const Lock lock(mutex_);
    Lane& lane = lane_of(access);
    waiter->status = refusal();
    if (waiter->status.ok() && config_.pool.max_waiting > 0 &&
        static_cast<int>(lane.waiters.size()) >= config_.pool.max_waiting) {
      waiter->status =
          make_error(ErrorKind::kPoolExhausted,
                     "pool '" + config_.id + "': the queue is full; raise max_waiting");
    }
    if (!waiter->status.ok()) {
      waiter->linked = false;
      told.push_back(waiter);
    } else {
      lane.waiters.push_back(waiter);
      serve(lane, &told);
    }
    if (waiter->linked && (!context.deadline.is_never() || context.stop.stop_possible())) {
      // The interrupt only hands over: expiring destroys the guard, which must not happen inside
      // the interrupt.
      const std::weak_ptr<Waiter> weak = waiter;
      auto self = std::static_pointer_cast<ConnectionPool>(shared_from_this());
      waiter->guard = std::make_unique<InterruptGuard>(context, [self, weak, access] {
        self->executor_->post([self, weak, access] {
          if (const WaiterPtr late = weak.lock()) self->expire(late, access);
        });
      });
    }
  }
  tell(std::move(told));
}

Status ConnectionPool::late_error(const Lane& lane, const Waiter& waiter) const {
  if (waiter.context.stop.stop_requested()) {
    return make_error(ErrorKind::kCancelled, "cancelled while waiting for a connection");
  }
  metrics_->timeouts.fetch_add(1, std::memory_order_relaxed);
  return timeout_error(lane, Clock::now() - waiter.since);
}

void ConnectionPool::expire(const WaiterPtr& waiter, Access access) {
  {
    const Lock lock(mutex_);
    if (!waiter->linked) return;
    Lane& lane = lane_of(access);
    lane.waiters.remove(waiter);
    waiter->linked = false;
    if (waiter->context.stop.stop_requested()) {
      waiter->status =
          make_error(ErrorKind::kCancelled, "cancelled while waiting for a connection");
    } else {
      metrics_->timeouts.fetch_add(1, std::memory_order_relaxed);
      waiter->status = timeout_error(lane, Clock::now() - waiter->since);
    }
  }
  tell({waiter});
}

void ConnectionPool::serve(Lane& lane, std::vector<WaiterPtr>* told) {
  std::vector<uint32_t> dead;
  uint32_t slot = 0;
  const auto late = [](const Waiter& waiter) {
    return waiter.context.deadline.passed() || waiter.context.stop.stop_requested();
  };
  while (!paused_ && !lane.waiters.empty()) {
    // Whoever is past its deadline gets its error, never a connection.
    WaiterPtr head = lane.waiters.front();
    const bool expired = late(*head);
    if (!expired && !take_idle(lane, &slot, &dead)) break;
    lane.waiters.pop_front();
    head->linked = false;
    if (expired) {
      head->status = late_error(lane, *head);
      told->push_back(std::move(head));
      continue;
    }
    head->slot = slot;
    activate(slot, head->tag);
    told->push_back(std::move(head));
  }
  for (const uint32_t each : dead) {
    executor_->post([self = shared_from_this(), this, each] { close_entry(each); });
  }
  if (!paused_) start_connects(lane);
}

void ConnectionPool::tell(std::vector<WaiterPtr> told) {
  for (WaiterPtr& waiter : told) {
    if (!waiter->done) {
      waiter->wake.notify_all();
      continue;
    }
    executor_->post([self = std::static_pointer_cast<ConnectionPool>(shared_from_this()),
                     waiter = std::move(waiter)] {
      waiter->guard.reset();
      self->metrics_->wait_time.record(Clock::now() - waiter->since);
      if (!waiter->status.ok()) {
        waiter->done(waiter->status);
        return;
      }
      if (!self->prove_alive(waiter->slot, waiter->context)) {
        self->checkout_async(waiter->context, waiter->access, std::move(waiter->tag),
                             std::move(waiter->done));
        return;
      }
      self->metrics_->checkouts.fetch_add(1, std::memory_order_relaxed);
      Lease lease;
      {
        const Lock lock(self->mutex_);
        lease = self->lease_of(waiter->slot);
      }
      waiter->done(std::move(lease));
    });
  }
}

}  // namespace cenote
