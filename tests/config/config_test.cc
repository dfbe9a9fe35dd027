// What a configuration file may say, and what is said of one that is wrong.
#include "cenote/config.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "config/value.h"

namespace cenote {
namespace {

std::string yaml(const std::string& pool) {
  return "deployment:\n  pools:\n    - " + pool + "\n";
}

std::string error_of(const std::string& text) {
  return parse_config(text, "cenote.yaml").status().message();
}

TEST(Config, adr_002s_standalone_file_is_read) {
  const auto config = parse_config(
      "deployment:\n  mode: standalone\n  pools:\n    - id: main_db\n      type: sqlite\n"
      "      config: {database: shop.db, max_connections: 7}\n      pool: {acquire_timeout: "
      "250ms}\n"
      "      health: {interval: 5}\n",
      "cenote.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->pools.size(), 1U);
  const PoolConfig& pool = config->pools[0];
  EXPECT_EQ(pool.config.at("database"), "shop.db");
  EXPECT_EQ(pool.pool.max_connections, 7);
  EXPECT_EQ(pool.pool.acquire_timeout, std::chrono::milliseconds(250));
  EXPECT_EQ(pool.health.interval, std::chrono::seconds(5));
}

TEST(Config, a_pool_that_says_nothing_has_the_documented_defaults) {
  const auto config =
      parse_config(yaml("{id: a, type: sqlite, config: {database: x}}"), "cenote.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  const PoolOptions& pool = config->pools[0].pool;
  EXPECT_EQ(pool.max_connections, 10);
  EXPECT_EQ(pool.min_connections, 0);
  EXPECT_EQ(pool.max_connecting, 2);
  EXPECT_EQ(pool.acquire_timeout, std::chrono::seconds(30));
  EXPECT_EQ(pool.idle_timeout, std::chrono::minutes(10));
  EXPECT_EQ(pool.max_lifetime, std::chrono::minutes(30));
  EXPECT_EQ(pool.validate_after_idle, std::chrono::seconds(1));
  EXPECT_EQ(pool.leak_threshold, std::chrono::seconds(60));
  const HealthOptions& health = config->pools[0].health;
  EXPECT_EQ(health.interval, std::chrono::seconds(2));
  EXPECT_EQ(health.fall, 3);
  EXPECT_EQ(health.rise, 2);
}

TEST(Config, an_unknown_key_is_named_with_its_place_and_the_nearest_known_one) {
  const std::string text = error_of(yaml(
      "id: a\n      type: sqlite\n      config: {database: x}\n      pool: {max_conections: 3}"));
  EXPECT_NE(text.find("cenote.yaml:6:14: key 'max_conections'"), std::string::npos) << text;
  EXPECT_NE(text.find("did you mean 'max_connections'?"), std::string::npos) << text;
  const std::string driver = error_of(yaml("{id: a, type: sqlite, config: {databse: x}}"));
  EXPECT_NE(driver.find("did you mean 'database'?"), std::string::npos) << driver;
}

TEST(Config, wrong_values_say_what_to_write) {
  EXPECT_NE(
      error_of(yaml("{id: a, type: sqlite, config: {database: x}, pool: {idle_timeout: soon}}"))
          .find("10min"),
      std::string::npos);
  EXPECT_NE(error_of(yaml("{id: a, type: oracle, config: {}}")).find("sqlite"), std::string::npos);
  EXPECT_NE(error_of("deployment: {mode: cluster}").find("standalone, coordinated or distributed"),
            std::string::npos);
  EXPECT_NE(error_of(yaml("{id: a, type: sqlite}")).find("'config': is missing"),
            std::string::npos);
}

TEST(Config, yaml_of_every_wrong_kind_is_an_error_with_a_place) {
  for (const char* text :
       {"", "[]", "a", "deployment: 3", "deployment: {pools: {}}", "deployment: {pools: [3]}",
        "deployment: [", "{deployment: {}, deployment: {}}", "\t- x", "deployment: &a [*a]",
        "deployment: {pools: [{id: [], type: sqlite, config: {}}]}", "? [a]\n: b"}) {
    EXPECT_EQ(error_of(text).find("cenote.yaml"), 0U) << text << " → " << error_of(text);
  }
}

TEST(Config, secrets_come_from_references_and_never_show) {
  ::setenv("CENOTE_TEST_FILE", "from-env.db", 1);
  const auto config =
      parse_config(yaml("{id: a, type: sqlite, config: {database: \"${env:CENOTE_TEST_FILE}\"}}"),
                   "cenote.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->pools[0].config.at("database"), "from-env.db");
  EXPECT_NE(error_of(yaml("{id: a, type: sqlite, config: {database: \"${env:CENOTE_NOT_SET}\"}}"))
                .find("CENOTE_NOT_SET"),
            std::string::npos);
}

TEST(Config, a_path_may_be_a_file_uri_and_still_come_from_a_reference) {
  const auto config = parse_config(
      yaml("{id: a, type: sqlite, config: {database: \"file:shop.db?mode=ro\"}}"), "cenote.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->pools[0].config.at("database"), "file:shop.db?mode=ro");
  const std::string text =
      error_of(yaml("{id: a, type: sqlite, config: {database: '${file:/no/such/path}'}}"));
  EXPECT_NE(text.find("'/no/such/path' cannot be read"), std::string::npos) << text;
}

TEST(Config, a_byte_that_is_no_utf8_is_an_error_with_its_place) {
  const std::string text = error_of("deployment:\n  pools:\n    - {id: \xc3\xa9\xe9}\n");
  EXPECT_NE(text.find("cenote.yaml:3:13: a byte that is no UTF-8"), std::string::npos) << text;
}

TEST(Config, a_key_that_is_unknown_is_called_so_whatever_its_value_is) {
  const std::string text =
      error_of(yaml("{id: a, type: sqlite, config: {database: x, read_onli: [a]}}"));
  EXPECT_NE(text.find("did you mean 'read_only'?"), std::string::npos) << text;
}

TEST(Config, two_pools_of_one_name_are_refused) {
  const std::string pool = "{id: a, type: sqlite, config: {database: x}}";
  EXPECT_NE(error_of("deployment: {pools: [" + pool + ", " + pool + "]}").find("two pools"),
            std::string::npos);
}

TEST(Config, urls_name_the_database_and_may_set_the_pool) {
  const auto file = pool_from_url("shop.db", "p");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->type, "sqlite");
  const auto sized = pool_from_url("sqlite:shop.db?max_connections=3", "p");
  ASSERT_TRUE(sized.ok()) << sized.status();
  EXPECT_EQ(sized->pool.max_connections, 3);
  EXPECT_EQ(pool_from_url("sqlite::memory:", "p")->config.at("database"), ":memory:");
  EXPECT_FALSE(pool_from_url("sqlite:a?nonsense=1", "p").ok());
  const auto server = pool_from_url("postgresql://us%40er:p%3Aw@db1:5433/shop", "p");
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(server->config.at("username"), "us@er");
  EXPECT_EQ(server->config.at("password"), "p:w");
  EXPECT_EQ(server->config.at("port"), "5433");
  EXPECT_EQ(server->config.at("database"), "shop");
}

TEST(Config, the_originals_flat_keys_are_understood) {
  const auto pool = pool_from_keys("main_db", "sqlite",
                                   {{"database", "x.db"},
                                    {"min_connections", "5"},
                                    {"max_connections", "50"},
                                    {"health_check_interval", "60"},
                                    {"auto_scaling", "true"}});
  ASSERT_TRUE(pool.ok()) << pool.status();
  EXPECT_EQ(pool->pool.min_connections, 5);
  EXPECT_EQ(pool->health.interval, std::chrono::seconds(60));
}

TEST(Config, durations_carry_units) {
  EXPECT_EQ(*parse_duration("250ms"), std::chrono::milliseconds(250));
  EXPECT_EQ(*parse_duration("1.5"), std::chrono::milliseconds(1500));
  EXPECT_EQ(*parse_duration("10min"), std::chrono::minutes(10));
  for (const char* text : {"", "-1s", "5 s", "1e400", "s", "99999999999d"})
    EXPECT_FALSE(parse_duration(text).ok()) << text;
}

TEST(Config, the_schema_knows_every_driver_and_every_pool_key) {
  const std::string schema = config_schema();
  for (const char* word :
       {"2020-12", "max_connections", "stream_idle_limit", "\"sqlite\"", "fall"}) {
    EXPECT_NE(schema.find(word), std::string::npos) << word;
  }
}

TEST(Config, the_pools_own_section_wins_over_the_originals_flat_keys) {
  const auto config =
      parse_config(yaml("{id: a, type: sqlite, pool: {max_connections: 3}, config: {database: x, "
                        "max_connections: 50, idle_timeout: 7}}"),
                   "cenote.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->pools[0].pool.max_connections, 3);
  EXPECT_EQ(config->pools[0].pool.idle_timeout, std::chrono::seconds(7));
}

TEST(Config, what_came_from_a_reference_is_never_quoted) {
  ::setenv("CENOTE_TEST_SECRET", "hunter2", 1);
  for (const char* pool :
       {"{id: a, type: sqlite, config: {database: x}, pool: {max_connections: "
        "'${env:CENOTE_TEST_SECRET}'}}",
        "{id: a, type: '${env:CENOTE_TEST_SECRET}', config: {database: x}}",
        "{id: a, type: sqlite, config: {database: x, read_only: '${env:CENOTE_TEST_SECRET}'}}",
        "{id: a, type: sqlite, config: {database: x, busy_timeout: "
        "'${env:CENOTE_TEST_SECRET}'}}"}) {
    const std::string text = error_of(yaml(pool));
    EXPECT_NE(text.find("${env:CENOTE_TEST_SECRET}"), std::string::npos) << text;
    EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
  }
}

TEST(Config, a_password_in_a_broken_url_is_never_quoted) {
  for (const char* url : {"postgresql://u:hunter?2@h/db", "postgresql://u:a?hunter=2@h/db",
                          "postgresql://u:hunter%2@h/db", "postgresql://u:hunter2@[::1/db"}) {
    const Status status = pool_from_url(url, "p").status();
    ASSERT_FALSE(status.ok()) << url;
    EXPECT_EQ(status.message().find("hunter"), std::string::npos) << status;
  }
}

TEST(Config, the_prometheus_endpoint_is_read) {
  const auto config = parse_config(
      "deployment: {metrics: {prometheus: {listen: '0.0.0.0:9464', allow_remote: yes}}}", "x");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->metrics.prometheus_listen, "0.0.0.0:9464");
  EXPECT_TRUE(config->metrics.prometheus_allow_remote);
}

TEST(Config, failover_strategies_are_read) {
  const auto config = parse_config(
      "deployment:\n"
      "  failover: {strategy: active_standby, primary: a, backup: b, switch_threshold: 3s,\n"
      "             fail_back: automatic, fail_back_after: 2min, hold: 4s}\n"
      "  pools:\n"
      "    - {id: a, type: sqlite, config: {database: a.db},\n"
      "       failover: {strategy: load_balanced, pools: [a, b], algorithm: random}}\n"
      "    - {id: b, type: sqlite, config: {database: b.db}}\n"
      "    - {id: c, type: postgresql, config: {endpoints: ['h:1', k], username: u}}\n",
      "x");
  ASSERT_TRUE(config.ok()) << config.status();
  ActiveStandby standby{"a", "b", std::chrono::seconds(3)};
  standby.fail_back = FailBack::kAutomatic;
  standby.fail_back_after = std::chrono::minutes(2);
  standby.hold = std::chrono::seconds(4);
  EXPECT_EQ(config->failover, FailoverStrategy(standby));
  EXPECT_EQ(config->pools[0].failover,
            FailoverStrategy(LoadBalanced{{"a", "b"}, LoadBalanceAlgorithm::kRandom}));
  EXPECT_FALSE(config->pools[1].failover.has_value());
  EXPECT_EQ(config->pools[2].endpoints, (std::vector<std::string>{"h:1", "k"}));
}

TEST(Config, a_failover_strategy_names_pools_of_the_file) {
  const std::string text = error_of(
      "deployment:\n  failover: {strategy: active_standby, primary: a, backup: c}\n"
      "  pools: [{id: a, type: sqlite, config: {database: a.db}}]\n");
  EXPECT_EQ(text.find("cenote.yaml:2:60: key 'backup': names no pool"), 0U) << text;
  EXPECT_NE(text.find("there are: a"), std::string::npos) << text;
  EXPECT_NE(error_of("deployment: {failover: {strategy: load_balanced}}").find("'pools'"),
            std::string::npos);
}

TEST(Config, mode_distributed_knows_its_store) {
  const auto config = parse_config(
      "deployment:\n  mode: distributed\n"
      "  discovery: {type: etcd, endpoint: 'https://a:2379, https://b:2379', cluster: shop,\n"
      "              username: u, password: p, token: t, ca: ca.pem, ttl: 3s}\n",
      "x");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->mode, DeploymentMode::kFullDistributed);
  EXPECT_EQ(config->discovery.type, "etcd");
  EXPECT_EQ(config->discovery.endpoints,
            (std::vector<std::string>{"https://a:2379", "https://b:2379"}));
  EXPECT_EQ(config->discovery.cluster, "shop");
  EXPECT_EQ(config->discovery.username, "u");
  EXPECT_EQ(config->discovery.password, "p");
  EXPECT_EQ(config->discovery.token, "t");
  EXPECT_EQ(config->discovery.tls.ca, "ca.pem");
  EXPECT_EQ(config->discovery.ttl, std::chrono::seconds(3));
  const auto list = parse_config(
      "deployment: {mode: distributed, discovery: {type: static, endpoint: 'a:1, b:2', pools: "
      "'main_db, b'}}",
      "x");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->discovery.pools, (std::vector<std::string>{"main_db", "b"}));
}

TEST(Config, mode_distributed_without_a_store_says_what_to_write) {
  for (const char* rest : {"", "  discovery: {type: consul}\n"}) {
    const std::string text = error_of(std::string("deployment:\n  mode: distributed\n") + rest);
    EXPECT_EQ(text.find("cenote.yaml:2:9: key 'mode': 'distributed' needs a store"), 0U) << text;
    EXPECT_NE(text.find("discovery: {type: consul, endpoint:"), std::string::npos) << text;
  }
}

TEST(Config, mode_coordinated_knows_its_coordinator_and_the_way_to_nodes) {
  const auto config = parse_config(
      "deployment:\n  mode: coordinated\n"
      "  coordinator: {endpoint: 'http://a:8080, http://b:8080', token: t, ca: ca.pem}\n"
      "  remote: {username: u, password: p, connect_timeout: 2s}\n"
      "  node: {id: n1, advertise: 'h:1', zone: z, weight: 3, state_dir: /var/lib/x}\n"
      "  load_balancer: {algorithm: round_robin}\n",
      "x");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->mode, DeploymentMode::kCoordinated);
  EXPECT_EQ(config->coordinator.endpoints,
            (std::vector<std::string>{"http://a:8080", "http://b:8080"}));
  EXPECT_EQ(config->coordinator.token, "t");
  EXPECT_EQ(config->coordinator.tls.ca, "ca.pem");
  EXPECT_EQ(config->remote.username, "u");
  EXPECT_EQ(config->remote.connect_timeout, std::chrono::seconds(2));
  EXPECT_EQ(config->node.id, "n1");
  EXPECT_EQ(config->node.zone, "z");
  EXPECT_EQ(config->node.weight, 3);
  EXPECT_EQ(config->load_balancer, LoadBalanceAlgorithm::kRoundRobin);
}

TEST(Config, mode_coordinated_without_a_coordinator_says_what_to_write) {
  const std::string text = error_of("deployment:\n  mode: coordinated\n");
  EXPECT_EQ(text.find("cenote.yaml:2:9: key 'mode': 'coordinated' needs a coordinator"), 0U)
      << text;
  EXPECT_NE(text.find("coordinator: {endpoint:"), std::string::npos) << text;
}

TEST(Config, a_tab_is_called_a_tab) {
  const std::string text = error_of("deployment:\n\tmode: standalone\n");
  EXPECT_EQ(text.find("cenote.yaml:2:"), 0U) << text;
  EXPECT_NE(text.find("begins with a tab"), std::string::npos) << text;
}

}  // namespace
}  // namespace cenote
