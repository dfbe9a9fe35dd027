// A pool's calls as Asio operations: futures, callbacks, coroutines, cancellation. Runs under
// ThreadSanitizer too.
#include <filesystem>
#include <iterator>

#include <arrow/table.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include "cenote/asio.h"

#include "pool/fixture.h"

namespace cenote {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

size_t threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

TEST(Asio, a_future_holds_the_table) {
  const Fixture f;
  auto future = async_query(f.pool, "select", {}, {}, asio::use_future);
  const auto table = future.get();
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->num_rows(), 3);
  EXPECT_EQ(f.pool->get_status().active, 0);
}

TEST(Asio, a_callback_runs_on_its_own_executor) {
  const Fixture f;
  asio::io_context io;
  std::thread::id ran;
  async_execute(f.pool, "insert", {}, {}, asio::bind_executor(io, [&](Result<int64_t> affected) {
                  EXPECT_EQ(*affected, 1);
                  ran = std::this_thread::get_id();
                }));
  io.run();
  EXPECT_EQ(ran, std::this_thread::get_id());
}

TEST(Asio, a_stream_and_a_transaction_keep_their_connection) {
  const Fixture f;
  auto stream = async_stream(f.pool, "select", {}, {}, asio::use_future).get();
  ASSERT_TRUE(stream.ok()) << stream.status();
  auto transaction = async_begin(f.pool, {}, {}, asio::use_future).get();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  EXPECT_EQ(f.pool->get_status().active, 2);
  ASSERT_TRUE((*stream)->Close().ok());
  ASSERT_TRUE(transaction->commit().ok());
  EXPECT_EQ(f.pool->get_status().active, 0);
}

asio::awaitable<void> insert_and_count(std::shared_ptr<LocalPool> pool, std::string note,
                                       int64_t* rows) {
  const std::string insert = "insert " + note;
  const std::string select = "select " + note;
  const Params params = Params::of(note);
  const QueryOptions options = tagged(note);
  const auto affected = co_await async_execute(pool, insert, params, options, asio::use_awaitable);
  EXPECT_TRUE(affected.ok()) << affected.status();
  const auto table = co_await async_query(pool, select, params, options, asio::use_awaitable);
  EXPECT_TRUE(table.ok()) << table.status();
  if (table.ok()) *rows += (*table)->num_rows();
}

TEST(Asio, coroutines_wait_without_a_thread) {
  const Fixture f(connections(2));
  auto one = f.pool->checkout();
  auto two = f.pool->checkout();
  asio::io_context io;
  int64_t rows = 0;
  constexpr int kCoroutines = 1500;
  const size_t before = threads_of_this_process();
  for (int i = 0; i < kCoroutines; ++i) {
    asio::co_spawn(io, insert_and_count(f.pool, std::to_string(i), &rows), asio::detached);
  }
  io.poll();
  EXPECT_EQ(f.pool->get_status().waiting, kCoroutines);
  EXPECT_LE(threads_of_this_process(), before + 2) << "they wait in the queue, not on threads";
  one->give_back();
  two->give_back();
  io.run();
  EXPECT_EQ(rows, 3 * kCoroutines);
  EXPECT_EQ(f.server->most_open, 2);
}

TEST(Asio, a_signal_cancels_the_running_statement_on_the_server) {
  const Fixture f;
  asio::io_context io;
  asio::cancellation_signal signal;
  Status status;
  const auto done = [&](Result<int64_t> result) { status = result.status(); };
  async_execute(f.pool, "hang", {}, {},
                asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(io, done)));
  f.until([&](const PoolStatus&) { return f.server->hung == 1; });
  signal.emit(asio::cancellation_type::terminal);
  io.run();
  EXPECT_EQ(error_kind(status), ErrorKind::kCancelled) << status;
  EXPECT_GE(f.server->cancels, 1);
  EXPECT_EQ(f.pool->get_status().active, 0);
  signal.emit(asio::cancellation_type::terminal);  // too late for anything
  EXPECT_TRUE(f.pool->execute("insert").ok());
}

TEST(Asio, a_signal_ends_the_wait_for_a_connection) {
  const Fixture f(one_connection());
  const auto lease = f.pool->checkout();
  asio::io_context io;
  asio::cancellation_signal signal;
  Status status;
  const auto done = [&](Result<int64_t> result) { status = result.status(); };
  async_execute(f.pool, "insert", {}, {},
                asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(io, done)));
  EXPECT_EQ(f.pool->get_status().waiting, 1);
  signal.emit(asio::cancellation_type::terminal);
  io.run();
  EXPECT_EQ(error_kind(status), ErrorKind::kCancelled) << status;
  EXPECT_EQ(f.pool->get_status().waiting, 0);
}

TEST(Asio, the_callers_own_stop_works_beside_the_signal) {
  const Fixture f;
  asio::io_context io;
  asio::cancellation_signal signal;
  std::stop_source stop;
  QueryOptions options;
  options.stop = stop.get_token();
  Status status;
  const auto done = [&](Result<int64_t> result) { status = result.status(); };
  async_execute(f.pool, "hang", {}, options,
                asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(io, done)));
  f.until([](const PoolStatus& now) { return now.active == 1; });
  stop.request_stop();
  io.run();
  EXPECT_EQ(error_kind(status), ErrorKind::kCancelled) << status;
}

TEST(Asio, a_deadline_ends_a_call_without_anyone_waiting_for_it) {
  const Fixture f(one_connection());
  const auto lease = f.pool->checkout();
  auto future = async_query(f.pool, "select", {}, within(milliseconds(5)), asio::use_future);
  EXPECT_EQ(error_kind(future.get().status()), ErrorKind::kPoolTimeout);
}

}  // namespace
}  // namespace cenote
