// Callers of pools with strategies while an operator switches, configurations change, pools come
// and go, and the manager ends.
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "manager/failover_files.h"
#include "manager/silent_port.h"
#include "manager/threads.h"
#include "pool/pooled_connection.h"

namespace cenote {
namespace {

using std::chrono::seconds;

constexpr const char* kLong =
    "with recursive n(i) as (select 1 union all select i + 1 from n limit 400000) select i from n";

// What became of each write, by its number.
class History {
 public:
  int64_t next() { return ++last_; }
  void told(int64_t id, const Status& status, const std::string& target) {
    const ErrorDetail* detail = error_detail(status);
    const Lock lock(mutex_);
    if (status.ok()) {
      done_[id] = target;
    } else if (detail != nullptr && detail->sent == Sent::kNo) {
      not_sent_.insert(id);
    }
  }
  size_t done() const {
    const Lock lock(mutex_);
    return done_.size();
  }
  // `rows`: by place, the numbers it holds.
  void check(const std::map<std::string, std::multiset<int64_t>>& rows) const {
    const Lock lock(mutex_);
    std::map<int64_t, int> times;
    for (const auto& [place, ids] : rows) {
      for (const int64_t id : ids) ++times[id];
    }
    for (const auto& [id, count] : times) {
      EXPECT_EQ(count, 1) << "write " << id << " took effect more than once";
      EXPECT_FALSE(not_sent_.contains(id)) << "write " << id << " was told not to have been sent";
    }
    for (const auto& [id, place] : done_) {
      EXPECT_EQ(rows.at(place).count(id), 1u) << "write " << id << " is not at " << place;
    }
  }

 private:
  std::atomic<int64_t> last_{0};
  mutable Mutex mutex_;  // guards the two below
  std::map<int64_t, std::string> done_ CENOTE_GUARDED_BY(mutex_);
  std::set<int64_t> not_sent_ CENOTE_GUARDED_BY(mutex_);
};

class FailoverRace : public testing::Test, public FailoverFiles {
 protected:
  void SetUp() override {
    set_log_sink({}, LogLevel::kError);
    make_files();
    for (const char* name : {"c", "d"}) {
      ASSERT_TRUE((*LocalPool::open(config(name)))->execute("create table t (place text)").ok());
    }
  }
  void TearDown() override {
    manager_.reset();
    set_log_sink({});
    remove_files();
  }

  // Who waits for what does not come hangs.
  static ActiveStandby patient(const std::string& primary, const std::string& backup) {
    ActiveStandby strategy = standby();
    strategy.primary = primary;
    strategy.backup = backup;
    strategy.hold = std::chrono::hours(1);
    return strategy;
  }
  // Calls to a go to a or b, those to c to c and d.
  std::vector<PoolConfig> pools(int connections) const {
    std::vector<PoolConfig> pools = {config("a"), config("b"), config("c"), config("d")};
    pools[0].pool.max_connections = pools[3].pool.max_connections = connections / 2;
    pools[1].pool.max_connections = connections;
    pools[2].failover = LoadBalanced{{"c", "d"}, LoadBalanceAlgorithm::kRoundRobin};
    return pools;
  }
  void open() {
    DeploymentConfig deployment;
    deployment.pools = pools(4);
    deployment.failover = patient("a", "b");
    manager_ = *DistributedPoolManager::open(std::move(deployment));
    ASSERT_TRUE(until([&] { return manager_->failover("a", "b", true).ok(); }));
  }

  void write(const std::string& id) {
    const int64_t number = history_.next();
    Origin origin;
    const auto count =
        manager_->execute(id, "insert into t values (?)", Params::of(number), {}, &origin);
    ended(count.status());
    history_.told(number, count.status(), origin.target);
  }
  void transact(const std::string& id) {
    const int64_t number = history_.next();
    Origin origin;
    auto transaction = manager_->begin(id, {}, {}, &origin);
    ended(transaction.status());
    Status status = transaction.status();
    if (status.ok()) {
      status = transaction->execute("insert into t values (?)", Params::of(number)).status();
      if (status.ok()) status = transaction->commit();
      // What a commit that failed has left, its error says; an insert before it is rolled back.
      if (!status.ok()) return ended(status);
    }
    history_.told(number, status, origin.target);
  }
  void read_a_little() {
    auto rows = manager_->execute_stream("a", kLong);
    ended(rows.status());
    std::shared_ptr<arrow::RecordBatch> batch;
    if (rows.ok()) ended((*rows)->ReadNext(&batch));
  }
  void keep_a_connection() {
    const auto pool = manager_->pool("a");
    if (!pool.ok()) return ended_by_hand(pool.status());
    {
      auto connection = PooledConnection::open(*pool);
      ended_by_hand(connection.status());
      if (connection.ok())
        ended_by_hand(connection->execute_query("select count(*) from t").status());
    }
    auto lease = (*pool)->checkout();
    if (lease.ok())
      ended_by_hand((*lease)->execute({}, "delete from t where place = 'none'", {}).status());
  }
  // Of a pool that comes and goes.
  void make_and_remove() {
    PoolConfig fifth = config("e");
    fifth.failover = patient("e", "d");
    const bool made = manager_->create_pool(fifth).ok();
    const Status asked = manager_->execute_query("e", "select 1").status();
    EXPECT_TRUE(!made || asked.ok() || error_kind(asked) == ErrorKind::kUnknownPool ||
                error_kind(asked) == ErrorKind::kPoolClosed)
        << asked;
    (void)manager_->remove_pool("e", Deadline::in(seconds(60)));
  }
  void look() const {
    (void)manager_->failover_status();
    (void)manager_->prometheus();
    (void)manager_->get_status();
    (void)manager_->list_pools();
  }
  // A switch explains every error: a new configuration is nothing that callers notice.
  static void ended(const Status& status) {
    EXPECT_TRUE(status.ok() || error_kind(status) == ErrorKind::kConnection) << status;
  }
  // But for those who took a pool, which may be an old one by now.
  static void ended_by_hand(const Status& status) {
    if (error_kind(status) != ErrorKind::kPoolClosed) ended(status);
  }

