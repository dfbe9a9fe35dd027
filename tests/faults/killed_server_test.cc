// A server that dies: under a statement, under a stream, between two.
#include <future>

#include "faults/pools.h"

namespace cenote {
namespace {

class KilledServer : public PostgresqlFault {
 protected:
  // Runs a long statement and, once the server lists it, `kill`; the statement's error.
  template <typename Kill>
  Status killed_under_a_statement(LocalPool& pool, const Kill& kill) {
    auto running = std::async(std::launch::async, [&pool] {
      return pool.execute_query("select pg_sleep(120)").status();
    });
    kill(server_->backend_running(pool.id(), "pg_sleep"));
    return running.get();
  }
  // Reads a stream too large for any buffer until the kill is felt.
  template <typename Kill>
  Status killed_under_a_stream(LocalPool& pool, const Kill& kill) {
    auto stream =
        pool.execute_stream("select generate_series(1, 50000000), repeat('x', 100)", {}, {});
    EXPECT_TRUE(stream.ok()) << stream.status();
    std::shared_ptr<arrow::RecordBatch> batch;
    EXPECT_TRUE((*stream)->ReadNext(&batch).ok());
    kill(server_->backend_running(pool.id(), "generate_series"));
    Status status;
    do {
      status = (*stream)->ReadNext(&batch);
    } while (status.ok() && batch != nullptr);
    EXPECT_FALSE((*stream)->ReadNext(&batch).ok()) << "an error is never followed by a quiet end";
    return status;
  }
  void expect_alive(LocalPool& pool) {
    expect_recovers(pool);
    EXPECT_EQ(pool.get_status().active, 0);
    EXPECT_EQ(pool.get_status().total, 1);
    server_->expect_sessions(pool.id(), 1);
  }
};

void expect_lost(const Status& status, std::string_view pool) {
  expect_clear(status, ErrorKind::kConnection, pool);
  EXPECT_TRUE(counts_against_target(status)) << status;
  EXPECT_FALSE(retryable(status)) << "the statement may have been done: " << status;
}

TEST_F(KilledServer, a_backend_killed_under_a_statement) {
  const auto pool = open_pool(config());
  const auto kill = [](pid_t backend) { PostgresServer::kill_process(backend); };
  expect_lost(killed_under_a_statement(*pool, kill), pool->id());
  expect_alive(*pool);
}

TEST_F(KilledServer, a_backend_killed_under_a_stream) {
  const auto pool = open_pool(config());
  const auto kill = [](pid_t backend) { PostgresServer::kill_process(backend); };
  expect_lost(killed_under_a_stream(*pool, kill), pool->id());
  expect_alive(*pool);
}

TEST_F(KilledServer, a_backend_ended_by_an_administrator) {
  const auto pool = open_pool(config());
  const auto end = [this](pid_t backend) {
    server_->ask("select pg_terminate_backend(" + std::to_string(backend) + ")");
  };
  const Status status = killed_under_a_statement(*pool, end);
  expect_lost(status, pool->id());
  EXPECT_EQ(error_detail(status)->sqlstate, "57P01") << status;
  expect_alive(*pool);
}

TEST_F(KilledServer, a_postmaster_killed_under_a_statement) {
  const auto pool = open_pool(config());
  const auto kill = [this](pid_t) { server_->kill_postmaster(); };
  expect_lost(killed_under_a_statement(*pool, kill), pool->id());
  const Status down = pool->execute_query("select 1").status();
  expect_clear(down, ErrorKind::kConnection, pool->id());
  server_->start();
  expect_alive(*pool);
}

TEST_F(KilledServer, a_postmaster_killed_under_a_stream) {
  const auto pool = open_pool(config());
  const auto kill = [this](pid_t) { server_->kill_postmaster(); };
  expect_lost(killed_under_a_stream(*pool, kill), pool->id());
  server_->start();
  expect_alive(*pool);
}

TEST_F(KilledServer, a_transaction_whose_server_died_is_over_and_says_so) {
  const auto pool = open_pool(config());
  auto transaction = pool->begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  const auto pid = transaction->execute_query("select pg_backend_pid()");
  ASSERT_TRUE(pid.ok()) << pid.status();
  server_->ask("select pg_terminate_backend(" + (*(*pid)->column(0)->GetScalar(0))->ToString() +
               ", 5000)");
  const Status lost = transaction->execute("create table never (a int)").status();
  EXPECT_EQ(error_kind(lost), ErrorKind::kConnection) << lost;
  EXPECT_FALSE(transaction->commit().ok());
  EXPECT_EQ(pool->get_status().active, 0);
  expect_alive(*pool);
  EXPECT_EQ(value(*pool, "select to_regclass('never') is null"), "true");
}

TEST_F(KilledServer, a_server_restarted_between_queries_costs_at_most_each_idle_connection) {
  const auto pool = open_pool(config());
  {
    std::vector<Lease> all;
    for (int i = 0; i < 3; ++i) all.push_back(pool->checkout().ValueOrDie());
  }
  EXPECT_EQ(pool->get_status().idle, 3);
  server_->restart();
  int failures = 0;
  while (failures < 3) {
    const Status status = pool->execute_query("select 1").status();
    if (status.ok()) break;
    expect_clear(status, ErrorKind::kConnection, pool->id());
    ++failures;
  }
  EXPECT_EQ(value(*pool, "select 1"), "1");
  pool->connection_pool().clear();
  EXPECT_EQ(value(*pool, "select 1"), "1");
  expect_alive(*pool);
}

TEST_F(KilledServer, an_idle_connection_is_proved_before_use_after_a_restart) {
  PoolConfig config = this->config();
  config.pool.validate_after_idle = Duration::zero();
  const auto pool = open_pool(std::move(config));
  EXPECT_EQ(value(*pool, "select 1"), "1");
  server_->restart();
  EXPECT_EQ(value(*pool, "select 1"), "1");
  expect_alive(*pool);
}

}  // namespace
}  // namespace cenote
