// A fork with open connections: the child never speaks over its parent's, and the parent goes on.
#include <atomic>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "faults/pools.h"

namespace cenote {
namespace {

int ended(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

// Runs `work` in a forked child, which ends without cleaning up what is its parent's.
template <typename Work>
int in_child(const Work& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  return ended(child);
}

bool refused(const Status& status) {
  return error_kind(status) == ErrorKind::kInterface &&
         status.message().find("fork while the database is idle") != std::string::npos;
}

using SqliteFork = SqliteFault;

TEST_F(SqliteFork, in_the_midst_of_a_transaction_the_child_is_told_and_the_parent_goes_on) {
  const auto pool = open_pool(config());
  ASSERT_TRUE(pool->execute("create table t (a integer)").ok());
  ASSERT_EQ(value(*pool, "select count(*) from t"), "0");
  auto transaction = pool->begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE(transaction->execute("insert into t values (1)").ok());
  const int failed = in_child([this, &pool] {
    if (!refused(pool->execute_query("select count(*) from t").status())) return 1;
    if (!refused(pool->execute("insert into t values (2)").status())) return 2;
    const auto own = LocalPool::open(config());  // of the same file
    if (!own.ok()) return 3;
    return refused((*own)->execute("insert into t values (2)").status()) ? 0 : 4;
  });
  EXPECT_EQ(failed, 0);
  ASSERT_TRUE(transaction->execute("insert into t values (3)").ok());
  ASSERT_TRUE(transaction->commit().ok());
  EXPECT_EQ(value(*pool, "select group_concat(a) from t"), "1,3");
  EXPECT_EQ(value(*pool, "pragma integrity_check"), "ok");
}

// The child takes no notice of the pool it inherited, which could have warned it.
TEST_F(SqliteFork, a_pool_of_the_childs_own_loses_no_row_when_the_parent_closes_its_own) {
  auto pool = open_pool(config());
  ASSERT_TRUE(pool->execute("create table t (a integer)").ok());
  int child_says[2] = {};
  int parent_says[2] = {};
  ASSERT_TRUE(::pipe(child_says) == 0 && ::pipe(parent_says) == 0);
  char byte = 0;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto own = LocalPool::open(config());
    const bool first = own.ok() && (*own)->execute("insert into t values (1)").ok();
    (void)!::write(child_says[1], "x", 1);
    (void)!::read(parent_says[0], &byte, 1);
    const bool second = own.ok() && (*own)->execute("insert into t values (2)").ok();
    ::_exit(first && second ? 0 : 1);
  }
  (void)!::read(child_says[0], &byte, 1);
  EXPECT_TRUE(pool->drain(Deadline::in(std::chrono::seconds(30))).ok());
  pool.reset();  // SQLite's last handle in this process: it would remove the WAL
  (void)!::write(parent_says[1], "x", 1);
  EXPECT_EQ(ended(child), 0);
  EXPECT_EQ(value(*open_pool(config()), "select group_concat(a) from t"), "1,2");
}

// It would write into a WAL index that nobody else can see.
TEST_F(SqliteFork, a_child_that_comes_after_the_parent_closed_is_refused) {
  auto pool = open_pool(config());
  ASSERT_TRUE(pool->execute("create table t (a integer)").ok());
  int parent_says[2] = {};
  ASSERT_TRUE(::pipe(parent_says) == 0);
  char byte = 0;
  const pid_t child = ::fork();
  if (child == 0) {
    (void)!::read(parent_says[0], &byte, 1);
    const auto own = LocalPool::open(config());
    if (!own.ok()) ::_exit(1);
    ::_exit(refused((*own)->execute("insert into t values (1)").status()) ? 0 : 2);
  }
  pool.reset();
  (void)!::write(parent_says[1], "x", 1);
  EXPECT_EQ(ended(child), 0);
  EXPECT_EQ(value(*open_pool(config()), "select count(*) from t"), "0");
}

TEST_F(SqliteFork, a_grandchild_loses_no_row_when_its_ancestors_close) {
  auto pool = open_pool(config());
  ASSERT_TRUE(pool->execute("create table t (a integer)").ok());
  int says[2] = {};
  int told[2] = {};
  ASSERT_TRUE(::pipe(says) == 0 && ::pipe(told) == 0);
  char byte = 0;
  const pid_t child = ::fork();
  if (child == 0) {
    if (!pool->execute("insert into t values (1)").ok()) ::_exit(1);
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      const bool first = pool->execute("insert into t values (2)").ok();
      (void)!::write(says[1], "x", 1);
      (void)!::read(told[0], &byte, 1);
      ::_exit(first && pool->execute("insert into t values (3)").ok() ? 0 : 2);
    }
    (void)!::read(says[0], &byte, 1);
    ::_exit(0);  // with its locks, while the grandchild goes on
  }
  EXPECT_EQ(ended(child), 0);
  pool.reset();
  (void)!::write(told[1], "x", 1);
  // The grandchild is not ours to wait for: its end closes the pipe.
  ::close(says[1]);
  while (::read(says[0], &byte, 1) > 0) {
  }
  EXPECT_EQ(value(*open_pool(config()), "select group_concat(a) from t"), "1,2,3");
}

// Other threads are inside SQLite at the moment of the fork.
TEST_F(SqliteFork, no_child_hangs_whatever_other_threads_run) {
  const auto pool = open_pool(config());
  const auto other = open_pool(config((folder_ / "other.db").string()));
  ASSERT_TRUE(pool->execute("create table t (a integer)").ok());
  ASSERT_TRUE(other->execute("create table t (a integer)").ok());
  std::atomic<bool> over = false;
  std::thread busy([&pool, &over] {
    while (!over) {
      (void)pool->execute("insert into t values (1)");
      (void)pool->execute_query("select group_concat(a) from t");
    }
  });
  for (int i = 0; i < 20; ++i) {
    const int failed = in_child([&pool, &other] {
      ::alarm(30);
      for (LocalPool* each : {pool.get(), other.get()}) {
        const Status status = each->execute("insert into t values (2)").status();
        if (!status.ok() && !refused(status)) return 1;
      }
      return 0;
    });
    EXPECT_EQ(failed, 0);
  }
  over = true;
  busy.join();
  EXPECT_EQ(value(*pool, "pragma integrity_check"), "ok");
  EXPECT_EQ(value(*other, "pragma integrity_check"), "ok");
}

TEST_F(SqliteFork, a_child_uses_a_pool_that_had_no_connection_yet) {
  const auto pool = open_pool(config());
  const int failed = in_child([&pool] {
    if (!pool->execute("create table t (a integer)").ok()) return 1;
    if (!pool->execute("insert into t values (1)").ok()) return 2;
    return value(*pool, "select count(*) from t") == "1" ? 0 : 3;
  });
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(value(*pool, "select count(*) from t"), "1");
}

TEST_F(SqliteFork, a_child_uses_a_file_that_its_parent_has_closed) {
  {
    const auto pool = open_pool(config());
    ASSERT_TRUE(pool->execute("create table t (a integer)").ok());
  }
  const auto pool = open_pool(config());
  const int failed = in_child([this] {
    const auto own = LocalPool::open(config());
    return own.ok() && (*own)->execute("insert into t values (1)").ok() ? 0 : 1;
  });
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(value(*pool, "select count(*) from t"), "1");
}

using PostgresqlFork = PostgresqlFault;

TEST_F(PostgresqlFork, a_child_speaks_over_sessions_of_its_own) {
  const auto pool = open_pool(config());
  ASSERT_TRUE(pool->execute("drop table if exists forked").ok());
  ASSERT_TRUE(pool->execute("create table forked (a int)").ok());
  {
    std::vector<Lease> both;
    for (int i = 0; i < 2; ++i) both.push_back(*pool->checkout());
  }
  auto transaction = pool->begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE(transaction->execute("insert into forked values (1)").ok());
  auto stream = pool->execute_stream("select generate_series(1, 100000)");
  ASSERT_TRUE(stream.ok()) << stream.status();
  const std::string parents = server_->ask(
      "select string_agg(pid::text, ',') from pg_stat_activity where application_name = '" +
      pool->id() + "'");
  const int failed = in_child([&pool, &parents] {
    const std::string pid = value(*pool, "select pg_backend_pid()");
    if (pid.find_first_not_of("0123456789") != std::string::npos) return 1;
    if (("," + parents + ",").find("," + pid + ",") != std::string::npos) return 2;
    if (!pool->execute("insert into forked values (2)").ok()) return 3;
    return value(*pool, "select count(*) from forked") == "1" ? 0 : 4;
  });
  EXPECT_EQ(failed, 0);
  const auto rest = (*stream)->ToTable();
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ((*rest)->num_rows(), 100'000);
  ASSERT_TRUE(transaction->execute("insert into forked values (3)").ok());
  ASSERT_TRUE(transaction->commit().ok());
  EXPECT_EQ(value(*pool, "select string_agg(a::text, ',' order by a) from forked"), "1,2,3");
  // The child's sessions ended with it, and the parent's are its own still.
  server_->expect_sessions(pool->id(), pool->get_status().total);
}

}  // namespace
}  // namespace cenote
