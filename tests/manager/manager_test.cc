// ADR-002's manager: named pools, modes, one exposition for all.
#include "cenote/manager.h"

#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "manager/exposition.h"
#include "net/raw_client.h"

namespace cenote {
namespace {

TEST(Manager, pools_are_made_listed_used_and_removed) {
  auto manager = *DistributedPoolManager::open({});
  auto config = *pool_from_url("sqlite::memory:", "main_db");
  ASSERT_TRUE(manager->create_pool(config).ok());
  EXPECT_EQ(error_kind(manager->create_pool(config).status()), ErrorKind::kConfig);
  EXPECT_EQ(manager->list_pools(), std::vector<std::string>{"main_db"});
  EXPECT_TRUE(manager->execute_query("main_db", "select 1").ok());
  const Status unknown = manager->execute_query("other", "select 1").status();
  EXPECT_EQ(error_kind(unknown), ErrorKind::kUnknownPool);
  EXPECT_NE(unknown.message().find("main_db"), std::string::npos);
  EXPECT_NE(manager->prometheus().find("db_client_connection_max"), std::string::npos);
  EXPECT_TRUE(manager->remove_pool("main_db", Deadline::in(std::chrono::seconds(10))).ok());
  EXPECT_TRUE(manager->list_pools().empty());
}

TEST(Manager, mode_distributed_without_a_store_is_refused_clearly) {
  DeploymentConfig config;
  config.mode = DeploymentMode::kFullDistributed;
  EXPECT_NE(DistributedPoolManager::open(config).status().message().find("discovery is missing"),
            std::string::npos);
  for (const char* type : {"consul", "etcd", "static"}) {
    config.discovery.type = type;
    const Status status = DistributedPoolManager::open(config).status();
    EXPECT_EQ(error_kind(status), ErrorKind::kConfig);
    EXPECT_NE(status.message().find("discovery.endpoint"), std::string::npos) << status;
  }
}

TEST(Manager, mode_coordinated_without_a_coordinator_is_refused_clearly) {
  DeploymentConfig config;
  config.mode = DeploymentMode::kCoordinated;
  const Status status = DistributedPoolManager::open(config).status();
  EXPECT_EQ(error_kind(status), ErrorKind::kConfig);
  EXPECT_NE(status.message().find("coordinator.endpoint"), std::string::npos) << status;
}

TEST(Manager, an_error_while_opening_leaves_nothing_behind) {
  DeploymentConfig config;
  config.pools = {*pool_from_url("sqlite::memory:", "a"), *pool_from_url("sqlite::memory:", "a")};
  config.metrics.prometheus_listen = "127.0.0.1:0";
  EXPECT_EQ(error_kind(DistributedPoolManager::open(config).status()), ErrorKind::kConfig);
  config.pools.pop_back();
  config.metrics.prometheus_listen = "nowhere";
  const Status status = DistributedPoolManager::open(config).status();
  EXPECT_NE(status.message().find("metrics.prometheus.listen"), std::string::npos) << status;
}

TEST(Manager, drain_closes_every_pool) {
  auto manager = *DistributedPoolManager::open({});
  for (const char* id : {"a", "b"}) {
    ASSERT_TRUE(manager->create_pool(*pool_from_url("sqlite::memory:", id)).ok());
    ASSERT_TRUE(manager->execute_query(id, "select 1").ok());
  }
  EXPECT_TRUE(manager->drain(Deadline::in(std::chrono::seconds(10))).ok());
  for (const PoolStatus& status : manager->get_status()) EXPECT_TRUE(status.closed) << status.id;
  EXPECT_EQ(error_kind(manager->execute_query("a", "select 1").status()), ErrorKind::kPoolClosed);
}

std::string get(const std::string& address, const std::string& path) {
  const RawClient client(address);
  client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  return client.read_all();
}

TEST(Manager, the_prometheus_endpoint_is_off_unless_asked_for) {
  auto manager = *DistributedPoolManager::open({});
  EXPECT_EQ(manager->prometheus_address(), "");
}

TEST(Manager, prometheus_gets_all_pools_as_one_exposition) {
  DeploymentConfig config;
  config.pools = {*pool_from_url("sqlite::memory:", "a"),
                  *pool_from_url("sqlite::memory:", "b\"\n")};
  config.metrics.prometheus_listen = "127.0.0.1:0";
  auto manager = *DistributedPoolManager::open(config);
  ASSERT_TRUE(manager->execute_query("a", "select 1").ok());
  const std::string answer = get(manager->prometheus_address(), "/metrics");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_NE(answer.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            std::string::npos);
  // The format: HELP and TYPE of a family once, its samples right below.
  std::istringstream body(answer.substr(answer.find("\r\n\r\n") + 4));
  std::map<std::string, int> types;
  std::map<std::string, int> samples;
  std::string family;
  for (std::string line; std::getline(body, line);) {
    if (line.starts_with("# TYPE ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_EQ(++types[family], 1) << line;
    } else if (!line.starts_with("#")) {
      EXPECT_TRUE(line.starts_with(family)) << line << " below " << family;
      ++samples[family];
    }
  }
  EXPECT_EQ(samples["db_client_connection_max"], 2);
  EXPECT_EQ(samples["db_client_connection_count"], 4);
  EXPECT_EQ(samples.size(), types.size());
  EXPECT_NE(answer.find("db_client_operation_duration_seconds_count{db_client_connection_pool_name"
                        "=\"a\",db_system_name=\"sqlite\"} 1\n"),
            std::string::npos)
      << answer;
  EXPECT_NE(answer.find("pool_name=\"b\\\"\\n\""), std::string::npos);
  EXPECT_TRUE(get(manager->prometheus_address(), "/healthz").ends_with("\r\n\r\nok\n"));
}

TEST(Exposition, families_are_joined_though_texts_differ) {
  EXPECT_EQ(
      merge_expositions({"# HELP a x\n# TYPE a gauge\na{p=\"1\"} 1\n# HELP b y\n# TYPE b gauge\n",
                         "# HELP c z\n# TYPE c gauge\nc 3\n# HELP b y\n# TYPE b gauge\nb 2\n"
                         "# HELP a x\n# TYPE a gauge\na{p=\"2\"} 4\n"}),
      "# HELP a x\n# TYPE a gauge\na{p=\"1\"} 1\na{p=\"2\"} 4\n"
      "# HELP b y\n# TYPE b gauge\nb 2\n# HELP c z\n# TYPE c gauge\nc 3\n");
  EXPECT_EQ(merge_expositions({}), "");
}

}  // namespace
}  // namespace cenote
