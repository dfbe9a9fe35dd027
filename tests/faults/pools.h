// Pools over a real SQLite file and a real PostgreSQL server, with the judge of each: who else sees
// which sessions are open.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "cenote/pool.h"

#include "faults/postgres_server.h"

namespace cenote {

// A free port of loopback.
int free_port();
// The server of this program, started when it is first asked for; null (and the test skipped or
// failed) where PostgreSQL is not installed.
PostgresServer* shared_server();

// What every test here may ask of a failed call: that it names the pool, and no secret.
inline void expect_clear(const Status& status, ErrorKind kind, std::string_view pool) {
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(error_kind(status), kind) << status;
  EXPECT_NE(status.message().find(pool), std::string::npos) << status;
  EXPECT_EQ(status.ToString().find(PostgresServer::kPassword), std::string::npos) << status;
  const ErrorDetail* detail = error_detail(status);
  ASSERT_NE(detail, nullptr) << status;
  EXPECT_EQ(detail->pool, pool);
  EXPECT_FALSE(detail->endpoint.empty()) << status;
}

// The one value of a query's answer as text, or the error.
inline std::string value(LocalPool& pool, std::string_view sql, const Params& params = {},
                         const QueryOptions& options = {}) {
  const auto table = pool.execute_query(sql, params, options);
  if (!table.ok()) return table.status().ToString();
  if ((*table)->num_columns() != 1 || (*table)->num_rows() != 1) return (*table)->ToString();
  return (*(*table)->column(0)->GetScalar(0))->ToString();
}

inline QueryOptions within(Duration timeout) {
  QueryOptions options;
  options.timeout = timeout;
  return options;
}

inline std::shared_ptr<LocalPool> open_pool(PoolConfig config) {
  config.health.interval = Duration::zero();  // its connection would count among the sessions
  auto pool = LocalPool::open(std::move(config));
  EXPECT_TRUE(pool.ok()) << pool.status();
  return *pool;
}

// A pool of PostgreSQL; its id is also the name that the server lists its sessions by.
inline PoolConfig postgresql_config(std::string id, int port) {
  PoolConfig config;
  config.config = {
      {"host", "127.0.0.1"},  {"port", std::to_string(port)},          {"database", "postgres"},
      {"username", "cenote"}, {"password", PostgresServer::kPassword}, {"application_name", id}};
  config.id = std::move(id);
  config.type = "postgresql";
  config.pool.max_connections = 3;
  return config;
}

class PostgresqlFault : public testing::Test {
 protected:
  void SetUp() override {
    server_ = shared_server();
    if (server_ != nullptr) return;
    if (std::getenv("CENOTE_TEST_REQUIRE_SERVERS") != nullptr) FAIL() << "no PostgreSQL";
    GTEST_SKIP() << "PostgreSQL is not installed: apt-get install postgresql-15";
  }
  PoolConfig config() const { return postgresql_config(name(), server_->port()); }
  // Of the pool: that of the test, as far as PostgreSQL keeps an application's name.
  static std::string name() {
    return std::string(testing::UnitTest::GetInstance()->current_test_info()->name()).substr(0, 63);
  }
  // Runs queries until one is answered: a server that was killed takes a moment to recover.
  static void expect_recovers(LocalPool& pool) {
    const Deadline until = Deadline::in(std::chrono::seconds(60));
    std::string answer;
    do {
      answer = value(pool, "select 1");
    } while (answer != "1" && !until.passed());
    EXPECT_EQ(answer, "1");
  }

  PostgresServer* server_ = nullptr;
};

// A folder for an SQLite file; the open files of this process are the judge of its sessions.
class SqliteFault : public testing::Test {
 protected:
  SqliteFault() {
    std::string made = (fs::temp_directory_path() / "cenote-fault-XXXXXX").string();
    folder_ = ::mkdtemp(made.data());
    ::chmod(folder_.c_str(), 0777);
  }
  ~SqliteFault() override { fs::remove_all(folder_); }

  PoolConfig config(std::string database = "") const {
    PoolConfig config;
    config.id = "shop";
    config.type = "sqlite";
    config.config["database"] = database.empty() ? (folder_ / "shop.db").string() : database;
    return config;
  }
  // How often this process has the file open.
  static int sessions(const fs::path& file) {
    int count = 0;
    for (const auto& each : fs::directory_iterator("/proc/self/fd")) {
      std::error_code error;
      const fs::path target = fs::read_symlink(each.path(), error);
      if (!error && (target == file || target == file.string() + " (deleted)")) ++count;
    }
    return count;
  }

  fs::path folder_;
};

}  // namespace cenote
