// A process that forks with open connections: the child opens its own, the parent is undisturbed.
#include <filesystem>
#include <functional>
#include <thread>

#include <arrow/table.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/watchdog.h"
#include "pool/fixture.h"

namespace cenote {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Runs `work` in a child; what it returns is the child's exit code. A child that hangs is ended.
int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    ::_exit(work());  // no destructors of the parent's, no report of leaks
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Two processes that take turns.
class Turns {
 public:
  Turns() {
    EXPECT_EQ(::pipe(forth_), 0);
    EXPECT_EQ(::pipe(back_), 0);
  }
  void child_says() { (void)!::write(back_[1], "x", 1); }
  void parent_says() { (void)!::write(forth_[1], "x", 1); }
  void wait_for_child() { take(back_[0]); }
  void wait_for_parent() { take(forth_[0]); }

 private:
  static void take(int from) {
    char byte = 0;
    (void)!::read(from, &byte, 1);
  }
  int forth_[2] = {};
  int back_[2] = {};
};

TEST(Fork, the_child_leaves_the_parents_sessions_alone_and_opens_its_own) {
  Fixture f(connections(4));
  {
    const auto one = f.pool->checkout();
    const auto two = f.pool->checkout();
  }
  const int code = in_child([&] {
    // The server of these tests lies in memory too: the child counts on in its own copy.
    if (!f.pool->execute_query("select").ok()) return 1;
    if (f.server->connects != 3) return 2;
    if (f.server->left_to_parent != 2) return 3;
    if (f.server->open != 3) return 4;  // none of the parent's was closed
    if (f.pool->get_status().total != 1) return 5;
    if (f.pool->get_metrics().queries != 1) return 6;
    f.pool.reset();
    return f.server->open == 2 ? 0 : 7;
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ(f.server->connects, 2);
  EXPECT_EQ(f.pool->get_status().idle, 2);
  EXPECT_TRUE(f.pool->execute_query("select").ok());
}

TEST(Fork, a_child_that_only_drops_the_pool_touches_nothing) {
  Fixture f;
  ASSERT_TRUE(f.pool->execute("insert").ok());
  const int code = in_child([&] {
    f.pool.reset();
    return f.server->open == 1 && f.server->left_to_parent == 1 ? 0 : 1;
  });
  EXPECT_EQ(code, 0);
}

TEST(Fork, what_was_open_stays_the_parents) {
  Fixture f;
  auto stream = *f.pool->execute_stream("select");
  auto transaction = *f.pool->begin();
  auto lease = *f.pool->checkout();
  const int code = in_child([&] {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (error_kind(stream->ReadNext(&batch)) != ErrorKind::kInterface) return 1;
    if (error_kind(transaction.execute("insert").status()) != ErrorKind::kInterface) return 2;
    if (error_kind(transaction.commit()) != ErrorKind::kInterface) return 3;
    stream.reset();
    {
      const Transaction dropped = std::move(transaction);
    }
    lease.give_back();
    if (f.server->rollbacks != 0 || f.server->open != 3) return 4;
    return f.pool->execute("insert").ok() ? 0 : 5;
  });
  EXPECT_EQ(code, 0);
  std::shared_ptr<arrow::RecordBatch> batch;
  EXPECT_TRUE(stream->ReadNext(&batch).ok());
  EXPECT_TRUE(transaction.commit().ok());
}

TEST(Fork, every_thread_of_the_pool_works_in_the_child) {
  PoolConfig config = Fixture::config(connections(2));
  config.pool.min_connections = 1;
  config.health.interval = milliseconds(1);
  const Fixture f(config);
  f.until([](const PoolStatus& status) { return status.health == HealthState::kUp; });
  const int code = in_child([&] {
    // The health checker and the executor, which connects.
    f.until([](const PoolStatus& status) { return status.health == HealthState::kUp; });
    f.until([](const PoolStatus& status) { return status.idle == 1; });
    // The keeper, which refills.
    f.pool->connection_pool().clear();
    f.until([](const PoolStatus& status) { return status.idle == 1; });
    // The watchdog.
    Status late;
    do {
      late = f.pool->execute("hang", {}, within(milliseconds(5))).status();
    } while (error_kind(late) == ErrorKind::kPoolTimeout);  // a check had the connection meanwhile
    if (error_kind(late) != ErrorKind::kQueryTimeout) return 1;
    // Asynchronous calls.
    std::atomic<bool> done = false;
    f.pool->async_execute("insert", {}, {}, [&](Result<int64_t> result) { done = result.ok(); });
    while (!done) std::this_thread::yield();
    return f.pool->drain(Deadline::in(seconds(30))).ok() ? 0 : 2;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(f.pool->execute("insert").ok());
}

TEST(Fork, works_at_any_moment_while_other_threads_use_the_pool) {
  const Fixture f(connections(2));
  std::atomic<bool> stop = false;
  std::vector<std::thread> busy;
  for (int t = 0; t < 4; ++t) {
    busy.emplace_back([&] {
      while (!stop) EXPECT_TRUE(f.pool->execute("set").ok());
    });
  }
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(in_child([&] { return f.pool->execute("insert").ok() ? 0 : 1; }), 0);
  }
  stop = true;
  for (std::thread& thread : busy) thread.join();
  EXPECT_EQ(f.pool->get_status().active, 0);
}

TEST(Fork, several_threads_of_the_child_share_one_new_pool) {
  const Fixture f(connections(2));
  ASSERT_TRUE(f.pool->execute("insert").ok());
  const int code = in_child([&] {
    std::atomic<int> good = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] { good += f.pool->execute("insert").ok() ? 1 : 0; });
    }
    for (std::thread& thread : threads) thread.join();
    if (good != 8) return 1;
    if (f.server->left_to_parent != 1) return 2;
    return f.pool->get_status().total <= 2 ? 0 : 3;
  });
  EXPECT_EQ(code, 0);
}

TEST(Fork, on_sqlite_no_row_of_either_process_is_lost) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("cenote-fork-" + std::to_string(::getpid()) + ".db");
  PoolConfig config;
  config.id = "shop";
  config.type = "sqlite";
  config.config = {{"database", file.string()}};
  auto pool = *LocalPool::open(config);
  ASSERT_TRUE(pool->execute("create table t(who text)").ok());
  ASSERT_TRUE(pool->execute("insert into t values ('parent')").ok());
  ASSERT_TRUE(pool->execute_query("select * from t").ok());
  Turns turns;
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    const bool first = pool->execute("insert into t values ('child')").ok();
    turns.child_says();
    turns.wait_for_parent();
    // The parent has closed its last handle: the log that this writes to must still be the file's.
    const bool second = pool->execute("insert into t values ('child again')").ok();
    ::_exit(first && second ? 0 : 1);
  }
  turns.wait_for_child();
  EXPECT_TRUE(pool->execute("insert into t values ('parent again')").ok());
  EXPECT_TRUE(pool->drain(Deadline::in(seconds(30))).ok());
  pool.reset();
  turns.parent_says();
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  pool = *LocalPool::open(config);
  const auto table = pool->execute_query("select count(*) from t");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*(*table)->column(0)->GetScalar(0))->ToString(), "4");
  pool.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + suffix);
}

TEST(Fork, a_database_in_memory_is_the_childs_own_and_empty) {
  PoolConfig config;
  config.id = "memory";
  config.type = "sqlite";
  config.config = {{"database", ":memory:"}};
  const auto pool = *LocalPool::open(config);
  ASSERT_TRUE(pool->execute("create table t(n int)").ok());
  const int code = in_child([&] {
    if (error_kind(pool->execute("insert into t values (1)").status()) != ErrorKind::kProgramming) {
      return 1;
    }
    return pool->execute("create table t(n int)").ok() ? 0 : 2;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(pool->execute("insert into t values (1)").ok());
}

}  // namespace
}  // namespace cenote
