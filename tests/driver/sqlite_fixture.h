// A folder with an SQLite file, and the driver's calls in short.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/api.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cenote/driver.h"

namespace cenote {

namespace fs = std::filesystem;

class Sqlite : public testing::Test {
 protected:
  Sqlite() {
    folder_ =
        fs::temp_directory_path() / ("cenote-sqlite-" + std::to_string(getpid()) + "-" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    file_ = folder_ / "test.db";
  }
  ~Sqlite() override { fs::remove_all(folder_); }

  static std::shared_ptr<Database> open(DriverConfig config) {
    auto database = (*find_driver("sqlite"))->open(config);
    EXPECT_TRUE(database.ok()) << database.status();
    return *database;
  }
  static std::unique_ptr<Connection> connect(Database& database,
                                             Access access = Access::kReadWrite) {
    auto connection = database.connect({}, {access, {}});
    EXPECT_TRUE(connection.ok()) << connection.status();
    return std::move(*connection);
  }
  static Result<std::shared_ptr<arrow::Table>> table(Connection& connection, std::string_view sql,
                                                     BatchLimits limits = {},
                                                     const Params& params = {}) {
    ARROW_ASSIGN_OR_RAISE(auto reader, connection.query({}, sql, params, limits));
    return reader->ToTable();
  }
  // "int64: 1, null, 3", or the error.
  static std::string column(Connection& connection, std::string_view sql, BatchLimits limits = {}) {
    const auto got = table(connection, sql, limits);
    if (!got.ok()) return got.status().ToString();
    std::string text = (*got)->field(0)->type()->ToString() + ":";
    for (int64_t i = 0; i < (*got)->num_rows(); ++i) {
      text += (i == 0 ? " " : ", ") + (*(*got)->column(0)->GetScalar(i))->ToString();
    }
    return text;
  }
  static void run(Connection& connection, std::string_view sql) {
    const Result<int64_t> done = connection.execute({}, sql, {});
    ASSERT_TRUE(done.ok()) << sql << ": " << done.status();
  }

  fs::path folder_;
  fs::path file_;
};

}  // namespace cenote
