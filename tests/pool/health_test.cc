// The health checker inside its pool: its place in the limit, roles, verdicts.
#include <future>

#include "pool/fixture.h"

namespace cenote {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Checks only when the test asks.
PoolConfig manual(int max) {
  return Fixture::config(connections(max));
}

TEST(Health, its_own_session_is_inside_the_limit_and_yields_to_callers) {
  const Fixture f(manual(3));
  ASSERT_TRUE(f.pool->health_check({}).ok());
  EXPECT_EQ(f.pool->get_status().health, HealthState::kUp);
  EXPECT_EQ(f.pool->get_status().checking, 1);
  EXPECT_EQ(f.pool->get_status().total, 1);
  std::vector<Result<Lease>> leases;
  for (int i = 0; i < 3; ++i) {
    leases.push_back(f.pool->checkout());
    ASSERT_TRUE(leases.back().ok()) << leases.back().status();
  }
  EXPECT_EQ(f.pool->get_status().checking, 0);
  EXPECT_LE(f.server->most_open, 3);
}

TEST(Health, a_full_pool_is_not_mistaken_for_a_dead_server) {
  const Fixture f(manual(2));
  const auto one = f.pool->checkout();
  const auto two = f.pool->checkout();
  EXPECT_TRUE(f.pool->health_check({}).ok());
  EXPECT_NE(f.pool->get_status().health, HealthState::kDown);
  EXPECT_LE(f.server->most_open, 2);
}

TEST(Health, of_a_pool_of_one_borrows_its_connection) {
  const Fixture f(manual(1));
  ASSERT_TRUE(f.pool->health_check({}).ok());
  EXPECT_EQ(f.pool->get_status().health, HealthState::kUp);
  EXPECT_EQ(f.pool->get_status().idle, 1);
  ASSERT_TRUE(f.pool->execute("insert").ok());
  ASSERT_TRUE(f.pool->health_check({}).ok());
  EXPECT_EQ(f.server->connects, 1);
}

TEST(Health, a_change_of_role_retires_every_connection_at_once) {
  const Fixture f(manual(3));
  auto lease = f.pool->checkout();
  ASSERT_TRUE(f.pool->execute("insert").ok());
  ASSERT_TRUE(f.pool->health_check({}).ok());
  EXPECT_EQ(f.pool->get_status().generation, 0U);
  f.server->role = Role::kReplica;
  ASSERT_TRUE(f.pool->health_check({}).ok());
  EXPECT_EQ(f.pool->get_status().generation, 1U);
  EXPECT_EQ(f.pool->get_status().role, Role::kReplica);
  EXPECT_EQ(f.pool->get_status().idle, 0);
  lease->give_back();
  EXPECT_EQ(f.pool->get_status().idle, 0) << "what was out closes when it returns";
}

TEST(Health, checks_by_itself_and_says_why_a_server_is_down) {
  PoolConfig config = Fixture::config({});
  config.health.interval = milliseconds(1);
  Fixture f;
  f.server->refuse = true;
  f.pool = f.open(config, kFakeTraits);
  f.until([](const PoolStatus& status) { return status.health == HealthState::kDown; });
  EXPECT_NE(f.pool->get_status().last_error.find("refused"), std::string::npos);
  EXPECT_EQ(error_kind(f.pool->health_check({})), ErrorKind::kConnection);
  f.server->refuse = false;
  f.until([](const PoolStatus& status) { return status.health == HealthState::kUp; });
  f.server->refuse_password = true;
  f.pool->connection_pool().clear();
  f.until([](const PoolStatus& status) { return !status.authorised; });
  EXPECT_EQ(f.pool->get_status().health, HealthState::kUp) << "unauthorised is not dead";
}

TEST(Health, a_pool_that_drains_closes_the_checkers_session_too) {
  PoolConfig config = Fixture::config({});
  config.health.interval = milliseconds(1);
  const Fixture f(config);
  f.until([](const PoolStatus& status) { return status.checking == 1; });
  EXPECT_TRUE(f.pool->drain(Deadline::in(seconds(60))).ok());
  EXPECT_EQ(f.server->open, 0);
}

}  // namespace
}  // namespace cenote
