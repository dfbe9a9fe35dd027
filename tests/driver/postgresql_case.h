// What the tests of the PostgreSQL driver share: a connection to the real server, in short words.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "driver/registry.h"

namespace cenote {

class PostgresqlCase : public testing::Test {
 protected:
  // The variable of the environment with the server's URL.
  virtual const char* variable() const { return "CENOTE_TEST_POSTGRESQL"; }

  void SetUp() override {
    const char* url = std::getenv(variable());
    if (url == nullptr) {
      if (std::getenv("CENOTE_TEST_REQUIRE_SERVERS") != nullptr) {
        FAIL() << variable() << " is not set: run the tests with tools/servers.py";
      }
      GTEST_SKIP() << variable() << " is not set";
    }
    config_["uri"] = url;
    conn_ = connect();
    ASSERT_NE(conn_, nullptr);
  }

  static CallContext context() { return {Deadline::in(std::chrono::seconds(60)), {}}; }

  std::unique_ptr<Connection> connect() {
    auto database = postgresql_driver().open(config_);
    EXPECT_TRUE(database.ok()) << database.status();
    if (!database.ok()) return nullptr;
    database_ = *database;
    auto connection = database_->connect(context(), {});
    EXPECT_TRUE(connection.ok()) << connection.status();
    return connection.ok() ? std::move(*connection) : nullptr;
  }

  Result<std::shared_ptr<arrow::Table>> table(const std::string& sql, const Params& params = {},
                                              bool whole = true) {
    BatchLimits limits;
    limits.whole = whole;
    ARROW_ASSIGN_OR_RAISE(auto reader, conn_->query(context(), sql, params, limits));
    return reader->ToTable();
  }
  // The one value of a result, as text; or what went wrong.
  std::string text(const std::string& sql, const Params& params = {}, bool whole = true) {
    const auto got = table(sql, params, whole);
    if (!got.ok()) return got.status().ToString();
    if ((*got)->num_columns() == 0 || (*got)->num_rows() == 0) return "no value";
    const Status valid = (*got)->ValidateFull();
    EXPECT_TRUE(valid.ok()) << valid;
    return (*got)->column(0)->GetScalar(0).ValueOrDie()->ToString();
  }
  // The same, once the server has noticed what its clients did.
  void expect_in_the_end(const std::string& sql, const std::string& value) {
    const Deadline patience = Deadline::in(std::chrono::seconds(60));
    std::string seen = text(sql);
    while (seen != value && !patience.passed()) seen = text(sql);
    EXPECT_EQ(seen, value) << sql;
  }
  // The type of a result's first column.
  std::string type(const std::string& sql, bool whole = true) {
    const auto got = table(sql, {}, whole);
    return got.ok() ? (*got)->field(0)->type()->ToString() : got.status().ToString();
  }
  // The database's name of the type of a result's first column.
  std::string database_type(const std::string& sql) {
    const auto got = table(sql);
    if (!got.ok()) return got.status().ToString();
    const auto& metadata = (*got)->field(0)->metadata();
    return metadata ? metadata->Get("cenote.database_type").ValueOr("") : "";
  }
  Status execute(const std::string& sql, const Params& params = {}) {
    return conn_->execute(context(), sql, params).status();
  }

  DriverConfig config_;
  std::shared_ptr<Database> database_;
  std::unique_ptr<Connection> conn_;
};

}  // namespace cenote
