// LoadBalanced at work: every call chooses a member, and tells how it went.
#include <random>
#include <utility>

#include "failover/ejection.h"
#include "manager/failover_group.h"

namespace cenote {
namespace {

using failover::Ejection;

uint64_t random_bits() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return random();
}

std::vector<Ejection::Member> members_of(const std::vector<FailoverGroup::Member>& members) {
  std::vector<Ejection::Member> all;
  for (const FailoverGroup::Member& member : members) {
    const PoolOptions options = member.pool == nullptr ? PoolOptions() : member.pool->config().pool;
    all.push_back({member.name, 1.0, options.max_connections});
  }
  return all;
}

Ejection::Options rule_options(const std::vector<FailoverGroup::Member>& members) {
  Ejection::Options options;
  if (members.front().pool == nullptr) return options;
  options.fall = members.front().pool->config().health.fall;
  options.rise = members.front().pool->config().health.rise;
  return options;
}

class BalancedGroup final : public FailoverGroup {
 public:
  BalancedGroup(std::vector<Member> members, Options options, LoadBalanceAlgorithm algorithm)
      : FailoverGroup(members, std::move(options)),
        rule_(members_of(members), algorithm, random_bits(), rule_options(members)) {
    start();
  }
  ~BalancedGroup() override { stop(); }

  size_t current() const override {
    const Lock lock(mutex_);
    for (size_t i = 0; i < rule_.size(); ++i) {
      if (!rule_.ejected(i) && !rule_.down(i)) return i;
    }
    return 0;
  }

  FailoverStatus status() const override {
    const Lock lock(mutex_);
    FailoverStatus status;
    status.id = id();
    status.strategy = "load_balanced";
    status.state = rule_.panic() ? "panic" : "active";
    for (size_t i = 0; i < rule_.size(); ++i) {
      const failover::Sight& sight = rule_.sight(i);
      const bool well = sight.condition == failover::Sight::Condition::kWell;
      status.takes_writes = status.takes_writes || (well && sight.writable);
      const char* state = rule_.down(i)      ? "down"
                          : rule_.ejected(i) ? "ejected"
                          : !well            ? "unknown"
                          : sight.writable   ? "writable"
                                             : "read-only";
      status.targets.push_back({rule_.name(i), state, sight.error});
    }
    tell_history(&status);
    return status;
  }

  Result<std::string> switch_to(std::string_view /*to*/, bool /*dry_run*/) override {
    return make_error(ErrorKind::kNotSupported,
                      "pool '" + id() +
                          "' is load_balanced: all its members are used, so there "
                          "is nothing to switch");
  }

 protected:
  Result<size_t> pick(const RoutedCall& call, const std::vector<bool>& tried, uint64_t /*seen*/,
                      Deadline /*deadline*/, const std::stop_token& /*stop*/,
                      Lock& /*lock*/) override CENOTE_REQUIRES(mutex_) {
    const bool write = call.need == route::Need::kWrite;
    const size_t chosen = rule_.choose(write, tried, Clock::now(), random_bits());
    if (chosen < rule_.size()) return chosen;
    ErrorDetail detail;
    detail.kind = ErrorKind::kConnection;
    detail.pool = id();
    detail.sent = Sent::kNo;
    return make_error(std::move(detail), "pool '" + id() + "' has no member left for " +
                                             (write ? "this write: " : "this call: ") +
                                             rule_.why(write));
  }
  void on_sight(size_t member, failover::Sight sight, TimePoint /*began*/,
                const std::stop_token& /*stop*/) override {
    std::vector<failover::Event> events;
    {
      const Lock lock(mutex_);
      events = rule_.saw(member, std::move(sight), Clock::now());
    }
    if (!events.empty()) tell(events);
  }
  void on_enter(size_t member) override CENOTE_REQUIRES(mutex_) { rule_.load(member).begin(); }
  void on_call(size_t member, const Status& status, TimePoint begin) override {
    const TimePoint now = Clock::now();
    std::vector<failover::Event> events;
    {
      const Lock lock(mutex_);
      const bool bad = counts_against_target(status);
      rule_.load(member).end(now, now - begin, bad);
      events = bad ? rule_.failed(member, status.message(), now, random_bits())
                   : rule_.succeeded(member, now);
    }
    if (!events.empty()) tell(events);
  }
  bool in_doubt(size_t member) const override CENOTE_REQUIRES(mutex_) {
    return rule_.sight(member).condition == failover::Sight::Condition::kDead &&
           !rule_.down(member);
  }

 private:
  Ejection rule_ CENOTE_GUARDED_BY(mutex_);
};

}  // namespace

std::shared_ptr<FailoverGroup> balanced_group(std::vector<FailoverGroup::Member> members,
                                              FailoverGroup::Options options,
                                              LoadBalanceAlgorithm algorithm) {
  return std::make_shared<BalancedGroup>(std::move(members), std::move(options), algorithm);
}

}  // namespace cenote
