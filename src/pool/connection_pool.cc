// Checkout and return.
#include "pool/connection_pool.h"

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

namespace cenote {
namespace {

constexpr Duration kFresh = std::chrono::seconds(1);

}  // namespace

void Lease::give_back() noexcept {
  if (connection_ == nullptr) return;
  std::exchange(pool_, nullptr)->give_back(slot_, std::exchange(connection_, nullptr), false);
}

void Lease::discard() noexcept {
  if (connection_ == nullptr) return;
  std::exchange(pool_, nullptr)->give_back(slot_, std::exchange(connection_, nullptr), true);
}

bool Lease::retired() const {
  return connection_ != nullptr && pool_->retired(slot_);
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
      lanes_(make_lanes(config_, traits_, *database_)),
      random_(std::random_device{}()),
      session_(lanes_.back()->handoff) {}

std::vector<std::unique_ptr<ConnectionPool::Lane>> ConnectionPool::make_lanes(
    const PoolConfig& config, const DriverTraits& traits, const Database& database) {
  const PoolOptions& options = config.pool;
  const int readers = !traits.has_read_lane             ? 0
                      : database.default_readers() == 0 ? 0
                      : options.max_readers > 0         ? options.max_readers
                                                        : database.default_readers();
  // Where reads have a lane of their own, one writer is all that the database can use.
  const int writers = readers > 0 ? 1 : options.max_connections;
  std::vector<std::unique_ptr<Lane>> lanes;
  lanes.push_back(
      std::make_unique<Lane>(Access::kReadWrite, 0,
                             Handoff::Limits{writers, std::min(writers, options.min_connections),
                                             options.max_connecting, options.max_waiting}));
  if (readers > 0) {
    lanes.push_back(std::make_unique<Lane>(
        Access::kReadOnly, 1,
        Handoff::Limits{readers, 0, options.max_connecting, options.max_waiting}));
  }
  return lanes;
}

Status ConnectionPool::inherited_error() const {
  return make_error(ErrorKind::kInterface,
                    "pool '" + config_.id +
                        "': this handle was made before the process forked; take "
                        "connection_pool() again in the child");
}

bool ConnectionPool::stale(const Entry& entry, TimePoint now) const {
  return entry.generation.load(std::memory_order_relaxed) !=
             generation_.load(std::memory_order_relaxed) ||
         now >= entry.expires.load(std::memory_order_relaxed) || !entry.connection->usable();
}

Lease ConnectionPool::lease_of(Lane& lane, uint32_t slot, bool by_hand) {
  Entry& entry = lane.entries[slot];
  const uint32_t id = lease_slot(lane.index, slot);
  return make_lease(by_hand ? &*entry.lent : entry.connection.get(), id);
}

Result<Lease> ConnectionPool::checkout(const CallContext& context, Access access,
                                       std::string_view tag, TimePoint now, bool by_hand) {
  if (born_ != fork_generation()) return inherited_error();
  Lane& lane = lane_of(access);
  const std::optional<Handoff::Taken> taken = lane.handoff.try_take(now, tag);
  if (taken && now - taken->idle_since < config_.pool.validate_after_idle &&
      !stale(lane.entries[taken->slot], now)) {
    metrics_->got_connection(Duration::zero());
    return lease_of(lane, taken->slot, by_hand);
  }
  return checkout_slowly(lane, context, tag, taken, now, by_hand);
}

Result<Lease> ConnectionPool::checkout_slowly(Lane& lane, const CallContext& context,
                                              std::string_view tag,
                                              std::optional<Handoff::Taken> taken, TimePoint began,
                                              bool by_hand) {
  // A holder that lost its core may need no more than a turn to return what it has; that is cheaper
  // than to sleep and be woken.
  if (!taken) {
    std::this_thread::yield();
    taken = lane.handoff.try_take(Clock::now(), tag);
  }
  for (;;) {
    if (taken && prove_alive(lane, *taken, context)) {
      metrics_->got_connection(Clock::now() - began);
      return lease_of(lane, taken->slot, by_hand);
    }
    Waiter waiter;
    waiter.context = context;
    waiter.tag = tag;
    waiter.since = began;
    // Whose connection turned out dead keeps its place: it is back in the queue before that
    // connection's place is free.
    perform(lane, lane.handoff.enqueue(waiter, taken.has_value()));
    if (taken) close_elsewhere(lane, taken->slot);
    Handoff::Work work;
    const Waiter::Fate fate = lane.handoff.wait(waiter, &work);
    perform(lane, std::move(work));
    if (fate != Waiter::Fate::kServed) return refusal(waiter);
    taken = {waiter.slot, waiter.idle_since};
  }
}

bool ConnectionPool::prove_alive(Lane& lane, const Handoff::Taken& taken,
                                 const CallContext& context) {
  Entry& entry = lane.entries[taken.slot];
  const TimePoint now = Clock::now();
  if (stale(entry, now)) return false;
  // One that was made for this caller needs no proof, even where every other is to be proved.
  const bool fresh = std::exchange(entry.fresh, false);
  const Duration idle = now - taken.idle_since;
  if (idle < config_.pool.validate_after_idle || (fresh && idle < kFresh)) return true;
  const Deadline limit = Deadline::in(config_.pool.validation_timeout);
  return entry.connection->validate({context.deadline.sooner(limit), context.stop}).ok();
}

Status ConnectionPool::refusal(const Waiter& waiter) const {
  switch (waiter.fate) {
    case Waiter::Fate::kFailed:
      return make_error(*error_detail(*waiter.error), waiter.error->message());
    case Waiter::Fate::kClosed:
      return make_error(ErrorKind::kPoolClosed,
                        "pool '" + config_.id + "' is closed; open it again or use another pool");
    case Waiter::Fate::kFull:
      return make_error(ErrorKind::kPoolExhausted,
                        "pool '" + config_.id + "': " + std::to_string(config_.pool.max_waiting) +
                            " callers wait already; raise max_waiting or max_connections");
    default:
      break;
  }
  if (waiter.context.stop.stop_requested()) {
    ErrorDetail detail;
    detail.kind = ErrorKind::kCancelled;
    detail.sent = Sent::kNo;
    return make_error(std::move(detail), "cancelled while waiting for a connection");
  }
  metrics_->timed_out();
  return timeout_error(Clock::now() - waiter.since);
}

void ConnectionPool::checkout_async(const CallContext& context, Access access, std::string tag,
                                    Completion<Lease> done) {
  if (born_ != fork_generation()) return done(inherited_error());
  auto waiter = std::make_shared<AsyncWaiter>();
  waiter->context = context;
  waiter->access = access;
  waiter->text = std::move(tag);
  waiter->tag = waiter->text;
  waiter->since = Clock::now();
  waiter->done = std::move(done);
  queue_async(waiter, false);
}

void ConnectionPool::queue_async(const std::shared_ptr<AsyncWaiter>& waiter, bool front) {
  Lane& lane = lane_of(waiter->access);
  const CallContext& context = waiter->context;
  if (!waiter->guard && (!context.deadline.is_never() || context.stop.stop_possible())) {
    // Set before the waiter is queued, while it is this thread's alone. The interrupt only hands
    // over: expiring ends in the caller's code, which must not run on the watchdog's thread.
    waiter->guard = std::make_unique<InterruptGuard>(
        context, [self = shared_from_this(), &lane, weak = std::weak_ptr<Waiter>(waiter)] {
          self->executor_->post([self, &lane, weak] {
            const auto late = weak.lock();
            Handoff::Work work;
            if (late != nullptr && lane.handoff.expire(*late, &work)) {
              self->perform(lane, std::move(work));
            }
          });
        });
  }
  waiter->self = waiter;
  perform(lane, lane.handoff.enqueue(*waiter, front));
}

void ConnectionPool::complete_async(Lane& lane, const std::shared_ptr<AsyncWaiter>& waiter) {
  if (waiter->fate != Waiter::Fate::kServed) {
    waiter->guard.reset();
    return waiter->done(refusal(*waiter));
  }
  const uint32_t slot = waiter->slot;
  if (!prove_alive(lane, {slot, waiter->idle_since}, waiter->context)) {
    queue_async(waiter, true);  // first, so that it keeps its place
    return close_slot(lane, slot);
  }
  waiter->guard.reset();
  metrics_->got_connection(Clock::now() - waiter->since);
  waiter->done(lease_of(lane, slot));
}

void ConnectionPool::give_back(uint32_t id, Connection* connection, bool discard) noexcept {
  if (born_ != fork_generation()) return;
  Lane& lane = *lanes_[id & 1];
  const uint32_t slot = id >> 1;
  const TimePoint now = Clock::now();
  metrics_->returned_connection(now - lane.handoff.since(slot));
  Entry& entry = lane.entries[slot];
  if (entry.kept.load(std::memory_order_relaxed)) entry.kept = false;
  const bool clean = !discard && !stale(entry, now) && !connection->dirty();
  // After this the pool may be gone: whoever closed the connection may have been its last owner.
  if (clean && lane.handoff.release(slot, now)) return;
  give_back_slowly(lane, slot, discard);
}

bool ConnectionPool::retired(uint32_t id) const {
  return entry_of(id).generation.load(std::memory_order_relaxed) < retired_before_;
}

Status ConnectionPool::check_lent(uint32_t id) const {
  ARROW_RETURN_NOT_OK(check_inherited());
  // Before the question, so that either retire() sees it or this sees retire(). Not at checkout,
  // where it would cost a tenth of that.
  entry_of(id).kept = true;
  return retired(id) ? retired_error(Sent::kNo) : Status::OK();
}

Status ConnectionPool::judge_kept(uint32_t id, Status status) const {
  if (status.ok()) return status;
  // "query_canceled", which retire() asked for.
  const ErrorDetail* detail = error_detail(status);
  const bool cancelled =
      detail != nullptr && (detail->kind == ErrorKind::kCancelled || detail->sqlstate == "57014");
  if (!cancelled || !retired(id)) return status;
  return retired_error(detail->sent == Sent::kNo ? Sent::kNo : Sent::kMaybe);
}

Status ConnectionPool::retired_error(Sent sent) const {
  ErrorDetail detail;
  detail.kind = ErrorKind::kConnection;
  detail.pool = config_.id;
  detail.endpoint = database_->endpoint();
  detail.sent = sent;
  return make_error(
      std::move(detail),
      "pool '" + config_.id + "': calls go to another database than " + database_->endpoint() +
          " since this connection was taken, so it has ended" +
          (sent == Sent::kNo ? "" : "; whether the statement took effect is unknown") +
          "; take another, and begin your transaction anew");
}

void ConnectionPool::give_back_slowly(Lane& lane, uint32_t slot, bool discard) {
  const auto self = shared_from_this();  // while the slot is held, the pool lives
  Connection& connection = *lane.entries[slot].connection;
  // Nobody waits for a session to be reset that closes anyway.
  bool good = !discard && connection.usable() && !retired(lease_slot(lane.index, slot));
  if (good && connection.dirty()) {
    lane.handoff.set_busy(slot);
    good = connection.reset({Deadline::in(config_.pool.reset_timeout), {}}).ok();
  }
  const TimePoint now = Clock::now();
  if (!good || stale(lane.entries[slot], now) || lane.handoff.surplus()) {
    close_slot(lane, slot);
  } else if (!lane.handoff.release(slot, now)) {
    perform(lane, lane.handoff.give_back(slot, now));
  }
}

}  // namespace cenote
