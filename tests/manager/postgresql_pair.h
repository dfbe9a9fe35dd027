// Two PostgreSQL servers in streaming replication that a test may kill, pause and promote.
#pragma once

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "cenote/manager.h"

namespace cenote {

class PostgresqlPair : public testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("CENOTE_TEST_POSTGRESQL_PAIR_CONTROL") == nullptr) {
      if (std::getenv("CENOTE_TEST_REQUIRE_SERVERS") != nullptr) {
        FAIL() << "CENOTE_TEST_POSTGRESQL_PAIR_CONTROL is not set: use tools/servers.py";
      }
      GTEST_SKIP() << "CENOTE_TEST_POSTGRESQL_PAIR_CONTROL is not set";
    }
    run("reset");
    auto direct = open_one("a");
    ASSERT_TRUE(until([&] { return direct->execute("create table t (id int, at text)").ok(); }));
  }

  static void run(const std::string& action) {
    const std::string command =
        std::string(std::getenv("CENOTE_TEST_POSTGRESQL_PAIR_CONTROL")) + " " + action;
    ASSERT_EQ(std::system(command.c_str()), 0) << action;
  }
  static PoolConfig config_of(const std::string& server, const std::string& id) {
    const char* url = std::getenv(server == "a" ? "CENOTE_TEST_POSTGRESQL_PAIR_A"
                                                : "CENOTE_TEST_POSTGRESQL_PAIR_B");
    PoolConfig config = *pool_from_url(url, id);
    config.pool.max_connections = 4;
    config.pool.connect_timeout = std::chrono::seconds(1);
    config.health.interval = std::chrono::milliseconds(500);
    return config;
  }
  static std::string endpoint(const std::string& server) {
    return "127.0.0.1:" + config_of(server, server).config["port"];
  }
  // Past the manager, to see what a server has.
  static std::shared_ptr<LocalPool> open_one(const std::string& server) {
    return *LocalPool::open(config_of(server, "direct_" + server));
  }
  static int64_t count(const std::string& server, const std::string& where) {
    return counted(server, "t where " + where);
  }
  // Whether the server runs a statement that begins so.
  static bool runs(const std::string& server, const std::string& statement) {
    return counted(server, "pg_stat_activity where state = 'active' and query like '" + statement +
                               "%'") == 1;
  }
  static int64_t counted(const std::string& server, const std::string& of) {
    PoolConfig config = config_of(server, "direct_" + server);
    config.pool.connect_timeout = std::chrono::seconds(30);
    const auto pool = *LocalPool::open(config);
    const auto table = pool->execute_query("select count(*)::bigint from " + of);
    if (!table.ok()) return -1;
    return std::static_pointer_cast<arrow::Int64Array>((*table)->column(0)->chunk(0))->Value(0);
  }

  // The pool "db" over both, by its endpoints.
  static std::unique_ptr<DistributedPoolManager> open_endpoints(ActiveStandby strategy = quick()) {
    DeploymentConfig config;
    config.pools = {config_of("a", "db")};
    config.pools[0].endpoints = {endpoint("a"), endpoint("b")};
    config.pools[0].failover = std::move(strategy);
    auto manager = DistributedPoolManager::open(std::move(config));
    EXPECT_TRUE(manager.ok()) << manager.status();
    return std::move(*manager);
  }
  static ActiveStandby quick() {
    ActiveStandby strategy;
    strategy.switch_threshold = std::chrono::seconds(2);
    strategy.hold = std::chrono::seconds(20);
    return strategy;
  }
  static FailoverStatus status(const DistributedPoolManager& manager) {
    return manager.failover_status().at(0);
  }
  static bool told(const DistributedPoolManager& manager, const std::string& beginning) {
    for (const std::string& event : status(manager).events) {
      if (event.starts_with(beginning)) return true;
    }
    return false;
  }
  // Until it is so, or for a minute.
  template <typename Condition>
  static bool until(const Condition& condition) {
    const Deadline limit = Deadline::in(std::chrono::seconds(60));
    while (!condition()) {
      if (limit.passed()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }
  static std::string target_state(const DistributedPoolManager& manager, size_t target) {
    return status(manager).targets.at(target).state;
  }
  static bool both_seen(const DistributedPoolManager& manager) {
    return until([&] {
      return target_state(manager, 0) == "writable" && target_state(manager, 1) == "read-only";
    });
  }
  static Result<int64_t> write(DistributedPoolManager& manager, int id, Origin* origin = nullptr) {
    return manager.execute(
        "db", "insert into t values (" + std::to_string(id) + ", inet_server_port()::text)", {}, {},
        origin);
  }
};

}  // namespace cenote
