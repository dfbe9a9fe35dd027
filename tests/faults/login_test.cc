// Targets that do not take us: wrong password, unknown host, closed port.
#include "faults/fault_proxy.h"
#include "faults/pools.h"

namespace cenote {
namespace {

using LoginFault = PostgresqlFault;

TEST_F(LoginFault, a_wrong_password_is_told_and_a_corrected_one_taken_up) {
  PoolConfig config = this->config();
  auto password = std::make_shared<std::atomic<const char*>>("wr0ng-s3cret");
  config.credentials = [password]() -> Result<Credentials> {
    return Credentials{"cenote", password->load()};
  };
  const auto pool = open_pool(std::move(config));
  for (int i = 0; i < 3; ++i) {
    const Status refused = pool->execute_query("select 1").status();
    expect_clear(refused, ErrorKind::kAuthentication, pool->id());
    EXPECT_EQ(refused.ToString().find("wr0ng-s3cret"), std::string::npos) << refused;
    EXPECT_FALSE(counts_against_target(refused)) << "a wrong password is not a dead server";
  }
  EXPECT_EQ(pool->get_status().total, 0);
  server_->expect_sessions(pool->id(), 0);
  *password = PostgresServer::kPassword;
  EXPECT_EQ(value(*pool, "select 1"), "1");
  server_->expect_sessions(pool->id(), 1);
}

TEST_F(LoginFault, an_unknown_database_is_told_by_its_name) {
  PoolConfig config = this->config();
  config.config["database"] = "nowhere";
  const auto pool = open_pool(std::move(config));
  const Status refused = pool->execute_query("select 1").status();
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find("nowhere"), std::string::npos) << refused;
  EXPECT_EQ(pool->get_status().total, 0);
}

TEST_F(LoginFault, an_unknown_host_is_told_by_its_name) {
  PoolConfig config = this->config();
  config.config["host"] = "no-such-host.invalid";
  const auto pool = open_pool(std::move(config));
  const Status refused =
      pool->execute_query("select 1", {}, within(std::chrono::seconds(30))).status();
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find("no-such-host.invalid"), std::string::npos) << refused;
  EXPECT_EQ(error_kind(refused), ErrorKind::kConnection) << refused;
  EXPECT_EQ(pool->get_status().total, 0);
}

// As of a server that is far away, whose login takes several round trips.
TEST_F(LoginFault, a_login_that_takes_longer_than_a_check_makes_no_dead_server) {
  PoolConfig config = this->config();
  config.health.timeout = std::chrono::milliseconds(1);
  const auto pool = open_pool(std::move(config));
  Status check = pool->health_check({});
  EXPECT_FALSE(check.ok());
  // On a busy machine a round trip may take longer too.
  for (int i = 0; i < 1'000 && !check.ok(); ++i) check = pool->health_check({});
  EXPECT_TRUE(check.ok()) << check;
}

TEST_F(LoginFault, a_closed_port_is_told_and_works_once_it_is_open) {
  FaultProxy proxy(server_->port());
  const auto pool = open_pool(postgresql_config(name(), proxy.port()));
  proxy.refuse();
  const Status refused = pool->execute_query("select 1").status();
  expect_clear(refused, ErrorKind::kConnection, pool->id());
  EXPECT_TRUE(counts_against_target(refused));
  EXPECT_TRUE(retryable(refused)) << "nothing was sent";
  EXPECT_NE(refused.message().find(std::to_string(proxy.port())), std::string::npos) << refused;
  proxy.listen_again();
  EXPECT_EQ(value(*pool, "select 1"), "1");
  server_->expect_sessions(pool->id(), 1);
}

TEST_F(LoginFault, too_many_connections_are_overload_and_not_death) {
  PoolConfig config = this->config();
  config.pool.max_connections = 80;  // the server has 50
  config.pool.max_connecting = 10;
  config.pool.acquire_timeout = std::chrono::seconds(2);
  config.health.interval = Duration::zero();
  const auto hoarder = open_pool(config);
  config.pool.acquire_timeout = std::chrono::seconds(60);
  std::vector<Lease> held;
  Status refused;
  // One that took too long for another reason is followed by another.
  const Deadline patience = Deadline::in(std::chrono::seconds(60));
  while (refused.message().find("too many") == std::string::npos && !patience.passed()) {
    auto lease = hoarder->checkout();
    refused = lease.status();
    if (lease.ok()) held.push_back(std::move(*lease));
  }
  // Some of its connections may come back, so its callers wait, and are told what stands in the
  // way.
  expect_clear(refused, ErrorKind::kPoolTimeout, hoarder->id());
  EXPECT_NE(refused.message().find("too many"), std::string::npos) << refused;
  EXPECT_FALSE(counts_against_target(refused));

  // A pool without any has nothing to wait for.
  config.id += "_late";
  const auto late = open_pool(std::move(config));
  refused = late->checkout().status();
  expect_clear(refused, ErrorKind::kOverload, late->id());
  EXPECT_FALSE(counts_against_target(refused));
  EXPECT_TRUE(retryable(refused));
  held.clear();
  hoarder->connection_pool().clear();
  EXPECT_EQ(value(*late, "select 1"), "1");
  late->connection_pool().clear();
  server_->expect_sessions(hoarder->id(), 0);
}

}  // namespace
}  // namespace cenote
