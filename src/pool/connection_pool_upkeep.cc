// Return, growth, upkeep and the end of a pool's connections.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "pool/connection_pool.h"

namespace cenote {
namespace {

constexpr Duration kKeeperInterval = std::chrono::milliseconds(500);
constexpr Duration kCancelGrace = std::chrono::seconds(5);

std::string seconds_text(Duration value) {
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(value).count();
  return std::to_string(millis / 1000) + "." + std::to_string(millis % 1000 / 100) + " s";
}

// Whether a new connection would fail in the same way for everyone who waits.
bool hopeless(const Status& status) {
  const ErrorKind kind = error_kind(status);
  return kind == ErrorKind::kAuthentication || kind == ErrorKind::kConfig;
}

}  // namespace

void ConnectionPool::give_back(uint32_t slot, Connection* connection, bool discard) noexcept {
  TimePoint taken_at;
  {
    const Lock lock(mutex_);
    Entry& entry = *entries_[slot];
    entry.state = State::kBusy;
    taken_at = entry.taken_at;
  }
  const TimePoint now = Clock::now();
  metrics_->use_time.record(now - taken_at);
  bool good = !discard && connection->usable();
  if (good && connection->dirty()) {
    const CallContext context{Deadline::in(config_.pool.reset_timeout), {}};
    const Status status = connection->reset(context);
    good = status.ok() && connection->usable();
  }
  std::vector<WaiterPtr> told;
  {
    const Lock lock(mutex_);
    Entry& entry = *entries_[slot];
    if (good) good = !must_close(entry, Clock::now());
    if (good) {
      Lane& lane = lanes_[entry.lane];
      entry.state = State::kIdle;
      entry.idle_since = Clock::now();
      entry.tag.clear();
      lane.idle.push_back(slot);
      serve(lane, &told);
      changed_.notify_all();
    }
  }
  if (!good) close_entry(slot);
  tell(std::move(told));
}

void ConnectionPool::close_entry(uint32_t slot) {
  std::unique_ptr<Connection> connection;
  {
    const Lock lock(mutex_);
    entries_[slot]->state = State::kBusy;
    ++lanes_[entries_[slot]->lane].closing;
    connection = std::move(entries_[slot]->connection);
  }
  connection.reset();  // may take a round trip; it counts against the limit until it is done
  std::vector<WaiterPtr> told;
  {
    const Lock lock(mutex_);
    Lane& lane = lanes_[entries_[slot]->lane];
    entries_[slot].reset();
    free_slots_.push_back(slot);
    --lane.total;
    --lane.closing;
    serve(lane, &told);
    changed_.notify_all();
  }
  tell(std::move(told));
}

void ConnectionPool::fail_waiters(Lane& lane, const Status& status, bool all,
                                  std::vector<WaiterPtr>* told) {
  while (!lane.waiters.empty()) {
    WaiterPtr head = lane.waiters.front();
    lane.waiters.pop_front();
    head->linked = false;
    head->status = status;
    told->push_back(std::move(head));
    if (!all) return;
  }
}

void ConnectionPool::start_connects(Lane& lane) {
  const auto wanted = [&] {
    const int missing = lane.min - lane.total;
    const int waiting = static_cast<int>(lane.waiters.size()) - lane.connecting;
    return std::max(missing, waiting);
  };
  while (!closed_ && wanted() > 0 && lane.total < lane.max &&
         lane.connecting < config_.pool.max_connecting) {
    ++lane.total;
    ++lane.connecting;
    const auto index = static_cast<uint32_t>(&lane - lanes_.data());
    executor_->post([self = std::static_pointer_cast<ConnectionPool>(shared_from_this()), index] {
      self->run_connect(index);
    });
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

void ConnectionPool::run_connect(uint32_t index) {
  Access access = Access::kReadWrite;
  uint64_t generation = 0;
  {
    const Lock lock(mutex_);
    access = lanes_[index].access;
    generation = generation_;
  }
  const TimePoint begin = Clock::now();
  Result<std::unique_ptr<Connection>> made =
      connect({Deadline::in(config_.pool.connect_timeout), {}}, access);
  std::vector<WaiterPtr> told;
  std::unique_ptr<Connection> unwanted;
  {
    const Lock lock(mutex_);
    Lane& lane = lanes_[index];
    --lane.connecting;
    if (!made.ok()) {
      metrics_->connect_failures.fetch_add(1, std::memory_order_relaxed);
      --lane.total;
      // With no connection left, all who wait wait for the same failure.
      fail_waiters(lane, made.status(), lane.total == lane.connecting || hopeless(made.status()),
                   &told);
    } else if (closed_) {
      unwanted = std::move(*made);
    } else {
      metrics_->create_time.record(Clock::now() - begin);
      uint32_t slot = 0;
      if (free_slots_.empty()) {
        slot = static_cast<uint32_t>(entries_.size());
        entries_.emplace_back();
      } else {
        slot = free_slots_.back();
        free_slots_.pop_back();
      }
      auto entry = std::make_unique<Entry>();
      entry->connection = std::move(*made);
      entry->lane = index;
      entry->generation = generation;
      const Duration life = config_.pool.max_lifetime;
      std::uniform_real_distribution<double> jitter(0, config_.pool.lifetime_jitter);
      entry->expires =
          life == Duration::zero()
              ? TimePoint::max()
              : Clock::now() + std::chrono::duration_cast<Duration>(life * (1 - jitter(random_)));
      entry->idle_since = Clock::now();
      entry->state = State::kIdle;
      entries_[slot] = std::move(entry);
      lane.idle.push_back(slot);
      serve(lane, &told);
    }
    changed_.notify_all();
  }
  if (unwanted != nullptr) {
    unwanted.reset();
    const Lock lock(mutex_);
    --lanes_[index].total;
    changed_.notify_all();
  }
  tell(std::move(told));
}

Status ConnectionPool::timeout_error(const Lane& lane, Duration waited) const {
  const PoolStatus now = status_locked();
  std::string text = "no connection of pool '" + config_.id + "' (" + database_->endpoint() +
                     ") became free within " + seconds_text(waited) + ": " +
                     std::to_string(now.total) + " of " + std::to_string(now.max) +
                     " connections, " + std::to_string(now.active) + " active, " +
                     std::to_string(now.idle) + " idle, " + std::to_string(lane.waiters.size()) +
                     " other callers wait";
  if (now.longest_holder) {
    text += "; held longest, for " + seconds_text(now.longest_holder->held_for) +
            ", by: " + now.longest_holder->tag;
  }
  text += now.paused ? "; the pool is paused"
                     : "; return connections sooner, raise max_connections or acquire_timeout";
  return make_error(ErrorKind::kPoolTimeout, std::move(text));
}

PoolStatus ConnectionPool::status_locked() const {
  PoolStatus status;
  status.id = config_.id;
  status.type = config_.type;
  status.endpoint = database_->endpoint();
  status.generation = generation_;
  status.paused = paused_;
  status.closed = closed_;
  const TimePoint now = Clock::now();
  status.uptime = now - opened_;
  for (const Lane& lane : lanes_) {
    status.max += lane.max;
    status.total += lane.total;
    status.connecting += lane.connecting;
    status.idle += static_cast<int>(lane.idle.size());
    status.waiting += static_cast<int>(lane.waiters.size());
  }
  for (const auto& entry : entries_) {
    if (entry == nullptr) continue;
    if (entry->state == State::kBusy && entry->connection == nullptr) ++status.closing;
    if (entry->state != State::kActive) continue;
    ++status.active;
    const Duration held = now - entry->taken_at;
    if (!status.longest_holder || held > status.longest_holder->held_for) {
      status.longest_holder = Holder{entry->tag, held};
    }
  }
  return status;
}

PoolStatus ConnectionPool::status() const {
  const Lock lock(mutex_);
  return status_locked();
}

void ConnectionPool::take_all_idle(std::vector<uint32_t>* dead) {
  for (Lane& lane : lanes_) {
    for (const uint32_t slot : lane.idle) {
      entries_[slot]->state = State::kBusy;
      dead->push_back(slot);
    }
    lane.idle.clear();
  }
}

Status ConnectionPool::resize(int max_connections, int min_connections) {
  if (max_connections < 1 || min_connections < 0 || min_connections > max_connections) {
    return make_error(ErrorKind::kInterface,
                      "resize: max_connections must be at least 1 and not below min_connections");
  }
  std::vector<uint32_t> dead;
  std::vector<WaiterPtr> told;
  {
    const Lock lock(mutex_);
    Lane& lane = lanes_.back();  // of a pool with a read lane, the readers: there is one writer
    lane.max = max_connections;
    lane.min = min_connections;
    int surplus = lane.total - lane.max;
    while (surplus-- > 0 && !lane.idle.empty()) {
      dead.push_back(lane.idle.front());  // the one idle longest
      entries_[lane.idle.front()]->state = State::kBusy;
      lane.idle.erase(lane.idle.begin());
    }
    serve(lane, &told);
  }
  for (const uint32_t slot : dead) close_entry(slot);
  tell(std::move(told));
  return Status::OK();
}

void ConnectionPool::clear() {
  std::vector<uint32_t> dead;
  {
    const Lock lock(mutex_);
    ++generation_;
    take_all_idle(&dead);
  }
  for (const uint32_t slot : dead) close_entry(slot);
}

void ConnectionPool::pause() {
  const Lock lock(mutex_);
  paused_ = true;
}

void ConnectionPool::resume() {
  std::vector<WaiterPtr> told;
  {
    const Lock lock(mutex_);
    paused_ = false;
    for (Lane& lane : lanes_) serve(lane, &told);
  }
  tell(std::move(told));
}

void ConnectionPool::abort() {
  std::vector<uint32_t> dead;
  std::vector<WaiterPtr> told;
  {
    const Lock lock(mutex_);
    closed_ = true;
    for (Lane& lane : lanes_) fail_waiters(lane, refusal(), true, &told);
    take_all_idle(&dead);
    for (const auto& entry : entries_) {
      // cancel() returns at once and may be called from any thread: the one driver call under the
      // lock, which keeps the connection alive meanwhile.
      if (entry && entry->state == State::kActive) entry->connection->cancel();
    }
  }
  for (const uint32_t slot : dead) close_entry(slot);
  tell(std::move(told));
}

Status ConnectionPool::drain(Deadline deadline) {
  const auto total = [this]() CENOTE_REQUIRES(mutex_) {
    int sum = 0;
    for (const Lane& lane : lanes_) sum += lane.total;
    return sum;
  };
  std::vector<uint32_t> dead;
  std::vector<WaiterPtr> told;
  {
    const Lock lock(mutex_);
    closed_ = true;
    for (Lane& lane : lanes_) fail_waiters(lane, refusal(), true, &told);
    take_all_idle(&dead);
  }
  tell(std::move(told));
  for (const uint32_t slot : dead) close_entry(slot);
  {
    Lock lock(mutex_);
    while (total() > 0 && !deadline.passed()) changed_.wait_until(lock, deadline.at());
    if (total() == 0) return Status::OK();
  }
  abort();
  Lock lock(mutex_);
  const Deadline grace = Deadline::in(kCancelGrace);
  while (total() > 0 && !grace.passed()) changed_.wait_until(lock, grace.at());
  if (total() == 0) return Status::OK();
  return make_error(ErrorKind::kPoolTimeout,
                    "pool '" + config_.id + "': " + std::to_string(total()) +
                        " connections were still held when draining ended; they close on return");
}

void ConnectionPool::keep_once(TimePoint now, std::vector<uint32_t>* dead,
                               std::vector<std::string>* leaks) {
  for (Lane& lane : lanes_) {
    std::vector<uint32_t> kept;
    int total = lane.total;
    for (const uint32_t slot : lane.idle) {  // oldest first
      Entry& entry = *entries_[slot];
      const bool old = now - entry.idle_since > config_.pool.idle_timeout &&
                       config_.pool.idle_timeout > Duration::zero() && total > lane.min;
      if (old || must_close(entry, now)) {
        entry.state = State::kBusy;
        dead->push_back(slot);
        --total;
      } else {
        kept.push_back(slot);
      }
    }
    lane.idle = std::move(kept);
    start_connects(lane);
  }
  if (config_.pool.leak_threshold == Duration::zero()) return;
  for (const auto& entry : entries_) {
    if (!entry || entry->state != State::kActive || entry->leak_logged) continue;
    if (now - entry->taken_at < config_.pool.leak_threshold) continue;
    entry->leak_logged = true;
    leaks->push_back("pool '" + config_.id + "': a connection has been held for " +
                     seconds_text(now - entry->taken_at) + " by: " + entry->tag);
  }
}

void ConnectionPool::keep(const std::stop_token& stop) noexcept {
  while (!stop.stop_requested()) {
    std::vector<uint32_t> dead;
    std::vector<std::string> leaks;
    {
      Lock lock(mutex_);
      changed_.wait_until(lock, stop, Clock::now() + kKeeperInterval, [] { return false; });
      if (stop.stop_requested()) return;
      if (!closed_ && !weak_from_this().expired()) keep_once(Clock::now(), &dead, &leaks);
    }
    for (const uint32_t slot : dead) close_entry(slot);
    for (const std::string& leak : leaks) log(LogLevel::kWarning, "pool", leak);
  }
}

}  // namespace cenote
