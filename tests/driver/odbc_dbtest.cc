// `type: odbc` on two drivers that are not SQL Server's special case: SQLite's (file, no network)
// and FreeTDS by a plain connection string.
#include <cstdio>
#include <memory>
#include <string>

#include <unistd.h>

#include "driver/mssql_fixture.h"

namespace cenote {
namespace {

CallContext soon() {
  return {Deadline::in(std::chrono::seconds(20)), {}};
}

Result<std::unique_ptr<Connection>> connect(const DriverConfig& config) {
  ARROW_ASSIGN_OR_RAISE(const Driver* driver, find_driver("odbc"));
  ARROW_ASSIGN_OR_RAISE(auto database, driver->open(config));
  return database->connect(soon(), {});
}

class OdbcSqlite : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "cenote_odbc_" + std::to_string(::getpid());
    auto made = connect({{"driver", "SQLite3"}, {"database", path_}, {"bound_limit", "0"}});
    ASSERT_TRUE(made.ok()) << made.status();
    connection_ = std::move(*made);
  }
  void TearDown() override {
    connection_.reset();
    std::remove(path_.c_str());
  }
  int64_t execute(std::string_view sql, const Params& params = {}) {
    const auto done = connection_->execute(soon(), sql, params);
    EXPECT_TRUE(done.ok()) << sql << ": " << done.status();
    return done.ok() ? *done : -2;
  }
  std::shared_ptr<arrow::Table> table(std::string_view sql, const Params& params = {}) {
    const auto reader = connection_->query(soon(), sql, params, {});
    EXPECT_TRUE(reader.ok()) << sql << ": " << reader.status();
    if (!reader.ok()) return nullptr;
    const auto rows = (*reader)->ToTable();
    EXPECT_TRUE(rows.ok()) << sql << ": " << rows.status();
    return rows.ok() ? *rows : nullptr;
  }
  std::string value(std::string_view sql, const Params& params = {}) {
    const auto rows = table(sql, params);
    if (!rows || rows->num_rows() != 1) return "no row";
    return (*rows->column(0)->GetScalar(0))->ToString();
  }

  std::string path_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(OdbcSqlite, declared_columns_come_as_their_types) {
  execute("create table t (a integer, b double, c varchar(20), d blob, e date, f timestamp)");
  const auto bytes =
      std::make_shared<arrow::BinaryScalar>(arrow::Buffer::FromString(std::string("\0\1\xff", 3)));
  EXPECT_EQ(execute("insert into t values (?, ?, ?, ?, '2024-02-29', '2024-02-29 12:00:00.5')",
                    Params::of(7, 2.5, "text", bytes)),
            1);
  execute("insert into t values (null, null, null, null, null, null)");
  const auto got = table("select * from t");
  ASSERT_NE(got, nullptr);
  ASSERT_EQ(got->num_rows(), 2);
  const char* types[] = {"int32", "double", "string", "binary", "date32[day]", "timestamp[us]"};
  const char* values[] = {"7", "2.5", "text", "", "2024-02-29", "2024-02-29 12:00:00.500000"};
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(got->field(i)->type()->ToString(), types[i]);
    EXPECT_TRUE((*got->column(i)->GetScalar(1))->is_valid == false) << i;
    const auto scalar = *got->column(i)->GetScalar(0);
    if (i == 3) {
      EXPECT_TRUE(scalar->Equals(*bytes));
    } else {
      EXPECT_EQ(scalar->ToString(), values[i]);
    }
  }
}

TEST_F(OdbcSqlite, a_statement_can_be_described_without_running_it) {
  execute("create table t (a integer, b double, c varchar(20))");
  for (const char* sql : {"select a, b, c as d from t where a = ? and b > ?",
                          "select a, b, c as d from t where a = $1 and b > $2",
                          "select a, b, c as d from t where a = :x and b > :y"}) {
    const auto info = connection_->describe(soon(), sql);
    ASSERT_TRUE(info.ok()) << sql << ": " << info.status();
    ASSERT_NE(info->rows, nullptr) << sql;
    EXPECT_EQ(info->rows->ToString(), "a: int32\nb: double\nd: string") << sql;
    ASSERT_EQ(info->parameters->num_fields(), 2) << sql;
    EXPECT_EQ(info->parameters->field(0)->type()->id(), arrow::Type::NA);  // not to be known
  }
  const auto write = connection_->describe(soon(), "insert into t (a) values (1)");
  ASSERT_TRUE(write.ok()) << write.status();
  EXPECT_EQ(write->rows, nullptr);
  EXPECT_EQ(write->parameters->num_fields(), 0);
  EXPECT_EQ(value("select count(*) from t"), "0");
}

TEST_F(OdbcSqlite, transactions_are_the_drivers_own) {
  execute("create table t (a integer)");
  ASSERT_TRUE(connection_->begin(soon(), {}).ok());
  execute("insert into t values (1)");
  ASSERT_TRUE(connection_->savepoint(soon(), "here").ok());
  execute("insert into t values (2)");
  ASSERT_TRUE(connection_->rollback_to_savepoint(soon(), "here").ok());
  ASSERT_TRUE(connection_->release_savepoint(soon(), "here").ok());
  ASSERT_TRUE(connection_->commit(soon()).ok());
  EXPECT_EQ(value("select count(*) from t"), "1");
  ASSERT_TRUE(connection_->begin(soon(), {}).ok());
  execute("delete from t");
  EXPECT_TRUE(connection_->dirty());
  ASSERT_TRUE(connection_->reset(soon()).ok());
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_EQ(value("select count(*) from t"), "1");
}

TEST_F(OdbcSqlite, a_changed_session_is_dirty_and_cannot_be_reset) {
  execute("pragma cache_size = 100");
  EXPECT_TRUE(connection_->dirty());
  EXPECT_FALSE(connection_->reset(soon()).ok());
}

