// Pools with a strategy, over files: what the configuration means, without a server.
#include <atomic>
#include <set>

#include <sys/wait.h>
#include <unistd.h>

#include "manager/failover_files.h"
#include "pool/pooled_connection.h"

namespace cenote {
namespace {

using std::chrono::seconds;

class Failover : public testing::Test, public FailoverFiles {
 protected:
  void SetUp() override { make_files(); }
  void TearDown() override { remove_files(); }

  std::unique_ptr<DistributedPoolManager> open(FailoverStrategy strategy) const {
    DeploymentConfig deployment;
    deployment.pools = {config("a"), config("b")};
    deployment.failover = std::move(strategy);
    auto manager = DistributedPoolManager::open(std::move(deployment));
    EXPECT_TRUE(manager.ok()) << manager.status();
    return std::move(*manager);
  }
  static bool ready(DistributedPoolManager& manager) {
    return until([&] { return manager.failover("a", "b", true).ok(); });
  }
};

TEST_F(Failover, calls_to_the_primary_follow_an_operator_and_the_backup_stays_reachable) {
  auto manager = open(standby());
  ASSERT_TRUE(ready(*manager));
  EXPECT_EQ(place(*manager, "a"), "a") << "a dry run moves nothing";
  EXPECT_EQ(*manager->failover("a", "b"), "b");
  EXPECT_EQ(place(*manager, "a"), "b");
  EXPECT_EQ((*manager->pool("a"))->id(), "b");
  EXPECT_EQ(place(*manager, "b"), "") << "no strategy stands for it";
  EXPECT_EQ(manager->failover_status().at(0).epoch, 1u);
  EXPECT_EQ(manager->list_pools(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(Failover, a_pools_own_strategy_comes_before_the_deployments) {
  DeploymentConfig deployment;
  deployment.pools = {config("a"), config("b")};
  deployment.pools[0].failover = LocalOnly{};
  deployment.failover = LoadBalanced{{"a", "b"}, LoadBalanceAlgorithm::kRoundRobin};
  auto manager = *DistributedPoolManager::open(std::move(deployment));
  std::set<std::string> of_a;
  std::set<std::string> of_b;
  for (int i = 0; i < 10; ++i) {
    of_a.insert(place(*manager, "a"));
    of_b.insert(place(*manager, "b"));
  }
  EXPECT_EQ(of_a, std::set<std::string>{""});
  EXPECT_EQ(of_b, (std::set<std::string>{"a", "b"}));
}

TEST_F(Failover, a_strategy_over_a_pool_that_is_not_there_is_refused_and_nothing_stays_open) {
  DeploymentConfig deployment;
  deployment.pools = {config("a")};
  deployment.failover = standby();
  const Status status = DistributedPoolManager::open(std::move(deployment)).status();
  EXPECT_EQ(error_kind(status), ErrorKind::kConfig);
  EXPECT_NE(status.message().find("no pool 'b'"), std::string::npos) << status;

  auto manager = *DistributedPoolManager::open({});
  PoolConfig lonely = config("a");
  lonely.failover = standby();
  EXPECT_EQ(error_kind(manager->create_pool(lonely).status()), ErrorKind::kConfig);
  EXPECT_TRUE(manager->list_pools().empty());
}

TEST_F(Failover, a_target_of_a_strategy_is_removed_only_after_it) {
  auto manager = *DistributedPoolManager::open({});
  ASSERT_TRUE(manager->create_pool(config("b")).ok());
  PoolConfig first = config("a");
  first.failover = standby();
  ASSERT_TRUE(manager->create_pool(first).ok());
  const Status refused = manager->remove_pool("b", Deadline::in(seconds(60)));
  EXPECT_NE(refused.message().find("failover target of pool 'a'"), std::string::npos) << refused;
  EXPECT_TRUE(manager->remove_pool("a", Deadline::in(seconds(60))).ok());
  EXPECT_TRUE(manager->remove_pool("b", Deadline::in(seconds(60))).ok());
}

TEST_F(Failover, an_epoch_survives_a_new_configuration) {
  auto manager = open(standby());
  ASSERT_TRUE(ready(*manager));
  ASSERT_TRUE(manager->failover("a", "b").ok());
  ASSERT_TRUE(manager->replace_pools({config("a"), config("b")}, Deadline::in(seconds(60))).ok());
  EXPECT_EQ(manager->failover_status().at(0).counts.at("switched"), 1U) << "the group goes on";
  PoolConfig other = config("b");
  other.pool.max_connections = 3;
  ASSERT_TRUE(manager->replace_pools({config("a"), other}, Deadline::in(seconds(60))).ok());
  EXPECT_EQ(place(*manager, "a"), "b");
  EXPECT_EQ(manager->failover_status().at(0).epoch, 1u);
}

TEST_F(Failover, streams_and_transactions_of_a_group_work_like_a_pools) {
  auto manager = open(LoadBalanced{{"a", "b"}, LoadBalanceAlgorithm::kRoundRobin});
  Origin origin;
  auto stream = manager->execute_stream("a", "select * from t", {}, {}, &origin);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_FALSE(origin.target.empty());
  EXPECT_EQ((*(*stream)->ToTable())->num_rows(), 1);
  auto transaction = manager->begin("a");
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE(transaction->execute("delete from t").ok());
  EXPECT_TRUE(transaction->rollback().ok());
  EXPECT_EQ(manager->failover_status().at(0).strategy, "load_balanced");
  EXPECT_EQ(error_kind(manager->failover("a", "b").status()), ErrorKind::kNotSupported);
}

TEST_F(Failover, what_callers_keep_ends_at_the_switch) {
  auto manager = open(standby());
  ASSERT_TRUE(ready(*manager));
  const auto left = *manager->pool("a");
  QueryOptions reading;
  reading.access = Access::kReadOnly;
  auto connection = *PooledConnection::open(left, reading);
  ASSERT_TRUE(connection.execute_query("select 1").ok());
  auto lease = *left->checkout(reading);
  auto transaction = *left->begin();
  ASSERT_TRUE(transaction.execute("insert into t values ('left')").ok());
  EXPECT_FALSE(lease.retired());
  ASSERT_TRUE(manager->failover("a", "b").ok());

  EXPECT_TRUE(lease.retired());
  for (const Status& refused :
       {connection.execute_query("select 1").status(),
        lease->query_table({}, "select 1", {}, {}).status(),
        lease->query({}, "select 1", {}, {}).status(), lease->execute({}, "select 1", {}).status(),
        lease->describe({}, "select 1").status(), lease->begin({}, {}), lease->commit({}),
        lease->validate({})}) {
    EXPECT_EQ(error_kind(refused), ErrorKind::kConnection) << refused;
    EXPECT_EQ(error_detail(refused)->sent, Sent::kNo) << refused;
    EXPECT_EQ(error_detail(refused)->pool, "a") << refused;
  }
  const Status commit = transaction.commit();
  EXPECT_EQ(error_kind(commit), ErrorKind::kConnection) << commit;
  EXPECT_NE(commit.message().find("begin your transaction anew"), std::string::npos) << commit;
  EXPECT_TRUE(transaction.rollback().ok());
  connection.give_back();
  lease.give_back();
  EXPECT_EQ(left->get_status().active, 0);
  EXPECT_EQ(left->get_status().idle, 0) << "a connection of before the switch was kept for another";

  EXPECT_EQ((*left->execute_query("select * from t"))->num_rows(), 1) << "nothing was committed";
  EXPECT_TRUE((*left->begin()).commit().ok()) << "who asks the old target by name gets a new one";
}

TEST_F(Failover, a_statement_on_a_connection_that_was_kept_is_cancelled_at_the_switch) {
  constexpr const char* kEndless =
      "with recursive n(i) as (select 1 union all select i + 1 from n) insert into t select i from "
      "n";
  auto manager = open(standby());
  ASSERT_TRUE(ready(*manager));
  for (const bool by_hand : {false, true}) {
    const auto left = *manager->pool("a");
    Status fate;
    std::atomic<bool> taken{false};
    std::thread caller([&] {
      if (by_hand) {
        const Lease lease = *left->checkout();
        taken = true;
        fate = lease->execute({}, kEndless, {}).status();
      } else {
        auto connection = *PooledConnection::open(left);
        taken = true;
        fate = connection.execute(kEndless).status();
      }
    });
    // Not by what the pool says is active: that may be a health check.
    ASSERT_TRUE(until([&] { return taken.load(); }));
    ASSERT_TRUE(until([&] { return manager->failover("a", by_hand ? "a" : "b").ok(); }));
    caller.join();
    EXPECT_EQ(error_kind(fate), ErrorKind::kConnection) << fate;
    EXPECT_EQ((*left->execute_query("select * from t"))->num_rows(), 1);
  }
}

TEST_F(Failover, a_forked_child_has_groups_of_its_own) {
  auto manager = open(standby());
  ASSERT_TRUE(ready(*manager));
  ASSERT_TRUE(manager->failover("a", "b").ok());
  const pid_t child = ::fork();
  if (child == 0) {
    const bool follows = place(*manager, "a") == "b";
    const bool watches = until([&] { return manager->failover("a", "a", true).ok(); });
    const bool switches = manager->failover("a", "a").ok() && place(*manager, "a") == "a";
    manager.reset();
    ::_exit(follows && watches && switches ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(place(*manager, "a"), "b") << "its parent's are another's";
}

TEST_F(Failover, endpoints_need_hosts) {
  auto manager = *DistributedPoolManager::open({});
  PoolConfig file = config("a");
  file.endpoints = {"one:1", "two:2"};
  EXPECT_EQ(error_kind(manager->create_pool(file).status()), ErrorKind::kConfig);
  PoolConfig pool =
      *pool_from_keys("db", "postgresql",
                      {{"endpoints", "127.0.0.1:1, [::1]:2,localhost"}, {"connect_timeout", "1s"}});
  EXPECT_EQ(pool.endpoints, (std::vector<std::string>{"127.0.0.1:1", "[::1]:2", "localhost"}));
  ASSERT_TRUE(manager->create_pool(pool).ok());
  EXPECT_EQ(manager->list_pools(), std::vector<std::string>{"db"});
  ASSERT_EQ(manager->get_status().size(), 1u);
  EXPECT_EQ(manager->get_status()[0].id, "db");
  EXPECT_EQ((*manager->pool("db"))->config().config.at("port"), "1");
  EXPECT_EQ((*manager->pool("db@[::1]:2"))->config().config.at("host"), "::1");
  EXPECT_EQ(error_kind(manager->create_pool(pool).status()), ErrorKind::kConfig);
  EXPECT_TRUE(manager->remove_pool("db", Deadline::in(seconds(60))).ok());
  EXPECT_TRUE(manager->list_pools().empty());
  for (const char* wrong : {"", "a:1,a:1", "a:port", "a:70000", "user@a:1"}) {
    EXPECT_FALSE(pool_from_keys("db", "postgresql", {{"endpoints", wrong}}).ok()) << wrong;
  }
}

}  // namespace
}  // namespace cenote
