// Opening and closing connections: what the handoff plans, done without its lock.
#include <deque>
#include <utility>

#include "pool/connection_pool.h"

namespace cenote {
namespace {

// Whether the next connect would fail in the same way, whoever asks.
bool final_error(const Status& status) {
  const ErrorKind kind = error_kind(status);
  return kind == ErrorKind::kAuthentication || kind == ErrorKind::kConfig;
}

}  // namespace

void ConnectionPool::perform(Lane& lane, Handoff::Work work) {
  std::deque<uint32_t> closes;
  while (!work.empty() || !closes.empty()) {
    const auto self = shared_from_this();
    for (auto& told : work.told) {
      executor_->post([self, &lane, waiter = std::static_pointer_cast<AsyncWaiter>(told)] {
        self->complete_async(lane, waiter);
      });
    }
    for (const uint32_t slot : work.connects) {
      executor_->post([self, &lane, slot] { self->run_connect(lane, slot); });
    }
    if (work.yield) executor_->post([self] { self->yield_probe_session(); });
    closes.insert(closes.end(), work.closes.begin(), work.closes.end());
    work = {};
    if (closes.empty()) return;
    work = finish_close(lane, closes.front());
    closes.pop_front();
  }
}

Result<std::unique_ptr<Connection>> ConnectionPool::connect(const CallContext& context,
                                                            Access access) {
  ConnectOptions options;
  options.access = access;
  if (config_.credentials) {
    ARROW_ASSIGN_OR_RAISE(options.credentials, config_.credentials());
  }
  return database_->connect(context, options);
}

void ConnectionPool::run_connect(Lane& lane, uint32_t slot) {
  const uint64_t generation = generation_;
  const TimePoint begin = Clock::now();
  Result<std::unique_ptr<Connection>> made =
      connect({Deadline::in(config_.pool.connect_timeout), {}}, lane.access);
  const TimePoint now = Clock::now();
  if (made.ok()) {
    metrics_->connected(now - begin);
    {
      const Lock lock(mutex_);
      last_connect_error_.clear();
    }
    install(lane, slot, std::move(*made), generation);
    perform(lane, lane.handoff.connected(slot, now));
    return;
  }
  metrics_->connect_failed();
  Status error = with_origin(made.status(), config_.id, database_->endpoint());
  const bool final = final_error(error);
  const std::string text = error.message();
  perform(lane, lane.handoff.connect_failed(slot, std::move(error), final, now));
  const Lock lock(mutex_);
  last_connect_error_ = text;
  upkeep_due_ = true;  // the next try is the keeper's to start
  upkeep_.notify_all();
}

void ConnectionPool::install(Lane& lane, uint32_t slot, std::unique_ptr<Connection> connection,
                             uint64_t generation) {
  lane.entries.grow_to(slot + 1);
  Entry& entry = lane.entries[slot];
  entry.connection = std::move(connection);
  entry.lent.emplace(*entry.connection, *this, lease_slot(lane.index, slot));
  entry.fresh = true;
  entry.pool = shared_from_this();
  entry.generation = generation;
  entry.leak_logged_at = TimePoint::min();
  const TimePoint now = Clock::now();
  const Duration life = config_.pool.max_lifetime;
  const double part = 1 - random_part(config_.pool.lifetime_jitter);
  entry.expires = life == Duration::zero()
                      ? TimePoint::max()
                      : now + std::chrono::duration_cast<Duration>(life * part);
  schedule_keepalive(entry, now);
}

void ConnectionPool::schedule_keepalive(Entry& entry, TimePoint now) {
  const Duration interval = config_.pool.keepalive_interval;
  const double part = 1.1 - random_part(0.2);
  entry.keepalive_at = !traits_.remote || interval == Duration::zero()
                           ? TimePoint::max()
                           : now + std::chrono::duration_cast<Duration>(interval * part);
}

double ConnectionPool::random_part(double most) {
  const Lock lock(mutex_);
  return std::uniform_real_distribution<double>(0, most)(random_);
}

Handoff::Work ConnectionPool::finish_close(Lane& lane, uint32_t slot) {
  Entry& entry = lane.entries[slot];
  for (int pins = entry.pins; pins > 0; pins = entry.pins) entry.pins.wait(pins);
  entry.connection.reset();  // may take a round trip
  const auto pool = std::move(entry.pool);
  return lane.handoff.vacate(slot);
}

void ConnectionPool::close_slot(Lane& lane, uint32_t slot) {
  const auto self = shared_from_this();
  lane.handoff.retire(slot);
  perform(lane, finish_close(lane, slot));
}

void ConnectionPool::close_elsewhere(Lane& lane, uint32_t slot) {
  lane.handoff.retire(slot);
  executor_->post([self = shared_from_this(), &lane, slot] {
    self->perform(lane, self->finish_close(lane, slot));
  });
}

void ConnectionPool::cancel_running() {
  for (const auto& lane : lanes_) {
    for (uint32_t slot = 0; slot < lane->entries.size(); ++slot) {
      // The pin comes before the look at the state, as kClosing comes before the look at the pins:
      // a connection that is seen active here lives until its pin is gone.
      Entry& entry = lane->entries[slot];
      ++entry.pins;
      if (lane->handoff.state(slot) == SlotState::kActive) entry.connection->cancel();
      if (--entry.pins == 0) entry.pins.notify_all();
    }
  }
}

void ConnectionPool::cancel_retired() {
  for (const auto& lane : lanes_) {
    for (uint32_t slot = 0; slot < lane->entries.size(); ++slot) {
      Entry& entry = lane->entries[slot];
      if (!entry.kept || entry.generation >= retired_before_) continue;
      ++entry.pins;  // as above
      if (lane->handoff.state(slot) == SlotState::kActive) entry.connection->cancel();
      if (--entry.pins == 0) entry.pins.notify_all();
    }
  }
}

std::optional<Result<Probe>> ConnectionPool::probe(const CallContext& context, Deadline most) {
  if (closed_) return std::nullopt;
  Lane& lane = *lanes_.back();
  const Duration usual = context.deadline.left();
  // A login takes several round trips: one that a check has no time for would make a server that is
  // far away a dead one, for ever.
  const auto own = [&](CallContext& limit) {
    const Deadline in_time = limit.deadline;
    const bool longer = slow_login_ && in_time.at() < most.at();
    if (longer) limit.deadline = Deadline::in(config_.pool.connect_timeout).sooner(most);
    auto made = connect(limit, lane.access);
    slow_login_ = in_time.passed();
    if (made.ok()) far_ = slow_login_.load();
    if (longer) limit.deadline = Deadline::in(usual).sooner(most);
    return made;
  };
  if (far_) {
    if (auto probe = probe_borrowed(lane, context)) return probe;
  }
  Handoff::Work work;
  std::optional<Result<Probe>> probe = session_.probe(context, own, &work);
  perform(lane, std::move(work));
  if (probe) return probe;
  CallContext limit = context;
  if (const auto slot = lane.handoff.reserve_first()) {
    // A pool of one: its only connection is opened for the check and is the callers' afterwards.
    const uint64_t generation = generation_;
    Result<std::unique_ptr<Connection>> made = own(limit);
    if (!made.ok()) {
      perform(lane, lane.handoff.vacate(*slot));
      return made.status();
    }
    install(lane, *slot, std::move(*made), generation);
    perform(lane, lane.handoff.connected(*slot, Clock::now()));
  }
  return probe_borrowed(lane, limit);
}

std::optional<Result<Probe>> ConnectionPool::probe_borrowed(Lane& lane,
                                                            const CallContext& context) {
  const auto taken = lane.handoff.try_take(Clock::now(), "health check");
  if (!taken) return std::nullopt;
  Lease lease = lease_of(lane, taken->slot);
  Result<Probe> probe = lease->probe(context);
  if (!probe.ok()) lease.discard();
  return probe;
}

void ConnectionPool::yield_probe_session() {
  perform(*lanes_.back(), session_.yield());
}

}  // namespace cenote
