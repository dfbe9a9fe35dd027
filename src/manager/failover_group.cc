// Watching the members, ending their calls, telling what happened.
#include "manager/failover_group.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/label.h"
#include "base/log.h"

namespace cenote {
namespace {

constexpr Duration kReadsMayFinish = std::chrono::seconds(5);
constexpr Duration kAtMostEvery = std::chrono::milliseconds(100);
constexpr size_t kMostRecent = 50;
constexpr Duration kFarCheck = std::chrono::seconds(1);

// None: the check says nothing of the server.
std::optional<failover::Sight> sight_of(const LocalPool& pool, bool remote, const Status& check) {
  failover::Sight sight;
  if (check.ok()) {
    const PoolStatus status = pool.get_status();
    if (status.health == HealthState::kUnknown) return std::nullopt;  // there was no way to ask
    sight.condition = failover::Sight::Condition::kWell;
    sight.writable = !status.read_only && status.role != Role::kReplica;
    // Two files may both be written; two servers of one database must not.
    sight.primary = remote && status.role == Role::kPrimary;
    sight.lag = status.lag;
    return sight;
  }
  return sight_of_failure(check);
}

bool is_remote(const LocalPool& pool) {
  const Result<const Driver*> driver = find_driver(pool.type());
  return driver.ok() && (*driver)->traits().remote;
}

std::string line_of(const failover::Event& event) {
  std::string line(to_string(event.kind));
  if (event.epoch > 0) line += " (epoch " + std::to_string(event.epoch) + ")";
  line += " " + event.from;
  if (!event.to.empty()) line += " → " + event.to;
  line += ": " + event.reason;
  // A server's words may have several.
  std::replace_if(line.begin(), line.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return line;
}

}  // namespace

std::optional<failover::Sight> sight_of_failure(const Status& check) {
  using Condition = failover::Sight::Condition;
  failover::Sight sight;
  sight.error = check.message();
  const ErrorKind kind = error_kind(check);
  if (kind == ErrorKind::kAuthentication) {
    sight.condition = Condition::kUnauthorised;
  } else if (kind == ErrorKind::kOverload) {
    sight.condition = Condition::kOverloaded;
  } else if (counts_against_target(check) || kind == ErrorKind::kQueryTimeout) {
    sight.condition = Condition::kDead;
  } else {
    return std::nullopt;
  }
  return sight;
}

GroupVisit::GroupVisit(bool write, std::stop_token caller)
    : write_(write), caller_(std::move(caller), [this] { stop_.request_stop(); }) {}

FailoverGroup::FailoverGroup(std::vector<Member> members, Options options)
    : options_(std::move(options)), members_(std::move(members)), poked_(members_.size()) {
  for (const Member& member : members_) {
    remote_.push_back(member.pool != nullptr && is_remote(*member.pool));
  }
}

void FailoverGroup::start() {
  for (size_t i = 0; i < members_.size(); ++i) {
    watchers_.emplace_back([this, i](const std::stop_token& stop) { watch(i, stop); });
  }
}

void FailoverGroup::stop() {
  for (std::jthread& watcher : watchers_) watcher.request_stop();
  watchers_.clear();
}

bool FailoverGroup::is(std::string_view id, const FailoverStrategy& how,
                       const std::vector<Member>& members) const {
  return options_.id == id && options_.how == how &&
         std::equal(
             members_.begin(), members_.end(), members.begin(), members.end(),
             [](const Member& a, const Member& b) { return a.name == b.name && a.pool == b.pool; });
}

std::optional<failover::Sight> FailoverGroup::look_at(size_t member,
                                                      const std::stop_token& stop) const {
  const Member& at = members_[member];
  if (at.pool == nullptr) return at.look({Deadline::in(kFarCheck), stop});
  return sight_of(*at.pool, remote_[member], at.pool->health_check({Deadline(), stop}));
}

void FailoverGroup::watch(size_t member, const std::stop_token& stop) noexcept {
  std::minstd_rand random(std::random_device{}());
  std::uniform_real_distribution<double> jitter(0.8, 1.2);
  TimePoint next = Clock::now();
  while (!stop.stop_requested()) {
    const TimePoint began = Clock::now();
    if (began >= next) {
      auto sight = look_at(member, stop);
      if (stop.stop_requested()) return;
      if (sight) on_sight(member, std::move(*sight), began, stop);
    }
    on_time(stop);
    end_late_reads(Clock::now());
    Lock lock(mutex_);
    if (began >= next) {
      const Duration pause = in_doubt(member) ? options_.hurried : options_.interval;
      next = Clock::now() + std::chrono::duration_cast<Duration>(pause * jitter(random));
    }
    // A decision that is due was asked for just now: it waits for a check or for the store.
    const TimePoint earliest = Clock::now() + kAtMostEvery;
    TimePoint until = std::min(next, std::max(due(), earliest));
    const auto end = reads_end_.empty() ? TimePoint::max() : reads_end_.begin()->second;
    until = std::min(until, std::max(end, earliest));
    wake_.wait_until(lock, stop, until, [&]() CENOTE_REQUIRES(mutex_) { return poked_[member]; });
    if (!poked_[member]) continue;
    poked_[member] = false;
    next = began + kAtMostEvery;
    wake_.wait_until(lock, stop, next, [] { return false; });
  }
}

void FailoverGroup::check_soon(size_t member) {
  {
    const Lock lock(mutex_);
    poked_[member] = true;
  }
  wake_.notify_all();
}

Result<std::shared_ptr<GroupVisit>> FailoverGroup::enter(const RoutedCall& call,
                                                         const std::vector<bool>& tried,
                                                         uint64_t seen, Deadline deadline,
                                                         const std::stop_token& stop) {
  auto visit = std::make_shared<GroupVisit>(!call.repeatable || call.lasting, stop);
  Lock lock(mutex_);
  const Result<size_t> member = pick(call, tried, seen, deadline, stop, lock);
  if (ended_) {
    return make_error(ErrorKind::kPoolClosed, "pool '" + id() + "' was removed or replaced");
  }
  ARROW_RETURN_NOT_OK(member.status());
  visit->begin(*member, changes_);
  on_enter(*member);
  std::erase_if(visits_, [](const std::weak_ptr<GroupVisit>& each) { return each.expired(); });
  visits_.push_back(visit);
  return visit;
}

void FailoverGroup::end() {
  {
    const Lock lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
}

Status FailoverGroup::left(const GroupVisit& visit, const Status& status) {
  on_call(visit.member(), status, visit.begin());
  return judged(visit, status);
}

Status FailoverGroup::judged(const GroupVisit& visit, const Status& status) {
  if (counts_against_target(status)) check_soon(visit.member());
  if (!visit.interrupted() || error_kind(status) != ErrorKind::kCancelled) return status;
  ErrorDetail detail;
  if (const ErrorDetail* known = error_detail(status)) detail = *known;
  detail.kind = ErrorKind::kConnection;
  detail.pool = id();
  if (detail.sent != Sent::kNo) detail.sent = Sent::kMaybe;
  const bool unknown = visit.write() && detail.sent != Sent::kNo;
  return make_error(
      std::move(detail),
      "pool '" + id() + "': the call was at '" + members_[visit.member()].name +
          "' when a failover left it" +
          (unknown ? "; whether it took effect is unknown, so it was not sent again" : ""));
}

std::vector<std::shared_ptr<GroupVisit>> FailoverGroup::visits() const {
  std::vector<std::shared_ptr<GroupVisit>> all;
  for (const auto& each : visits_) {
    if (auto visit = each.lock()) all.push_back(std::move(visit));
  }
  return all;
}

void FailoverGroup::end_calls(size_t member) {
  std::vector<std::shared_ptr<GroupVisit>> all;
  {
    const Lock lock(mutex_);
    all = visits();
    reads_end_[member] = Clock::now() + kReadsMayFinish;
  }
  for (const auto& visit : all) {
    if (visit->member() == member && visit->write()) visit->interrupt();
  }
}

void FailoverGroup::retire(size_t member) const {
  if (members_[member].pool != nullptr) members_[member].pool->connection_pool().retire();
}

void FailoverGroup::end_late_reads(TimePoint now) {
  std::map<size_t, TimePoint> due;
  std::vector<std::shared_ptr<GroupVisit>> all;
  {
    const Lock lock(mutex_);
    for (const auto& [member, at] : reads_end_) {
      if (now >= at) due.emplace(member, at);
    }
    if (due.empty()) return;
    std::erase_if(reads_end_, [&](const auto& each) { return due.contains(each.first); });
    all = visits();
  }
  for (const auto& visit : all) {
    const auto end = due.find(visit->member());
    // Not those that came since, when calls had come back here.
    if (end != due.end() && visit->begin() + kReadsMayFinish <= end->second) visit->interrupt();
  }
}

void FailoverGroup::tell(const std::vector<failover::Event>& events) {
  using Kind = failover::Event::Kind;
  {
    const Lock lock(mutex_);
    ++changes_;
    for (const failover::Event& event : events) {
      ++counts_[std::string(to_string(event.kind))];
      recent_.push_back(line_of(event));
      if (recent_.size() > kMostRecent) recent_.pop_front();
      if (event.kind == Kind::kSuspect || event.kind == Kind::kConfirm) {
        if (!trouble_since_) trouble_since_ = Clock::now();
      } else if (event.kind == Kind::kSwitched || event.kind == Kind::kFollowed) {
        ++moves_;
        if (trouble_since_) recovery_.record(Clock::now() - *trouble_since_);
        trouble_since_.reset();
      } else if (event.kind == Kind::kRecovered) {
        trouble_since_.reset();
      }
    }
  }
  changed_.notify_all();
  for (const failover::Event& event : events) {
    log(event.alert ? LogLevel::kWarning : LogLevel::kInfo, "failover",
        "pool '" + id() + "': " + line_of(event));
  }
}

void FailoverGroup::tell_history(FailoverStatus* status) const {
  status->events = {recent_.begin(), recent_.end()};
  status->counts = counts_;
}

std::vector<cluster::MetricSample> FailoverGroup::samples() const {
  const std::string pool = "pool=\"" + label_value(id()) + "\"";
  const std::string scope = "scope=\"database\"," + pool;
  const Lock lock(mutex_);
  std::vector<cluster::MetricSample> samples = {
      cluster::counter_sample("cenote_failover_total", static_cast<double>(moves_), scope),
      recovery_.sample("cenote_failover_recovery_seconds", scope)};
  for (const auto& [kind, count] : counts_) {
    std::string labels = pool;
    labels += ",event=\"" + kind + "\"";
    samples.push_back(cluster::counter_sample("cenote_failover_events_total",
                                              static_cast<double>(count), std::move(labels)));
  }
  return samples;
}

}  // namespace cenote
