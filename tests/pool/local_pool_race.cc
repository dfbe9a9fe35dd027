// What a user of a pool relies on, with a database that fails on command. Runs under
// ThreadSanitizer too.
#include <algorithm>
#include <atomic>
#include <future>
#include <regex>
#include <thread>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <gtest/gtest.h>

#include "pool/fixture.h"

namespace cenote {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(LocalPool, answers_with_a_table_and_takes_the_connection_back) {
  const Fixture f;
  const auto table = f.pool->execute_query("select");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->num_rows(), 3);
  EXPECT_EQ(f.pool->get_status().active, 0);
  EXPECT_EQ(f.pool->get_status().idle, 1);
  EXPECT_EQ(f.pool->get_metrics().queries, 1U);
  EXPECT_EQ(f.pool->get_metrics().rows, 3U);
}

TEST(LocalPool, the_newest_idle_connection_is_used_first) {
  const Fixture f;
  auto first = f.pool->checkout();
  auto second = f.pool->checkout();
  ASSERT_TRUE(first.ok() && second.ok());
  const Connection* last = &**second;
  first->give_back();
  second->give_back();
  EXPECT_EQ(&**f.pool->checkout(), last);
}

TEST(LocalPool, never_more_connections_than_the_limit_nor_connects_than_allowed) {
  PoolOptions options;
  options.max_connections = 4;
  const Fixture f(options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&f] {
      for (int i = 0; i < 200; ++i) EXPECT_TRUE(f.pool->execute_query("select").ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(f.server->most_open, 4);
  EXPECT_LE(f.server->most_connecting, 2);
  EXPECT_EQ(f.pool->get_status().active, 0);
}

TEST(LocalPool, an_exhausted_pool_says_how_many_wait_and_who_holds_longest) {
  const Fixture f(one_connection());
  QueryOptions holder;
  holder.tag = "nightly report";
  const auto lease = f.pool->checkout(holder);
  const Status status = f.pool->execute_query("select", {}, within(milliseconds(20))).status();
  EXPECT_EQ(error_kind(status), ErrorKind::kPoolTimeout);
  EXPECT_NE(status.message().find("1 of 1 connections, 1 active, 0 idle"), std::string::npos)
      << status;
  EXPECT_NE(status.message().find("nightly report"), std::string::npos) << status;
  EXPECT_TRUE(retryable(status));
}

TEST(LocalPool, of_ten_thousand_waiters_half_expire_and_every_other_one_is_served) {
  const Fixture f(one_connection());
  auto lease = f.pool->checkout();
  constexpr int kWaiters = 10'000;
  std::atomic<int> served = 0;
  std::atomic<int> expired = 0;
  std::atomic<int> left = kWaiters;
  std::promise<void> all;
  std::promise<void> half;
  for (int i = 0; i < kWaiters; ++i) {
    const auto done = [&](Result<Lease> result) {
      if (result.ok()) {
        ++served;
        result->give_back();
      } else if (++expired == kWaiters / 2) {
        half.set_value();
      }
      if (--left == 0) all.set_value();
    };
    f.pool->connection_pool().checkout_async(
        {Deadline::in(i % 2 == 0 ? Duration(milliseconds(50)) : Duration(hours(1))), {}},
        Access::kReadWrite, "", done);
  }
  half.get_future().wait();
  lease->give_back();
  all.get_future().wait();
  EXPECT_EQ(served, kWaiters / 2);
  EXPECT_EQ(expired, kWaiters / 2);
  EXPECT_EQ(f.pool->get_status().waiting, 0);
  EXPECT_TRUE(f.pool->execute_query("select").ok());
  EXPECT_EQ(f.server->most_open, 1);
}

TEST(LocalPool, waiters_are_served_in_the_order_of_their_coming) {
  const Fixture f(one_connection());
  auto lease = f.pool->checkout();
  std::vector<int> order;  // appended by whoever holds the only connection
  std::promise<void> all;
  for (int i = 0; i < 20; ++i) {
    f.pool->async_with_lease({}, [&order, &all, i](Result<Lease> result) {
      ASSERT_TRUE(result.ok());
      order.push_back(i);
      const bool last = order.size() == 20;
      result->give_back();
      if (last) all.set_value();
    });
  }
  lease->give_back();
  all.get_future().wait();
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(LocalPool, a_refused_connect_reaches_the_caller_at_once_and_the_pool_recovers) {
  const Fixture f;
  f.server->refuse = true;
  const Status status = f.pool->execute_query("select").status();
  EXPECT_EQ(error_kind(status), ErrorKind::kConnection);
  EXPECT_NE(status.message().find("pool 'main_db' at fake:1/db"), std::string::npos) << status;
  f.server->refuse = false;
  EXPECT_TRUE(f.pool->execute_query("select").ok());
}

// One whose time is over before it could begin a connect is followed by another.
void give_up_a_connect(const Fixture& f) {
  while (f.server->connect_gate.waiting() == 0) {
    EXPECT_FALSE(f.pool->execute_query("select", {}, within(milliseconds(5))).ok());
  }
}

TEST(LocalPool, a_caller_that_gives_up_does_not_stop_the_connect_it_started) {
  const Fixture f;
  f.server->connect_gate.hold();
  give_up_a_connect(f);
  f.server->connect_gate.open();
  f.until([](const PoolStatus& status) { return status.idle == 1; });
  EXPECT_TRUE(f.pool->execute_query("select").ok());
  EXPECT_EQ(f.server->connects, 1);
}

TEST(LocalPool, stopping_ends_the_wait_for_a_connection) {
  const Fixture f(one_connection());
  const auto lease = f.pool->checkout();
  std::stop_source source;
  QueryOptions options;
  options.stop = source.get_token();
  auto waiting = std::async(std::launch::async,
                            [&] { return f.pool->execute_query("s", {}, options).status(); });
  f.until([](const PoolStatus& status) { return status.waiting == 1; });
  source.request_stop();
  EXPECT_EQ(error_kind(waiting.get()), ErrorKind::kCancelled);
}

TEST(LocalPool, a_connection_that_died_while_idle_is_replaced_before_use) {
  PoolOptions options;
  options.validate_after_idle = Duration::zero();
  const Fixture f(options);
  ASSERT_TRUE(f.pool->execute_query("select").ok());
  f.server->fail_validation = true;
  const auto lease = f.pool->checkout();
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_GE(f.server->connects, 2);
  f.until([](const PoolStatus& status) { return status.total == 1; });
  EXPECT_EQ(f.server->open, 1);
}

TEST(LocalPool, clear_retires_every_connection_and_keeps_the_waiters) {
  const Fixture f(one_connection());
  auto lease = f.pool->checkout();
  auto waiting =
      std::async(std::launch::async, [&] { return f.pool->execute_query("select").status(); });
  f.until([](const PoolStatus& status) { return status.waiting == 1; });
  f.pool->connection_pool().clear();
  lease->give_back();
  EXPECT_TRUE(waiting.get().ok());
  EXPECT_EQ(f.server->connects, 2);
}

TEST(LocalPool, only_a_dirty_session_is_reset) {
  const Fixture f;
  ASSERT_TRUE(f.pool->execute("insert").ok());
  EXPECT_EQ(f.server->resets, 0);
  ASSERT_TRUE(f.pool->execute("set").ok());
  EXPECT_EQ(f.server->resets, 1);
}

TEST(LocalPool, a_stream_returns_its_connection_on_each_of_its_ends) {
  const Fixture f(one_connection());
  std::shared_ptr<arrow::RecordBatch> batch;
  {
    auto stream = *f.pool->execute_stream("select");
    EXPECT_EQ(f.pool->get_status().active, 1);
    do {
      ASSERT_TRUE(stream->ReadNext(&batch).ok());
    } while (batch != nullptr);
    EXPECT_EQ(f.pool->get_status().active, 0);
  }
  auto closed = *f.pool->execute_stream("select");
  ASSERT_TRUE(closed->Close().ok());
  EXPECT_EQ(f.pool->get_status().active, 0);
  EXPECT_EQ(error_kind(closed->ReadNext(&batch)), ErrorKind::kInterface);
  (*f.pool->execute_stream("select")).reset();
  EXPECT_EQ(f.pool->get_status().active, 0);
  f.server->fail_reading = true;
  EXPECT_FALSE(f.pool->execute_stream("select").ok());
  f.until([](const PoolStatus& status) { return status.total == 0; });
}

TEST(LocalPool, a_stream_that_nobody_reads_loses_its_connection) {
  PoolOptions options = one_connection();
  options.stream_idle_limit = milliseconds(5);
  const Fixture f(options);
  auto stream = *f.pool->execute_stream("select");
  f.until([](const PoolStatus& status) { return status.active == 0; });
  std::shared_ptr<arrow::RecordBatch> batch;
  EXPECT_NE(stream->ReadNext(&batch).message().find("stream_idle_limit"), std::string::npos);
}

TEST(LocalPool, a_stream_outlives_the_variable_that_held_the_pool) {
  Fixture f;
  auto stream = *f.pool->execute_stream("select");
  f.pool.reset();
  std::shared_ptr<arrow::RecordBatch> batch;
  EXPECT_TRUE(stream->ReadNext(&batch).ok());
  stream.reset();
  EXPECT_EQ(f.server->open, 0);
}

TEST(Transaction, rolls_back_when_it_is_dropped_and_ends_only_once) {
  const Fixture f(one_connection());
  {
    const auto dropped = *f.pool->begin();
  }
  EXPECT_EQ(f.server->rollbacks, 1);
  auto transaction = *f.pool->begin();
  auto stream = *transaction.execute_stream("select");
  EXPECT_EQ(error_kind(transaction.execute("x").status()), ErrorKind::kInterface);
  ASSERT_TRUE(stream->Close().ok());
  EXPECT_TRUE(transaction.execute("x").ok());
  EXPECT_TRUE(transaction.commit().ok());
  EXPECT_EQ(error_kind(transaction.commit()), ErrorKind::kInterface);
  EXPECT_EQ(f.pool->get_status().active, 0);
}

TEST(LocalPool, draining_waits_for_who_works_and_refuses_who_comes) {
  const Fixture f;
  auto lease = f.pool->checkout();
  auto drained =
      std::async(std::launch::async, [&] { return f.pool->drain(Deadline::in(hours(1))); });
  f.until([](const PoolStatus& status) { return status.closed; });
  // Its lanes close one after another: who comes at that very moment may still be served.
  Status refused;
  while (refused.ok()) refused = f.pool->execute_query("select").status();
  EXPECT_EQ(error_kind(refused), ErrorKind::kPoolClosed);
  lease->give_back();
  EXPECT_TRUE(drained.get().ok());
  EXPECT_EQ(f.server->open, 0);
}

TEST(LocalPool, draining_closes_a_connect_that_was_under_way) {
  const Fixture f;
  f.server->connect_gate.hold();
  give_up_a_connect(f);
  auto drained =
      std::async(std::launch::async, [&] { return f.pool->drain(Deadline::in(hours(1))); });
  f.until([](const PoolStatus& status) { return status.closed; });
  f.server->connect_gate.open();
  EXPECT_TRUE(drained.get().ok());
  EXPECT_EQ(f.server->open, 0);
}

TEST(LocalPool, growing_serves_the_queue_and_shrinking_closes_what_is_too_much) {
  const Fixture f(one_connection());
  auto first = f.pool->checkout();
  auto waiting = std::async(std::launch::async, [&] { return f.pool->checkout().status(); });
  f.until([](const PoolStatus& status) { return status.waiting == 1; });
  ASSERT_TRUE(f.pool->resize(2, 0).ok());
  EXPECT_TRUE(waiting.get().ok());
  ASSERT_TRUE(f.pool->resize(1, 0).ok());
  first->give_back();
  EXPECT_EQ(f.server->open, 1);
  EXPECT_FALSE(f.pool->resize(0, 0).ok());
}

TEST(LocalPool, metrics_have_the_names_that_dashboards_expect) {
  const Fixture f;
  ASSERT_TRUE(f.pool->execute_query("select").ok());
  const std::string text = f.pool->prometheus();
  const std::string labels = R"(db_client_connection_pool_name="main_db",db_system_name="fake")";
  for (const char* line :
       {R"(db_client_connection_count{@,db_client_connection_state="idle"} 1)",
        R"(db_client_connection_count{@,db_client_connection_state="used"} 0)",
        "db_client_connection_max{@} 10", "db_client_connection_idle_max{@} 10",
        "db_client_connection_idle_min{@} 0", "db_client_connection_pending_requests{@} 0",
        "db_client_connection_timeouts_total{@} 0",
        R"(db_client_connection_create_time_seconds_bucket{@,le="+Inf"} 1)",
        R"(db_client_connection_wait_time_seconds_bucket{@,le="+Inf"} 1)",
        R"(db_client_connection_use_time_seconds_bucket{@,le="+Inf"} 1)",
        "db_client_operation_duration_seconds_count{@} 1",
        "db_client_response_returned_rows_count{@} 1"}) {
    const std::string wanted = std::regex_replace(line, std::regex("@"), labels);
    EXPECT_NE(text.find("\n" + wanted), std::string::npos) << wanted << " in\n" << text;
  }
  // The semantic conventions' bounds.
  for (const char* bound : {"0.001", "0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "10"}) {
    const std::string bucket = "db_client_operation_duration_seconds_bucket{" + labels + ",le=\"";
    EXPECT_NE(text.find(bucket + bound + "\""), std::string::npos) << bound;
  }
}

TEST(HealthRule, tells_dead_from_overloaded_and_unauthorised) {
  HealthRule rule{HealthOptions{}};
  rule.observe(Probe{});
  EXPECT_EQ(rule.verdict().state, HealthState::kUp);
  rule.observe(make_error(ErrorKind::kOverload, "too many connections"));
  EXPECT_EQ(rule.verdict().state, HealthState::kUp);
  EXPECT_TRUE(rule.verdict().overloaded);
  rule.observe(make_error(ErrorKind::kAuthentication, "no"));
  EXPECT_FALSE(rule.verdict().authorised);
  EXPECT_EQ(rule.verdict().state, HealthState::kUp);
  const Status dead = make_error(ErrorKind::kConnection, "refused");
  rule.observe(dead);
  EXPECT_EQ(rule.verdict().state, HealthState::kSuspect);
  rule.observe(dead);
  rule.observe(dead);
  EXPECT_EQ(rule.verdict().state, HealthState::kDown);
  rule.observe(Probe{});
  EXPECT_EQ(rule.verdict().state, HealthState::kDown);
  rule.observe(Probe{});
  EXPECT_EQ(rule.verdict().state, HealthState::kUp);
}

TEST(Histogram, quantiles_are_within_a_fifth_and_merging_adds) {
  Histogram one;
  Histogram two;
  for (int i = 1; i <= 1000; ++i) (i % 2 == 0 ? one : two).record(Duration(i * 1000));
  one.merge(two);
  EXPECT_EQ(one.count(), 1000U);
  EXPECT_NEAR(static_cast<double>(one.quantile(0.5)), 500'000, 100'000);
  EXPECT_NEAR(static_cast<double>(one.quantile(0.99)), 990'000, 200'000);
}

}  // namespace
}  // namespace cenote
