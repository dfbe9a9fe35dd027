// Several pools, of this process or of nodes, that stand for one: watched by checks, chosen by a
// rule of src/failover, which this part gives threads, a store and a clock.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cenote/manager.h"

#include "base/mutex.h"
#include "cluster/duration_histogram.h"
#include "cluster/metrics_aggregator.h"
#include "failover/epoch_store.h"
#include "failover/event.h"
#include "failover/sight.h"
#include "manager/router.h"

namespace cenote {

// One call at one member; the group can end it when its calls go elsewhere. Shared with the stream
// or transaction it began.
class GroupVisit {
 public:
  GroupVisit(bool write, std::stop_token caller);
  // By its group, before anybody else sees it.
  void begin(size_t member, uint64_t changes) {
    member_ = member;
    changes_ = changes;
    begin_ = Clock::now();
  }

  size_t member() const { return member_; }
  // What the group's count of changes was when it began.
  uint64_t changes() const { return changes_; }
  std::stop_token stop() const { return stop_.get_token(); }
  // Calls go elsewhere now: what waits or runs here ends.
  void interrupt() {
    interrupted_ = true;
    stop_.request_stop();
  }
  bool interrupted() const { return interrupted_; }
  bool write() const { return write_; }
  TimePoint begin() const { return begin_; }

 private:
  const bool write_;
  size_t member_ = 0;
  uint64_t changes_ = 0;
  TimePoint begin_;
  std::atomic<bool> interrupted_{false};
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> caller_;
};

// Thread-safe. A forked child, where its threads are not, must neither use nor destroy it.
class FailoverGroup {
 public:
  // None: nothing was learned.
  using Look = std::function<std::optional<failover::Sight>(const CallContext&)>;
  struct Member {
    std::string name;
    std::shared_ptr<LocalPool> pool;  // null: the nodes' pool of that name, looked at so:
    Look look{};
  };
  struct Options {
    std::string id;  // of the pool it stands for
    FailoverStrategy how{};
    std::string strategy;
    Duration interval = std::chrono::seconds(1);  // of checks, ± 20 %; hurried while in doubt
    Duration hurried = std::chrono::milliseconds(500);
    Duration hold{};  // how long a call may wait for a switch
  };

  virtual ~FailoverGroup() = default;
  FailoverGroup(const FailoverGroup&) = delete;
  FailoverGroup& operator=(const FailoverGroup&) = delete;

  const std::string& id() const { return options_.id; }
  const std::vector<Member>& members() const { return members_; }
  bool is(std::string_view id, const FailoverStrategy& how,
          const std::vector<Member>& members) const;
  Duration hold() const { return options_.hold; }

  // Begins a call at the member for it; waits until the deadline where a switch may be near.
  // `tried`: members that failed this call. `seen`: changes() of the attempt that failed.
  Result<std::shared_ptr<GroupVisit>> enter(const RoutedCall& call, const std::vector<bool>& tried,
                                            uint64_t seen, Deadline deadline,
                                            const std::stop_token& stop);
  // No call enters any more, and those that wait go: others stand for its pool now, or nobody.
  void end();
  // How the call went; the result is what judged() makes of it.
  Status left(const GroupVisit& visit, const Status& status);
  // An error of it, or of what it began: an interruption by the group becomes a lost connection,
  // with what is known of its fate.
  Status judged(const GroupVisit& visit, const Status& status);
  // Where calls go at this moment.
  virtual size_t current() const = 0;

  virtual FailoverStatus status() const = 0;
  virtual Result<std::string> switch_to(std::string_view to, bool dry_run) = 0;
  std::vector<cluster::MetricSample> samples() const;

 protected:
  FailoverGroup(std::vector<Member> members, Options options);
  // By the constructor of what derives, when it is ready for on_*; and by its destructor.
  void start();
  void stop();

