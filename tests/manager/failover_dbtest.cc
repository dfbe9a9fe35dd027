// Failover between two real servers: where writes go, and where they never do.
#include <atomic>
#include <map>
#include <thread>

#include "manager/postgresql_pair.h"

namespace cenote {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using FailoverDb = PostgresqlPair;

// On a busy machine not with the first connect, whose time is short here.
Lease taken_by_hand(LocalPool& pool) {
  const Deadline limit = Deadline::in(seconds(60));
  Result<Lease> lease = pool.checkout();
  while (!lease.ok() && !limit.passed()) lease = pool.checkout();
  return std::move(*lease);
}

TEST_F(FailoverDb, after_the_primary_was_killed_writes_go_to_the_promoted_standby) {
  ActiveStandby strategy = quick();
  strategy.hold = seconds(60);  // a promotion may take its time
  auto manager = open_endpoints(strategy);
  ASSERT_TRUE(both_seen(*manager));
  Origin origin;
  ASSERT_TRUE(write(*manager, 1, &origin).ok());
  EXPECT_EQ(origin.target, endpoint("a"));
  run("kill a");
  std::thread promoter([] { run("promote b"); });
  // Held until the switch: a write that nobody could take was never sent.
  const auto held = write(*manager, 2, &origin);
  promoter.join();
  // The first attempt may have been on its way when the server died; then nobody may repeat it.
  if (held.ok()) {
    EXPECT_EQ(origin.target, endpoint("b"));
  } else {
    EXPECT_EQ(error_detail(held.status())->sent, Sent::kMaybe) << held.status();
  }
  ASSERT_TRUE(until([&] { return status(*manager).active == endpoint("b"); }));
  ASSERT_TRUE(write(*manager, 3, &origin).ok());
  EXPECT_EQ(origin.target, endpoint("b"));
  EXPECT_EQ(status(*manager).epoch, 1u);
  EXPECT_TRUE(told(*manager, "switched (epoch 1) " + endpoint("a") + " → " + endpoint("b")));
  EXPECT_NE(manager->prometheus().find("cenote_failover_total{scope=\"database\",pool=\"db\"} 1"),
            std::string::npos);
  EXPECT_NE(manager->prometheus().find(
                "cenote_failover_recovery_seconds_count{scope=\"database\",pool=\"db\"} 1"),
            std::string::npos);
}

TEST_F(FailoverDb, an_old_primary_that_comes_back_gets_no_write) {
  auto manager = open_endpoints();
  ASSERT_TRUE(both_seen(*manager));
  run("kill a");
  run("promote b");
  ASSERT_TRUE(until([&] { return status(*manager).active == endpoint("b"); }));
  ASSERT_TRUE(write(*manager, 10).ok());
  run("start a");  // it still believes to be the primary
  ASSERT_TRUE(until([&] { return told(*manager, "two_primaries"); }));
  const Status refused = write(*manager, 11).status();
  EXPECT_EQ(error_kind(refused), ErrorKind::kReadOnly) << refused;
  EXPECT_EQ(error_detail(refused)->sent, Sent::kNo);
  EXPECT_NE(refused.message().find("take writes"), std::string::npos) << refused;
  EXPECT_TRUE(manager->execute_query("db", "select 1").ok()) << "reads go on";
  EXPECT_EQ(count("a", "id >= 10"), 0);
  run("rejoin a");
  ASSERT_TRUE(until([&] { return target_state(*manager, 0) == "read-only"; }));
  Origin origin;
  ASSERT_TRUE(write(*manager, 12, &origin).ok());
  EXPECT_EQ(origin.target, endpoint("b"));
  EXPECT_EQ(count("b", "id in (10, 12)"), 2);
  EXPECT_EQ(count("b", "id = 11"), 0);
}

TEST_F(FailoverDb, a_demoted_primary_gets_no_write_after_one_check) {
  auto manager = open_endpoints();
  ASSERT_TRUE(both_seen(*manager));
  run("demote a");
  run("promote b");
  Origin origin;
  ASSERT_TRUE(until([&] { return write(*manager, 20, &origin).ok(); }));
  EXPECT_EQ(origin.target, endpoint("b"));
  EXPECT_EQ(count("b", "id = 20"), 1);
}

TEST_F(FailoverDb, a_write_that_hangs_in_a_paused_primary_is_interrupted_and_not_repeated) {
  auto manager = open_endpoints();
  ASSERT_TRUE(both_seen(*manager));
  std::atomic<bool> ended{false};
  Status fate;
  std::thread writer([&] {
    fate = manager->execute("db", "insert into t select 30, pg_sleep(120)::text").status();
    ended = true;
  });
  ASSERT_TRUE(until([] { return runs("a", "insert into t select 30"); }));
  run("pause a");
  run("promote b");
  EXPECT_TRUE(until([&] { return status(*manager).active == endpoint("b"); }));
  EXPECT_TRUE(until([&] { return ended.load(); })) << "the caller still hangs";
  run("resume a");
  writer.join();
  ASSERT_NE(error_detail(fate), nullptr) << fate;
  EXPECT_EQ(error_detail(fate)->sent, Sent::kMaybe) << fate;
  EXPECT_EQ(count("b", "id = 30"), 0);
}

TEST_F(FailoverDb, too_many_connections_are_no_reason_to_switch) {
  auto manager = open_endpoints();
  ASSERT_TRUE(both_seen(*manager));
  PoolConfig greedy = config_of("a", "greedy");
  greedy.pool.max_connections = 20;
  auto hog = *LocalPool::open(greedy);
  std::vector<Lease> held;
  ASSERT_TRUE(until([&] {
    // Again and again: a check that was quicker than the hog has a session that goes on.
    manager->pool("db").ValueOrDie()->connection_pool().clear();
    QueryOptions options;
    options.timeout = seconds(2);
    auto lease = hog->checkout(options);
    if (lease.ok()) held.push_back(std::move(*lease));
    return target_state(*manager, 0) == "overloaded";
  }));
  // Twice the threshold, as its checks see it.
  std::this_thread::sleep_for(seconds(4));
  EXPECT_EQ(status(*manager).active, endpoint("a"));
  EXPECT_EQ(status(*manager).epoch, 0u);
  held.clear();
  ASSERT_TRUE(hog->drain(Deadline::in(seconds(10))).ok());
  EXPECT_TRUE(until([&] { return write(*manager, 40).ok(); }));
}

TEST_F(FailoverDb, a_link_that_comes_and_goes_switches_nothing) {
  auto manager = open_endpoints();
  ASSERT_TRUE(both_seen(*manager));
  for (int i = 0; i < 3; ++i) {
    run("pause a");
    ASSERT_TRUE(until([&] { return status(*manager).state == "suspect"; }));
    run("resume a");
    ASSERT_TRUE(until([&] { return status(*manager).state == "active"; }));
  }
  EXPECT_EQ(status(*manager).epoch, 0u);
  EXPECT_TRUE(write(*manager, 50).ok());
}

TEST_F(FailoverDb, without_a_promotion_callers_are_held_and_then_told_why) {
  ActiveStandby strategy = quick();
  strategy.hold = seconds(5);
  auto manager = open_endpoints(strategy);
  ASSERT_TRUE(both_seen(*manager));
  run("kill a");
  ASSERT_TRUE(until([&] { return told(*manager, "stays"); }));
  const Status status_of_write = write(*manager, 60).status();
  EXPECT_EQ(error_kind(status_of_write), ErrorKind::kConnection);
  EXPECT_EQ(error_detail(status_of_write)->sent, Sent::kNo);
  EXPECT_NE(status_of_write.message().find(endpoint("b") + " takes no writes"), std::string::npos)
      << status_of_write;
  Origin origin;
  ASSERT_TRUE(manager->execute_query("db", "select count(*) from t", {}, {}, &origin).ok());
  EXPECT_EQ(origin.target, endpoint("b")) << "a read is served by who is left, and says so";
}

TEST_F(FailoverDb, an_operator_switches_only_to_what_takes_writes) {
  auto manager = open_endpoints();
  ASSERT_TRUE(both_seen(*manager));
  const Status refused = manager->failover("db", endpoint("b")).status();
  EXPECT_NE(refused.message().find("takes no writes"), std::string::npos) << refused;
  EXPECT_EQ(status(*manager).active, endpoint("a"));
  EXPECT_EQ(error_kind(manager->failover("db", "elsewhere", true).status()),
            ErrorKind::kUnknownPool);
  EXPECT_EQ(error_kind(manager->failover("other", "").status()), ErrorKind::kUnknownPool);
}

TEST_F(FailoverDb, a_transaction_on_the_old_primary_cannot_commit_after_a_switch) {
  auto manager = open_endpoints();
  ASSERT_TRUE(both_seen(*manager));
  Result<Transaction> transaction = manager->begin("db");
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE(transaction->execute("insert into t values (70, 'a')").ok());
  run("pause a");
  run("promote b");
  ASSERT_TRUE(until([&] { return status(*manager).active == endpoint("b"); }));
  run("resume a");
  const Status commit = transaction->commit();
  EXPECT_NE(commit.message().find("a failover left"), std::string::npos) << commit;
  EXPECT_EQ(count("a", "id = 70"), 0);
  EXPECT_EQ(count("b", "id = 70"), 0);
}

TEST_F(FailoverDb, a_connection_taken_by_hand_ends_at_the_switch_and_goes_to_nobody_else) {
  auto manager = open_endpoints();
  ASSERT_TRUE(both_seen(*manager));
  const auto left = *manager->pool("db");
  Lease lease = taken_by_hand(*left);
  // Dirty: what the session has set must reach no other caller.
  ASSERT_TRUE(
      lease->execute({Deadline::in(seconds(10)), {}}, "set search_path to nowhere", {}).ok());
  run("pause a");
  run("promote b");
  ASSERT_TRUE(until([&] { return status(*manager).active == endpoint("b"); }));
  EXPECT_TRUE(lease.retired());
  const Status refused = lease->execute({}, "insert into t values (80, 'left')", {}).status();
  EXPECT_EQ(error_kind(refused), ErrorKind::kConnection) << refused;
  EXPECT_EQ(error_detail(refused)->sent, Sent::kNo) << refused;
  EXPECT_TRUE(write(*manager, 80).ok());
  run("resume a");
  lease.give_back();
  // Its checks may have a connection of their own.
  EXPECT_TRUE(until([&] { return left->get_status().active + left->get_status().idle == 0; }));
  EXPECT_EQ(count("a", "id = 80"), 0);
  EXPECT_EQ(count("b", "id = 80"), 1);
}

TEST_F(FailoverDb, a_statement_on_a_connection_taken_by_hand_is_cancelled_at_the_switch) {
  auto manager = open_endpoints();
  ASSERT_TRUE(both_seen(*manager));
  const auto left = *manager->pool("db");
  std::atomic<bool> ended{false};
  std::thread holder([&] {
    Lease lease = taken_by_hand(*left);
    (void)lease->execute({}, "insert into t select 90, pg_sleep(3600)::text", {});
    ended = true;
  });
  ASSERT_TRUE(until([] { return runs("a", "insert into t select 90"); }));
  run("pause a");
  run("promote b");
  ASSERT_TRUE(until([&] { return status(*manager).active == endpoint("b"); }));
  run("resume a");
  EXPECT_TRUE(until([&] { return ended.load(); })) << "it went on at the server that was left";
  holder.join();
  EXPECT_EQ(count("a", "id = 90"), 0);
}

class BalancedDb : public PostgresqlPair {
 protected:
  // Two pools of the primary, one of its replica.
  static std::unique_ptr<DistributedPoolManager> open(LoadBalanceAlgorithm algorithm,
                                                      int fall = 3) {
    DeploymentConfig config;
    config.pools = {config_of("a", "a1"), config_of("a", "a2"), config_of("b", "b")};
    config.pools.front().health.fall = fall;
    // Nobody falls silent here.
    for (PoolConfig& each : config.pools) {
      each.pool.connect_timeout = each.pool.validation_timeout = seconds(30);
    }
    config.failover = LoadBalanced{{"a1", "a2", "b"}, algorithm};
    auto manager = DistributedPoolManager::open(std::move(config));
    EXPECT_TRUE(manager.ok()) << manager.status();
    EXPECT_TRUE(until([&] {
      return target_state(**manager, 0) == "writable" && target_state(**manager, 1) == "writable" &&
             target_state(**manager, 2) == "read-only";
    }));
    return std::move(*manager);
  }
  // Reads until then, each of which must succeed; how many each target answered.
  template <typename Condition>
  static std::map<std::string, int> read_until(DistributedPoolManager& manager,
                                               const Condition& condition) {
    std::map<std::string, int> targets;
    EXPECT_TRUE(until([&] {
      Origin origin;
      const auto read = manager.execute_query("b", "select 1", {}, {}, &origin);
      EXPECT_TRUE(read.ok()) << read.status();
      ++targets[origin.target];
      return condition();
    }));
    return targets;
  }
};

TEST_F(BalancedDb, no_more_than_half_is_ejected_for_its_calls) {
  auto manager = open(LoadBalanceAlgorithm::kRoundRobin, 1'000'000);  // checks take nobody out
  run("kill a");
  read_until(*manager, [&] { return told(*manager, "kept"); });
  EXPECT_EQ(status(*manager).counts["ejected"], 1U) << "two of three are more than half";
  EXPECT_EQ(status(*manager).state, "active");
  run("start a");
  read_until(*manager, [&] { return status(*manager).counts["returned"] == 1U; });
}

TEST_F(BalancedDb, while_most_are_down_all_get_calls_and_reads_go_on) {
  auto manager = open(LoadBalanceAlgorithm::kRoundRobin);
  const auto write = [&] { return manager->execute("b", "insert into t values (1)").status(); };
  ASSERT_TRUE(write().ok());
  run("kill a");
  read_until(*manager, [&] { return status(*manager).state == "panic"; });
  const Status refused = write();
  EXPECT_EQ(error_kind(refused), ErrorKind::kConnection) << refused;
  EXPECT_EQ(error_detail(refused)->sent, Sent::kNo) << refused;
  EXPECT_NE(refused.message().find("b takes no writes"), std::string::npos) << refused;
  run("start a");
  read_until(*manager, [&] { return status(*manager).state == "active"; });
  EXPECT_TRUE(told(*manager, "calm"));
  EXPECT_TRUE(until([&] { return write().ok(); }));
}

TEST_F(BalancedDb, who_comes_back_gets_a_small_share_at_first) {
  auto manager = open(LoadBalanceAlgorithm::kWeightedRoundRobin);
  run("kill a");
  const auto in_state = [&](const std::string& state) {
    return target_state(*manager, 0) == state && target_state(*manager, 1) == state;
  };
  read_until(*manager, [&] { return in_state("down"); });
  run("start a");
  ASSERT_TRUE(until([&] { return in_state("writable"); }));
  int calls = 0;
  auto shares = read_until(*manager, [&] { return ++calls == 100; });
  EXPECT_GT(shares["a1"] + shares["a2"], 0) << "nothing at all";
  EXPECT_LT(shares["a1"] + shares["a2"], shares["b"]) << "a tenth each, which grows within 30 s";
}

}  // namespace
}  // namespace cenote