TEST_F(OdbcSqlite, rows_are_ingested_as_a_whole) {
  arrow::Int64Builder ids;
  arrow::StringBuilder names;
  for (int64_t i = 0; i < 2500; ++i) {
    ASSERT_TRUE(ids.Append(i).ok());
    ASSERT_TRUE((i % 5 == 0 ? names.AppendNull() : names.Append("n" + std::to_string(i))).ok());
  }
  const auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8())}),
      2500, {*ids.Finish(), *names.Finish()});
  auto rows = *arrow::RecordBatchReader::Make({batch, batch});
  const auto done = connection_->ingest(soon(), {"bulk", IngestMode::kCreate}, *rows);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(*done, 5000);
  EXPECT_EQ(value("select count(*) from bulk where name is null"), "1000");
  EXPECT_EQ(value("select max(name) from bulk where id = 7"), "n7");
  execute("create unique index one on bulk (id, name) where id = -1");
  execute("create table keys (id integer primary key, name varchar(10))");
  rows = *arrow::RecordBatchReader::Make({batch, batch});
  EXPECT_FALSE(connection_->ingest(soon(), {"keys"}, *rows).ok());
  EXPECT_EQ(value("select count(*) from keys"), "0");
}

TEST_F(OdbcSqlite, many_rows_come_in_batches_within_the_limits) {
  auto reader = connection_->query(
      soon(),
      "with recursive s(i) as (select 1 union all select i + 1 from s where i < 100001) "
      "select i from s",
      {}, {.rows = 1000});
  ASSERT_TRUE(reader.ok()) << reader.status();
  int64_t rows = 0;
  for (std::shared_ptr<arrow::RecordBatch> batch;;) {
    ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
    if (!batch) break;
    EXPECT_LE(batch->num_rows(), 1000);
    rows += batch->num_rows();
  }
  EXPECT_EQ(rows, 100'001);
}

TEST_F(OdbcSqlite, a_deadline_stops_a_statement) {
  const CallContext late{Deadline::in(std::chrono::milliseconds(50)), {}};
  const auto stopped = connection_->execute(
      late,
      "with recursive s(i) as (select 1 union all select i + 1 from s where i < 100000000000) "
      "select count(*) from s",
      {});
  EXPECT_EQ(error_kind(stopped.status()), ErrorKind::kQueryTimeout) << stopped.status();
  EXPECT_EQ(value("select 1"), "1");
}

TEST_F(OdbcSqlite, a_declared_length_that_is_a_lie_is_an_error_or_read_piecewise) {
  execute("create table t (a varchar(5))");
  execute("insert into t values (?)", Params::of(std::string(5000, 'x')));
  EXPECT_EQ(value("select a from t").size(), 5000U);
  auto trusting = connect({{"driver", "SQLite3"}, {"database", path_}});
  ASSERT_TRUE(trusting.ok()) << trusting.status();
  auto reader = (*trusting)->query(soon(), "select a from t", {}, {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto rows = (*reader)->ToTable();
  EXPECT_EQ(error_kind(rows.status()), ErrorKind::kData) << rows.status();
  EXPECT_NE(rows.status().message().find("bound_limit"), std::string::npos) << rows.status();
}

TEST(Odbc, what_is_not_there_is_a_configuration_error) {
  EXPECT_EQ(error_kind(connect({}).status()), ErrorKind::kConfig);
  EXPECT_EQ(error_kind(connect({{"driver", "No Such Driver"}}).status()), ErrorKind::kConfig);
  EXPECT_EQ(error_kind(connect({{"dsn", "cenote_no_such_dsn"}}).status()), ErrorKind::kConfig);
  EXPECT_EQ(error_kind(connect({{"driver", "SQLite3"}, {"port", "x"}}).status()),
            ErrorKind::kConfig);
  const auto unknown = connect({{"drivr", "SQLite3"}});
  EXPECT_EQ(error_kind(unknown.status()), ErrorKind::kConfig);
  EXPECT_NE(unknown.status().message().find("drivr"), std::string::npos);
}

TEST(Odbc, a_closed_port_is_refused_before_the_driver_is_asked) {
  const auto refused = connect({{"driver", "FreeTDS"}, {"host", "127.0.0.1"}, {"port", "1"}});
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kConnection) << refused.status();
}

TEST(Odbc, a_connection_string_reaches_the_driver_as_it_is) {
  const char* url = std::getenv("CENOTE_TEST_MSSQL");
  if (url == nullptr) GTEST_SKIP() << "CENOTE_TEST_MSSQL is not set";
  DriverConfig keys = mssql_config(url, "freetds");
  auto made = connect({{"connection_string", "Driver=FreeTDS;TDS_Version=7.4;ClientCharset=UTF-8"},
                       {"host", keys["host"]},
                       {"port", keys["port"]},
                       {"username", "admit_me"},
                       {"password", "secret"}});
  ASSERT_TRUE(made.ok()) << made.status();
  auto reader = (*made)->query(soon(), "select ? as a, cast(2.5 as float) as b",
                               Params::of("\U0001f600"), {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto rows = (*reader)->ToTable();
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ((*(*rows)->column(0)->GetScalar(0))->ToString(), "\U0001f600");
  EXPECT_EQ((*(*rows)->column(1)->GetScalar(0))->ToString(), "2.5");
  // The driver's own transactions.
  ASSERT_TRUE((*made)->begin(soon(), {}).ok());
  EXPECT_TRUE((*made)->in_transaction());
  ASSERT_TRUE((*made)->rollback(soon()).ok());
  const Status alive = (*made)->validate(soon());
  EXPECT_TRUE(alive.ok()) << alive;
}

}  // namespace
}  // namespace cenote