  // Chosen and entered under one lock: no switch comes between that would miss the call. Lets go
  // of `lock` while it waits, and waits no more once the group has ended.
  virtual Result<size_t> pick(const RoutedCall& call, const std::vector<bool>& tried, uint64_t seen,
                              Deadline deadline, const std::stop_token& stop, Lock& lock)
      CENOTE_REQUIRES(mutex_) = 0;
  virtual void on_enter(size_t /*member*/) CENOTE_REQUIRES(mutex_) {}
  // Called without the lock, on the watcher's thread of that member.
  virtual void on_sight(size_t member, failover::Sight sight, TimePoint began,
                        const std::stop_token& stop) = 0;
  virtual void on_time(const std::stop_token& /*stop*/) {}
  virtual void on_call(size_t /*member*/, const Status& /*status*/, TimePoint /*begin*/) {}
  virtual TimePoint due() const CENOTE_REQUIRES(mutex_) { return TimePoint::max(); }
  virtual bool in_doubt(size_t member) const CENOTE_REQUIRES(mutex_) = 0;

  // Logs, counts and keeps them; wakes who waits for a change.
  void tell(const std::vector<failover::Event>& events);
  void check_soon(size_t member);
  // Calls at `member` end: writes now, reads a little later.
  void end_calls(size_t member);
  // What callers keep of its pool ends, and its connections close.
  void retire(size_t member) const;
  void tell_history(FailoverStatus* status) const CENOTE_REQUIRES(mutex_);

  mutable Mutex mutex_;  // guards the rule and all below; not held during a check or a call
  mutable std::condition_variable_any changed_;
  uint64_t changes_ CENOTE_GUARDED_BY(mutex_) = 0;
  bool ended_ CENOTE_GUARDED_BY(mutex_) = false;

 private:
  std::optional<failover::Sight> look_at(size_t member, const std::stop_token& stop) const;
  void watch(size_t member, const std::stop_token& stop) noexcept;
  void end_late_reads(TimePoint now);
  // For the caller to let go of without the lock: a visit's end may wait for who is stopping it.
  std::vector<std::shared_ptr<GroupVisit>> visits() const CENOTE_REQUIRES(mutex_);

  const Options options_;
  const std::vector<Member> members_;
  std::vector<bool> remote_;
  std::vector<bool> poked_ CENOTE_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<GroupVisit>> visits_ CENOTE_GUARDED_BY(mutex_);
  std::map<size_t, TimePoint> reads_end_ CENOTE_GUARDED_BY(mutex_);
  std::deque<std::string> recent_ CENOTE_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> counts_ CENOTE_GUARDED_BY(mutex_);
  std::optional<TimePoint> trouble_since_ CENOTE_GUARDED_BY(mutex_);
  uint64_t moves_ CENOTE_GUARDED_BY(mutex_) = 0;
  cluster::DurationHistogram recovery_;  // from the first suspicion to the switch
  std::condition_variable_any wake_;
  std::vector<std::jthread> watchers_;
};

// What keeps the epochs of standby groups, and who asks it.
struct Epochs {
  std::shared_ptr<failover::EpochStore> store;
  std::string where = "this process";  // for people: "etcd (http://…)"
  bool shared = false;                 // other processes decide too: it is asked again and again
  std::string self = "this process";   // for the record; no two processes alike
};

// What a failed check says of a target; none: nothing.
std::optional<failover::Sight> sight_of_failure(const Status& check);
// A pool for each of its endpoints.
Result<std::vector<PoolConfig>> pools_of_endpoints(const PoolConfig& config);
// ActiveStandby over pools, or over the endpoints of one database (in the order given).
std::shared_ptr<FailoverGroup> standby_group(std::vector<FailoverGroup::Member> members,
                                             FailoverGroup::Options options,
                                             const ActiveStandby& strategy, Epochs epochs);
std::shared_ptr<FailoverGroup> balanced_group(std::vector<FailoverGroup::Member> members,
                                              FailoverGroup::Options options,
                                              LoadBalanceAlgorithm algorithm);
// Epochs of this process alone.
std::shared_ptr<failover::EpochStore> local_epochs();

}  // namespace cenote
