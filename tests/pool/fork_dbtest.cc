// A fork with open connections to PostgreSQL: the server's own list of sessions is the judge.
#include <cstdlib>
#include <string>

#include <arrow/table.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cenote/pool.h"

namespace cenote {
namespace {

using std::chrono::seconds;

std::string value(LocalPool& pool, const std::string& sql) {
  const auto table = pool.execute_query(sql);
  if (!table.ok()) return table.status().ToString();
  return (*(*table)->column(0)->GetScalar(0))->ToString();
}

TEST(Fork, on_postgresql_the_servers_sessions_of_the_parent_live_on) {
  const char* url = std::getenv("CENOTE_TEST_POSTGRESQL");
  if (url == nullptr) {
    if (std::getenv("CENOTE_TEST_REQUIRE_SERVERS") != nullptr) FAIL() << "no server";
    GTEST_SKIP() << "CENOTE_TEST_POSTGRESQL is not set";
  }
  PoolConfig config;
  config.id = "forked";
  config.type = "postgresql";
  const auto named = [url](const std::string& name) {
    const std::string uri = url;
    return uri + (uri.find('?') == std::string::npos ? "?" : "&") + "application_name=" + name;
  };
  config.config = {{"uri", named("cenote_fork")}};
  config.health.interval = Duration::zero();
  const auto pool = *LocalPool::open(config);
  config.config = {{"uri", named("cenote_fork_judge")}};
  const auto judge = *LocalPool::open(config);
  const std::string count =
      "select count(*)::text from pg_stat_activity where application_name = 'cenote_fork'";

  auto transaction = *pool->begin();
  ASSERT_TRUE(transaction.execute("create temporary table mine(n int) on commit drop").ok());
  const std::string idle = value(*pool, "select pg_backend_pid()::text");
  ASSERT_EQ(value(*judge, count), "2");

  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    const std::string own = value(*pool, "select pg_backend_pid()::text");
    const bool other =
        !own.empty() && own != idle && own.find_first_not_of("0123456789") == std::string::npos;
    const bool three = value(*pool, count) == "3";
    {
      const Transaction dropped = std::move(transaction);
    }
    const bool closed = pool->drain(Deadline::in(seconds(30))).ok();
    ::_exit(other && three && closed ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_TRUE(transaction.execute("insert into mine values (1)").ok()) << "the same session";
  EXPECT_TRUE(transaction.commit().ok());
  std::string left;
  while ((left = value(*judge, count)) == "3") ::usleep(1000);  // the child's last session ends
  EXPECT_EQ(left, "2");
}

}  // namespace
}  // namespace cenote
