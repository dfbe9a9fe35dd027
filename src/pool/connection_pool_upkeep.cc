// Status, upkeep, and the commands that change or end a pool.
#include <algorithm>
#include <ctime>
#include <utility>

#include "base/log.h"
#include "pool/connection_pool.h"

namespace cenote {
namespace {

constexpr Duration kUpkeepInterval = std::chrono::milliseconds(500);
constexpr Duration kSuspensionLimit = std::chrono::seconds(10);
constexpr Duration kCancelAgain = std::chrono::milliseconds(100);
constexpr Duration kCancelGrace = std::chrono::seconds(5);

// CLOCK_MONOTONIC stands still while the machine is suspended, CLOCK_BOOTTIME does not.
Duration time_with_suspensions() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

std::string seconds_text(Duration value) {
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(value).count();
  return std::to_string(millis / 1000) + "." + std::to_string(millis % 1000 / 100) + " s";
}

}  // namespace

PoolStatus ConnectionPool::status() const {
  PoolStatus status;
  status.id = config_.id;
  status.type = config_.type;
  status.endpoint = database_->endpoint();
  status.generation = generation_;
  status.paused = paused_;
  status.closed = closed_;
  const TimePoint now = Clock::now();
  status.uptime = now - opened_;
  for (const auto& lane : lanes_) {
    const Handoff::Counts counts = lane->handoff.counts();
    status.max += counts.max;
    status.total += counts.total;
    status.waiting += counts.waiting;
    status.active += counts[SlotState::kActive];
    status.idle += counts[SlotState::kIdle];
    status.connecting += counts[SlotState::kConnecting];
    status.resetting += counts[SlotState::kBusy];
    status.closing += counts[SlotState::kClosing];
    status.checking += counts[SlotState::kChecking];
    if (!counts.longest) continue;
    const Duration held = std::max(Duration::zero(), Duration(now - counts.longest->since));
    if (!status.longest_holder || held > status.longest_holder->held_for) {
      status.longest_holder = Holder{counts.longest->tag, held};
    }
  }
  return status;
}

Status ConnectionPool::timeout_error(Duration waited) const {
  const PoolStatus now = status();
  std::string text =
      "no connection of pool '" + config_.id + "' (" + database_->endpoint() +
      ") became free within " + seconds_text(waited) + ": " + std::to_string(now.total) + " of " +
      std::to_string(now.max) + " connections, " + std::to_string(now.active) + " active, " +
      std::to_string(now.idle) + " idle, " + std::to_string(now.waiting) + " other callers wait";
  if (now.longest_holder) {
    text += "; held longest, for " + seconds_text(now.longest_holder->held_for) +
            ", by: " + now.longest_holder->tag;
  }
  {
    const Lock lock(mutex_);
    if (!last_connect_error_.empty()) text += "; the last connect failed: " + last_connect_error_;
  }
  text += now.paused ? "; the pool is paused"
                     : "; return connections sooner, raise max_connections or acquire_timeout";
  return make_error(ErrorKind::kPoolTimeout, std::move(text));
}

Status ConnectionPool::resize(int max_connections, int min_connections) {
  if (max_connections < 1 || min_connections < 0 || min_connections > max_connections) {
    return make_error(ErrorKind::kInterface,
                      "resize: max_connections must be at least 1 and not below min_connections");
  }
  // Of a pool with a read lane, the readers: there is one writer.
  Lane& lane = *lanes_.back();
  perform(lane, lane.handoff.resize(max_connections, min_connections));
  return Status::OK();
}

void ConnectionPool::sweep(Lane& lane) {
  for (uint32_t slot = 0; slot < lane.handoff.size(); ++slot) {
    if (lane.handoff.state(slot) != SlotState::kIdle) continue;
    const TimePoint since = lane.handoff.since(slot);
    if (lane.entries[slot].generation == generation_) continue;
    if (lane.handoff.withdraw(slot, since)) close_slot(lane, slot);
  }
}

void ConnectionPool::clear() {
  ++generation_;
  yield_probe_session();
  for (const auto& lane : lanes_) sweep(*lane);
}

void ConnectionPool::retire() {
  retired_before_ = ++generation_;
  clear();
  cancel_retired();
}

void ConnectionPool::pause() {
  paused_ = true;
  for (const auto& lane : lanes_) lane->handoff.set_paused(true);
}

void ConnectionPool::resume() {
  paused_ = false;
  for (const auto& lane : lanes_) {
    lane->handoff.set_paused(false);
    perform(*lane, lane->handoff.serve());
  }
}

void ConnectionPool::close() {
  closed_ = true;
  ++generation_;  // what is out closes when it returns
  for (const auto& lane : lanes_) perform(*lane, lane->handoff.close());
  yield_probe_session();
}

void ConnectionPool::abort() {
  close();
  cancel_running();
}

Status ConnectionPool::drain(Deadline deadline) {
  const auto empty_by = [this](Deadline limit) {
    return std::all_of(lanes_.begin(), lanes_.end(),
                       [&](const auto& lane) { return lane->handoff.wait_until_empty(limit); });
  };
  close();
  if (empty_by(deadline)) return Status::OK();
  // Again and again: a statement whose caller had its connection but had not sent it yet is missed
  // by the first cancel.
  for (const Deadline grace = Deadline::in(kCancelGrace); !grace.passed();) {
    cancel_running();
    if (empty_by(grace.sooner(Deadline::in(kCancelAgain)))) return Status::OK();
  }
  return make_error(ErrorKind::kPoolTimeout,
                    "pool '" + config_.id + "': " + std::to_string(status().total) +
                        " connections were still held when draining ended; they close on return");
}

Duration ConnectionPool::wait_for_upkeep(const std::stop_token& stop) {
  const TimePoint now = Clock::now();
  TimePoint next = now + kUpkeepInterval;
  for (const auto& lane : lanes_) {
    const TimePoint retry = lane->handoff.connects_after();
    if (retry > now) next = std::min(next, retry);
  }
  const Duration before = time_with_suspensions();
  {
    Lock lock(mutex_);
    upkeep_.wait_until(lock, stop, next, [this]() CENOTE_REQUIRES(mutex_) { return upkeep_due_; });
    upkeep_due_ = false;
  }
  return time_with_suspensions() - before - kUpkeepInterval;
}

void ConnectionPool::keep(TimePoint now, Duration unnoticed) {
  // What was idle over a suspension may have been dropped by every firewall on the way.
  if (unnoticed > kSuspensionLimit) clear();
  metrics_->sample(now);
  for (const auto& lane : lanes_) keep_lane(*lane, now);
  // A statement that was not sent yet is missed by the first cancel.
  if (retired_before_ > 0) cancel_retired();
}

void ConnectionPool::keep_lane(Lane& lane, TimePoint now) {
  const Handoff::Counts counts = lane.handoff.counts();
  int spare = counts.total - counts[SlotState::kChecking] - lane.handoff.min();
  const Duration idle_timeout = config_.pool.idle_timeout;
  for (uint32_t slot = 0; slot < lane.handoff.size(); ++slot) {
    if (lane.handoff.state(slot) != SlotState::kIdle) continue;
    // All read before the slot is taken out, which fails if it was used in between.
    const TimePoint since = lane.handoff.since(slot);
    const Entry& entry = lane.entries[slot];
    const bool stale = entry.generation != generation_ || now >= entry.expires.load();
    const bool unused = idle_timeout > Duration::zero() && now - since > idle_timeout && spare > 0;
    const bool quiet = now >= entry.keepalive_at.load();
    if (!stale && !unused && !quiet) continue;
    if (!lane.handoff.withdraw(slot, since)) continue;
    if (stale || unused) {
      --spare;
      close_slot(lane, slot);
    } else {
      executor_->post(
          [self = shared_from_this(), this, &lane, slot, since] { keep_alive(lane, slot, since); });
    }
  }
  perform(lane, lane.handoff.serve());  // refills to the least number, tries failed connects again
  log_leaks(lane, now);
}

void ConnectionPool::keep_alive(Lane& lane, uint32_t slot, TimePoint idle_since) {
  Entry& entry = lane.entries[slot];
  const CallContext context{Deadline::in(config_.pool.validation_timeout), {}};
  if (!entry.connection->validate(context).ok() || !entry.connection->usable()) {
    return close_slot(lane, slot);
  }
  schedule_keepalive(entry, Clock::now());
  // Back to its place among the idle ones: being kept alive is not being used.
  if (lane.handoff.release(slot, idle_since)) return;
  if (lane.handoff.surplus()) return close_slot(lane, slot);
  perform(lane, lane.handoff.give_back(slot, idle_since));
}

void ConnectionPool::log_leaks(Lane& lane, TimePoint now) {
  const Duration threshold = config_.pool.leak_threshold;
  if (threshold == Duration::zero()) return;
  for (uint32_t slot = 0; slot < lane.entries.size(); ++slot) {
    const std::optional<Handoff::Held> held = lane.handoff.held(slot);
    if (!held || now - held->since < threshold) continue;
    Entry& entry = lane.entries[slot];
    if (entry.leak_logged_at.exchange(held->since) == held->since) continue;
    log(LogLevel::kWarning, "pool",
        "pool '" + config_.id + "': a connection has been held for " +
            seconds_text(now - held->since) + " by: " + held->tag);
  }
}

void ConnectionPool::leave_to_parent() noexcept {
  for (const auto& lane : lanes_) {
    for (uint32_t slot = 0; slot < lane->entries.size(); ++slot) {
      Entry& entry = lane->entries[slot];
      if (entry.connection != nullptr) entry.connection->leave_to_parent();
    }
  }
  session_.leave_to_parent();
}

}  // namespace cenote