  template <typename Act>
  void again(const Act& act) {
    threads_.emplace_back([act](const std::stop_token& stop) {
      while (!stop.stop_requested()) act();
    });
  }
  std::map<std::string, std::multiset<int64_t>> rows() const {
    std::map<std::string, std::multiset<int64_t>> all;
    for (const char* name : {"a", "b", "c", "d"}) {
      const auto table = *(*LocalPool::open(config(name)))
                              ->execute_query(
                                  "select cast(place as integer) as id from t "
                                  "where place not in ('a', 'b')");
      for (const auto& chunk : table->column(0)->chunks()) {
        const auto& ids = static_cast<const arrow::Int64Array&>(*chunk);
        for (int64_t i = 0; i < ids.length(); ++i) all[name].insert(ids.Value(i));
      }
      all[name];
    }
    return all;
  }

  History history_;
  std::unique_ptr<DistributedPoolManager> manager_;
  std::vector<std::jthread> threads_;
};

TEST_F(FailoverRace, every_write_takes_effect_once_or_says_what_is_known_of_it) {
  open();
  again([&] { write("a"); });
  again([&] { write("c"); });
  again([&] { transact("a"); });
  again([&] { read_a_little(); });
  again([&] { keep_a_connection(); });
  again([&] { make_and_remove(); });
  again([&] { look(); });
  for (int i = 0; i < 40; ++i) {
    if (i % 2 == 0) {
      ASSERT_TRUE(manager_->replace_pools(pools(4 + i % 8), Deadline::in(seconds(60))).ok());
    }
    const char* next = i % 2 == 0 ? "b" : "a";
    ASSERT_TRUE(until([&] { return manager_->failover("a", next).ok(); }));
    ASSERT_TRUE(until([&, before = history_.done()] { return history_.done() > before + 10; }));
  }
  threads_.clear();
  // A check may have one for a moment.
  EXPECT_TRUE(until([&] {
    const std::vector<PoolStatus> all = manager_->get_status();
    return std::none_of(all.begin(), all.end(), [](const auto& pool) { return pool.active > 0; });
  })) << "a pool still misses a connection";
  (void)manager_->remove_pool("e", Deadline::in(seconds(60)));
  EXPECT_EQ(manager_->list_pools(), (std::vector<std::string>{"a", "b", "c", "d"}));
  EXPECT_EQ(manager_->failover_status().size(), 2u);
  manager_.reset();
  history_.check(rows());
}

TEST_F(FailoverRace, what_callers_keep_outlives_the_manager_and_then_all_of_it_ends) {
  const size_t before = threads_of_this_process();
  for (int i = 0; i < 10; ++i) {
    open();
    auto rows = *manager_->execute_stream("a", kLong);
    auto of_two = *manager_->execute_stream("c", kLong);
    auto transaction = *manager_->begin("a");
    ASSERT_TRUE(transaction.execute("insert into t values ('kept')").ok());
    std::jthread reader([&] {
      EXPECT_EQ((*rows->ToTable())->num_rows(), 400'000);
      EXPECT_TRUE(of_two->Close().ok());
      EXPECT_TRUE(transaction.rollback().ok());
    });
    manager_.reset();
    reader.join();
    rows.reset();
    of_two.reset();
    {
      const Transaction gone = std::move(transaction);
    }
  }
  EXPECT_TRUE(until([&] { return threads_of_this_process() <= before; }))
      << threads_of_this_process() << " threads, " << before << " before";
}

// It waits for a node that says nothing, and holds what leads there.
TEST_F(FailoverRace, a_check_that_is_under_way_may_outlast_the_manager) {
  SilentPort port;
  port.cut();
  for (int i = 0; i < 3; ++i) {
    DeploymentConfig deployment;
    deployment.mode = DeploymentMode::kFullDistributed;
    deployment.discovery.type = "static";
    deployment.discovery.endpoints = {port.address()};
    deployment.discovery.pools = {"far"};
    deployment.partition.detection_interval = std::chrono::milliseconds(200);
    deployment.pools = {config("a")};
    deployment.failover = patient("a", "far");
    manager_ = *DistributedPoolManager::open(std::move(deployment));
    ASSERT_TRUE(until([&] { return manager_->failover_status()[0].targets[1].state == "dead"; }));
    auto rows = *manager_->execute_stream("a", kLong);  // keeps the group, and its checks
    const size_t before = threads_of_this_process();
    manager_.reset();
    // Those that watch the cluster end once the check has.
    EXPECT_TRUE(until([&] { return threads_of_this_process() + 3 <= before; }));
    EXPECT_EQ((*rows->ToTable())->num_rows(), 400'000);
  }
}

}  // namespace
}  // namespace cenote
