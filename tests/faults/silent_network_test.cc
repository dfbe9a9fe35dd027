// A network that loses, resets or half closes connections. Ending at all is what these tests ask:
// while the network stays silent nothing but our own deadlines can end a call.
#include "faults/fault_proxy.h"
#include "faults/pools.h"

namespace cenote {
namespace {

using std::chrono::milliseconds;

// Rows from the first moment on, and no end.
constexpr const char* kEndless = "select generate_series(1, 50000000), repeat('x', 100)";

class Network : public PostgresqlFault {
 protected:
  void SetUp() override {
    PostgresqlFault::SetUp();
    if (server_ == nullptr) return;
    proxy_ = std::make_unique<FaultProxy>(server_->port());
    PoolConfig config = postgresql_config(name(), proxy_->port());
    config.pool.connect_timeout = std::chrono::seconds(30);
    config.pool.validate_after_idle = std::chrono::hours(1);
    config.pool.max_connections = 2;
    pool_ = open_pool(std::move(config));
  }
  void expect_alive() {
    expect_recovers(*pool_);
    EXPECT_EQ(pool_->get_status().active, 0);
    pool_->connection_pool().clear();
    server_->expect_sessions(pool_->id(), 0);
    EXPECT_EQ(pool_->get_status().total, 0);
  }

  std::unique_ptr<FaultProxy> proxy_;
  std::shared_ptr<LocalPool> pool_;
};

TEST_F(Network, a_connect_into_silence_ends_by_its_timeout) {
  PoolConfig config = postgresql_config(name(), proxy_->port());
  config.pool.connect_timeout = milliseconds(200);
  pool_ = open_pool(std::move(config));
  proxy_->fall_silent();
  const Status status = pool_->execute_query("select 1").status();
  expect_clear(status, ErrorKind::kConnection, pool_->id());
  EXPECT_TRUE(counts_against_target(status));
  EXPECT_EQ(pool_->get_status().total, 0);
  proxy_->speak();
  expect_alive();
}

TEST_F(Network, a_statement_into_silence_ends_by_its_deadline) {
  ASSERT_EQ(value(*pool_, "select 1"), "1");
  proxy_->fall_silent();
  const Status status = pool_->execute_query("select 2", {}, within(milliseconds(100))).status();
  expect_clear(status, ErrorKind::kQueryTimeout, pool_->id());
  EXPECT_TRUE(poisons_connection(status)) << "no one acknowledged the cancel: " << status;
  proxy_->speak();
  expect_alive();
}

TEST_F(Network, a_stream_that_falls_silent_ends_by_its_deadline) {
  ASSERT_EQ(value(*pool_, "select 1"), "1");
  auto stream = pool_->execute_stream(kEndless, {}, within(std::chrono::seconds(5)));
  ASSERT_TRUE(stream.ok()) << stream.status();
  proxy_->fall_silent();
  Status status;
  std::shared_ptr<arrow::RecordBatch> batch;
  do {
    status = (*stream)->ReadNext(&batch);
  } while (status.ok() && batch != nullptr);
  expect_clear(status, ErrorKind::kQueryTimeout, pool_->id());
  proxy_->speak();
  expect_alive();
}

TEST_F(Network, a_stream_dropped_in_silence_gives_its_place_back) {
  {
    auto stream = pool_->execute_stream(kEndless, {}, {});
    ASSERT_TRUE(stream.ok()) << stream.status();
    proxy_->fall_silent();
  }
  EXPECT_EQ(pool_->get_status().active, 0);
  proxy_->speak();
  expect_alive();
}

TEST_F(Network, a_connection_that_fell_silent_while_idle_is_replaced_at_checkout) {
  PoolConfig config = postgresql_config(name(), proxy_->port());
  config.pool.validate_after_idle = Duration::zero();
  config.pool.validation_timeout = milliseconds(100);
  config.pool.connect_timeout = milliseconds(500);
  pool_ = open_pool(std::move(config));
  expect_recovers(*pool_);  // on a busy machine not with the first connect
  proxy_->fall_silent();
  const Status status = pool_->execute_query("select 2").status();
  expect_clear(status, ErrorKind::kConnection, pool_->id());
  proxy_->speak();
  expect_alive();
}

TEST_F(Network, a_stream_whose_connection_is_reset_says_so) {
  auto stream = pool_->execute_stream(kEndless, {}, {});
  ASSERT_TRUE(stream.ok()) << stream.status();
  std::shared_ptr<arrow::RecordBatch> batch;
  ASSERT_TRUE((*stream)->ReadNext(&batch).ok());
  proxy_->reset();
  Status status;
  do {
    status = (*stream)->ReadNext(&batch);
  } while (status.ok() && batch != nullptr);
  expect_clear(status, ErrorKind::kConnection, pool_->id());
  EXPECT_FALSE((*stream)->ReadNext(&batch).ok());
  expect_alive();
}

TEST_F(Network, a_connection_reset_between_statements_is_told_and_replaced) {
  ASSERT_EQ(value(*pool_, "select 1"), "1");
  proxy_->reset();
  const Status status = pool_->execute_query("select 2").status();
  if (!status.ok()) expect_clear(status, ErrorKind::kConnection, pool_->id());
  expect_alive();
}

TEST_F(Network, a_connection_closed_in_one_direction_is_told_and_replaced) {
  ASSERT_EQ(value(*pool_, "select 1"), "1");
  proxy_->half_close();
  const Status status =
      pool_->execute_query("select 2", {}, within(std::chrono::seconds(20))).status();
  if (!status.ok()) expect_clear(status, ErrorKind::kConnection, pool_->id());
  expect_alive();
}

TEST_F(Network, a_commit_whose_answer_is_lost_is_never_called_undone_if_it_may_be_done) {
  ASSERT_TRUE(pool_->execute("drop table if exists fate").ok());
  ASSERT_TRUE(pool_->execute("create table fate (a int)").ok());
  auto transaction = pool_->begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE(transaction->execute("insert into fate values (1)").ok());
  proxy_->half_close();
  const Status status = transaction->commit();
  expect_clear(status, ErrorKind::kConnection, pool_->id());
  EXPECT_EQ(pool_->get_status().active, 0);
  expect_alive();
  if (error_detail(status)->sent == Sent::kNo) {
    EXPECT_EQ(value(*pool_, "select count(*) from fate"), "0");
  }
  pool_->connection_pool().clear();
}

}  // namespace
}  // namespace cenote
