// The drivers that the conformance suite runs over: one row each, with where their database is and
// how their SQL differs.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/table.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cenote/driver.h"

namespace cenote {

struct DriverCase {
  std::string name;      // as the tests are called: "sqlite", "mssql_freetds"
  std::string type;      // find_driver()
  const char* variable;  // of the environment, with the server's URL; null where none is needed
  DriverConfig (*config)(const std::string& url);

  // Words of its SQL.
  std::string int64_type = "bigint";
  std::string double_type = "double precision";
  std::string text_type = "text";
  std::string binary_type = "blob";
  std::string bool_type = "boolean";
  std::string date_type = "date";
  std::string time_type = "time";
  std::string timestamp_type = "timestamp";
  std::string decimal_type = "decimal(20, 4)";
  // One row, one column of numbers from 1 to n; `%` stands for n.
  std::string series =
      "with recursive series(i) as (select 1 union all select i + 1 from series where i < %) "
      "select i from series";
  // A statement that runs for minutes if nobody stops it.
  std::string endless =
      "with recursive series(i) as (select 1 union all select i + 1 from series where i < "
      "100000000000) select count(*) from series";
  int64_t long_series = 1'000'000;  // more rows than any buffer on the way holds
  // What happens where databases differ.
  std::optional<ErrorKind> division_by_zero = ErrorKind::kData;  // none: it gives null
  bool refuses_several_statements = true;
  bool has_constraints = true;  // keys, NOT NULL and foreign keys are enforced
  bool error_aborts_transaction =
      true;  // only a rollback helps then, to a savepoint if there is one
  bool has_read_only_transactions = true;
  bool ddl_in_transaction = true;
  bool has_savepoint_release = true;
  // Tests that a library beneath us fails by itself, with the reason.
  std::map<std::string_view, std::string_view> excused = {};
};

// The keys of mssql://user:password@host:port/database, for the ODBC driver `driver`.
inline DriverConfig mssql_config(const std::string& url, const char* driver) {
  const auto decoded = [](std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '%') {
        out += text[i];
        continue;
      }
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    }
    return out;
  };
  std::string_view rest = std::string_view(url).substr(url.find("//") + 2);
  const size_t at = rest.find('@');
  const size_t slash = rest.find('/');
  const std::string_view login = rest.substr(0, at);
  const std::string_view server = rest.substr(at + 1, slash - at - 1);
  return {{"username", decoded(login.substr(0, login.find(':')))},
          {"password", decoded(login.substr(login.find(':') + 1))},
          {"host", std::string(server.substr(0, server.find(':')))},
          {"port", std::string(server.substr(server.find(':') + 1))},
          {"database", std::string(rest.substr(slash + 1))},
          {"encrypt", "no"},
          {"driver", driver}};
}

inline DriverCase mssql_case(const char* name, DriverConfig (*config)(const std::string& url)) {
  DriverCase row;
  row.name = name;
  row.type = "mssql";
  row.variable = "CENOTE_TEST_MSSQL";
  row.config = config;
  row.double_type = "float";
  row.text_type = "nvarchar(max)";
  row.binary_type = "varbinary(max)";
  row.series = "select value as i from generate_series(1, %)";
  row.endless = "select count_big(*) from generate_series(1, 100000000000)";
  row.bool_type = "bit";
  row.time_type = "time(6)";
  row.timestamp_type = "datetime2(6)";
  row.division_by_zero = std::nullopt;  // an error of SQL Server's, but not of the tests' server
  row.refuses_several_statements = false;
  row.error_aborts_transaction = false;
  row.has_read_only_transactions = false;
  row.has_savepoint_release = false;
  return row;
}

// One for the process, gone at its end.
inline const std::string& temporary_file() {
  static const struct File {
    const std::string path =
        testing::TempDir() + "cenote_driver_" + std::to_string(::getpid()) + ".db";
    ~File() { std::remove(path.c_str()); }
  } file;
  return file.path;
}

