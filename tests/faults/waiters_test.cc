// Ten thousand callers on one connection of a real database, half of whom give up.
#include <atomic>

#include "faults/pools.h"

namespace cenote {
namespace {

constexpr int kWaiters = 10'000;

void half_of_ten_thousand_expire(LocalPool& pool) {
  auto lease = pool.checkout();
  ASSERT_TRUE(lease.ok()) << lease.status();
  std::atomic<int> served = 0;
  std::atomic<int> expired = 0;
  std::atomic<int> wrong = 0;
  QueryOptions impatient = within(std::chrono::milliseconds(50));
  impatient.access = Access::kReadWrite;
  QueryOptions patient;
  patient.access = Access::kReadWrite;
  for (int i = 0; i < kWaiters; ++i) {
    const bool gives_up = i % 2 == 0;
    pool.async_query("select ? + 0", Params::of(i), gives_up ? impatient : patient,
                     [&, gives_up, i](Result<std::shared_ptr<arrow::Table>> table) {
                       const bool right =
                           gives_up
                               ? error_kind(table.status()) == ErrorKind::kPoolTimeout
                               : table.ok() && (*(*table)->column(0)->GetScalar(0))->ToString() ==
                                                   std::to_string(i);
                       if (!right) ++wrong;
                       std::atomic<int>& count = gives_up ? expired : served;
                       ++count;
                       count.notify_all();
                     });
  }
  const auto await = [](std::atomic<int>& count) {
    for (int now = count; now < kWaiters / 2; now = count) count.wait(now);
  };
  await(expired);
  EXPECT_EQ(served, 0);
  EXPECT_EQ(pool.get_status().waiting, kWaiters / 2);
  lease->give_back();
  await(served);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(pool.get_status().active, 0);
  EXPECT_EQ(pool.get_status().waiting, 0);
  EXPECT_EQ(pool.get_metrics().timeouts, static_cast<uint64_t>(kWaiters / 2));
}

using Waiters = PostgresqlFault;

TEST_F(Waiters, on_postgresql_every_other_one_is_served_over_one_session) {
  PoolConfig config = this->config();
  config.pool.max_connections = 1;
  config.pool.acquire_timeout = std::chrono::minutes(10);
  config.pool.validate_after_idle = std::chrono::hours(1);
  const auto pool = open_pool(std::move(config));
  half_of_ten_thousand_expire(*pool);
  EXPECT_EQ(pool->get_metrics().connects, 1U);
  server_->expect_sessions(pool->id(), 1);
}

using SqliteWaiters = SqliteFault;

TEST_F(SqliteWaiters, on_sqlite_every_other_one_is_served_over_one_handle) {
  PoolConfig config = this->config();
  config.pool.acquire_timeout = std::chrono::minutes(10);
  config.pool.validate_after_idle = std::chrono::hours(1);
  const auto pool = open_pool(std::move(config));
  half_of_ten_thousand_expire(*pool);
  EXPECT_EQ(sessions(folder_ / "shop.db"), 1);
}

}  // namespace
}  // namespace cenote
