// A fork with open connections: the child never speaks over its parent's, and the parent goes on.
#include <sys/wait.h>

#include "faults/pools.h"

namespace cenote {
namespace {

// Runs `work` in a forked child, which ends without cleaning up what is its parent's.
template <typename Work>
int in_child(const Work& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

using SqliteFork = SqliteFault;

TEST_F(SqliteFork, a_child_neither_sees_nor_breaks_what_its_parent_is_writing) {
  const auto pool = open_pool(config());
  ASSERT_TRUE(pool->execute("create table t (a integer)").ok());
  ASSERT_EQ(value(*pool, "select count(*) from t"), "0");
  auto transaction = pool->begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE(transaction->execute("insert into t values (1)").ok());
  const int failed = in_child([&pool] {
    QueryOptions soon = within(std::chrono::milliseconds(500));
    const auto counted = pool->execute_query("select count(*) from t", {}, soon);
    // Over a connection of its own, or not at all and said so.
    if (counted.ok() && (*(*counted)->column(0)->GetScalar(0))->ToString() != "0") return 1;
    if (!counted.ok() && error_detail(counted.status()) == nullptr) return 2;
    return pool->execute("insert into t values (2)", {}, soon).ok() ? 3 : 0;
  });
  EXPECT_EQ(failed, 0);
  ASSERT_TRUE(transaction->execute("insert into t values (3)").ok());
  ASSERT_TRUE(transaction->commit().ok());
  EXPECT_EQ(value(*pool, "select group_concat(a) from t"), "1,3");
  EXPECT_EQ(value(*pool, "pragma integrity_check"), "ok");
}

TEST_F(SqliteFork, a_child_may_open_a_pool_of_its_own) {
  const auto pool = open_pool(config());
  ASSERT_TRUE(pool->execute("create table t (a integer)").ok());
  const int failed = in_child([this] {
    const auto own = LocalPool::open(config());
    if (!own.ok()) return 1;
    if (!(*own)->execute("insert into t values (1)").ok()) return 2;
    return value(**own, "select count(*) from t") == "1" ? 0 : 3;
  });
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(value(*pool, "select count(*) from t"), "1");
}

}  // namespace
}  // namespace cenote