inline std::vector<DriverCase> driver_cases() {
  std::vector<DriverCase> cases;
  {
    DriverCase row;
    row.name = "sqlite";
    row.type = "sqlite";
    row.variable = nullptr;
    row.config = [](const std::string&) -> DriverConfig { return {{"database", ":memory:"}}; };
    row.division_by_zero = std::nullopt;
    row.error_aborts_transaction = false;
    row.decimal_type = "text";  // it has no decimals
    cases.push_back(row);
  }
  {
    DriverCase row;
    row.name = "postgresql";
    row.type = "postgresql";
    row.variable = "CENOTE_TEST_POSTGRESQL";
    row.config = [](const std::string& url) -> DriverConfig { return {{"uri", url}}; };
    row.binary_type = "bytea";
    cases.push_back(row);
  }
  cases.push_back(mssql_case(
      "mssql_microsoft", [](const std::string& url) { return mssql_config(url, "microsoft"); }));
  cases.push_back(mssql_case("mssql_freetds",
                             [](const std::string& url) { return mssql_config(url, "freetds"); }));
  {
    // Any ODBC driver: here the one of SQLite, whose connections share a file.
    DriverCase row;
    row.name = "odbc_sqlite";
    row.type = "odbc";
    row.variable = nullptr;
    row.config = [](const std::string&) -> DriverConfig {
      return {{"driver", "SQLite3"}, {"database", temporary_file()}, {"bound_limit", "0"}};
    };
    row.division_by_zero = std::nullopt;
    row.error_aborts_transaction = false;
    row.decimal_type = "text";
    row.has_read_only_transactions = false;
    constexpr std::string_view kVague = "SQLite's ODBC driver has one SQLSTATE for all errors";
    constexpr std::string_view kValues = "SQLite's ODBC driver rounds values";
    row.excused = {
        {"a_wrong_statement_is_a_programming_error", kVague},
        {"several_statements_in_one_text_are_refused_before_any_runs", kVague},
        {"a_violated_key_is_an_integrity_error", kVague},
        {"a_failing_row_keeps_none", kVague},
        {"a_column_that_the_table_does_not_have_is_told", kVague},
        {"every_type_goes_in_and_comes_back", kValues},
        {"decimals_keep_their_digits", kValues},
        {"moments_and_truths", "SQLite's ODBC driver has no truth values"},
        {"a_trailing_semicolon_and_a_comment_are_fine",
         "SQLite's ODBC driver takes a comment for a second statement"},
        {"names_of_any_characters_come_as_they_are",
         "SQLite's ODBC driver cuts the characters of names"},
    };
    cases.push_back(row);
  }
  return cases;
}

// One open connection to the row's database, and the calls of the suite in short.
class DriverTest : public testing::TestWithParam<DriverCase> {
 protected:
  void SetUp() override {
    const std::string_view test = testing::UnitTest::GetInstance()->current_test_info()->name();
    const auto excuse = GetParam().excused.find(test.substr(0, test.find('/')));
    if (excuse != GetParam().excused.end()) GTEST_SKIP() << excuse->second;
    std::string url;
    if (GetParam().variable != nullptr) {
      const char* found = std::getenv(GetParam().variable);
      if (found == nullptr) {
        const char* required = std::getenv("CENOTE_TEST_REQUIRE_SERVERS");
        if (required != nullptr && std::string_view(required) == "1") {
          FAIL() << GetParam().variable << " is not set: run the tests with tools/servers.py";
        }
        GTEST_SKIP() << GetParam().variable << " is not set";
      }
      url = found;
    }
    const Result<const Driver*> driver = find_driver(GetParam().type);
    ASSERT_TRUE(driver.ok()) << driver.status();
    Result<std::shared_ptr<Database>> database = (*driver)->open(GetParam().config(url));
    ASSERT_TRUE(database.ok()) << database.status();
    database_ = *database;
    connection_ = connect();
    ASSERT_NE(connection_, nullptr);
  }

  std::unique_ptr<Connection> connect() {
    Result<std::unique_ptr<Connection>> connection =
        database_->connect({Deadline::in(std::chrono::seconds(20)), {}}, {});
    EXPECT_TRUE(connection.ok()) << connection.status();
    return connection.ok() ? std::move(*connection) : nullptr;
  }

  static CallContext context() { return {Deadline::in(std::chrono::seconds(30)), {}}; }

  Result<std::shared_ptr<arrow::Table>> table(std::string_view sql, const Params& params = {},
                                              BatchLimits limits = {}) {
    ARROW_ASSIGN_OR_RAISE(auto reader, connection_->query(context(), sql, params, limits));
    return reader->ToTable();
  }
  // The one value of a result, as text; "null" for null, or what went wrong.
  std::string value(std::string_view sql, const Params& params = {}) {
    const Result<std::shared_ptr<arrow::Table>> got = table(sql, params);
    if (!got.ok()) return got.status().ToString();
    if ((*got)->num_columns() != 1 || (*got)->num_rows() != 1) return (*got)->ToString();
    return (*(*got)->column(0)->GetScalar(0))->ToString();
  }
  Result<int64_t> execute(std::string_view sql, const Params& params = {}) {
    return connection_->execute(context(), sql, params);
  }
  // A table of the test's own, gone before and after.
  void make_table(const std::string& name, const std::string& columns) {
    drop_table(name);
    const Result<int64_t> made = execute("create table " + name + " (" + columns + ")");
    ASSERT_TRUE(made.ok()) << made.status();
  }
  void drop_table(const std::string& name) {
    const Result<int64_t> dropped = execute("drop table if exists " + name);
    ASSERT_TRUE(dropped.ok()) << dropped.status();
  }
  static std::string series(int64_t n) {
    std::string sql = GetParam().series;
    return sql.replace(sql.find('%'), 1, std::to_string(n));
  }

  std::shared_ptr<Database> database_;
  std::unique_ptr<Connection> connection_;
};

inline void PrintTo(const DriverCase& row, std::ostream* out) {
  *out << row.name;
}

inline std::string case_name(const testing::TestParamInfo<DriverCase>& info) {
  return info.param.name;
}

#define CENOTE_ALL_DRIVERS(suite)                                                         \
  INSTANTIATE_TEST_SUITE_P(Drivers, suite, testing::ValuesIn(driver_cases()), case_name); \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(suite)

}  // namespace cenote
