// What is SQLite's own: one Arrow type per column, lanes, the file, busy writers.
#include <fstream>
#include <string>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "driver/sqlite_fixture.h"

namespace cenote {
namespace {

TEST_F(Sqlite, a_column_has_the_declared_type_even_without_values) {
  const auto database = open({{"database", ":memory:"}});
  const auto connection = connect(*database);
  run(*connection,
      "create table t (a integer, b real, c varchar(9), d blob, e boolean, f date, g datetime, "
      "h decimal(9, 2), i time, j bigint, k)");
  const auto got = table(*connection, "select * from t");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->schema()->ToString(),
            "a: int64\nb: double\nc: string\nd: binary\ne: bool\nf: date32[day]\n"
            "g: timestamp[us]\nh: double\ni: time64[us]\nj: int64\nk: string");
}

TEST_F(Sqlite, values_of_the_declared_type_come_out_typed) {
  const auto database = open({{"database", ":memory:"}});
  const auto connection = connect(*database);
  run(*connection, "create table t (e boolean, f date, g timestamp, h decimal(9,2), i time)");
  run(*connection,
      "insert into t values (1, '2024-02-29', '2025-01-02 03:04:05.25', 12, '23:59:59'), "
      "(null, null, null, null, null)");
  EXPECT_EQ(column(*connection, "select e from t"), "bool: true, null");
  EXPECT_EQ(column(*connection, "select f from t"), "date32[day]: 2024-02-29, null");
  EXPECT_EQ(column(*connection, "select g from t"),
            "timestamp[us]: 2025-01-02 03:04:05.250000, null");
  EXPECT_EQ(column(*connection, "select h from t"), "double: 12, null");
  EXPECT_EQ(column(*connection, "select i from t"), "time64[us]: 23:59:59.000000, null");
}

TEST_F(Sqlite, rows_of_many_batches_keep_their_values_and_nulls) {
  const auto database = open({{"database", ":memory:"}});
  const auto connection = connect(*database);
  run(*connection,
      "create table t (i integer, x real, s text, b boolean, d date, late, void text)");
  run(*connection,
      "with recursive n(i) as (select 0 union all select i + 1 from n where i < 149999) insert "
      "into "
      "t select i, nullif(i, i / 7 * 7) * 0.5, case when i % 5 > 0 then 'row ' || i end, "
      "case when i % 3 > 0 then i % 2 end, case when i % 11 > 0 then date(i % 9999 * 86400, "
      "'unixepoch') end, case when i > 70000 then i end, null from n");
  for (const int64_t rows : {1000, 65'536}) {
    const auto got = table(*connection, "select * from t", {.rows = rows, .whole = true});
    ASSERT_TRUE(got.ok()) << got.status();
    ASSERT_TRUE((*got)->ValidateFull().ok()) << (*got)->ValidateFull();
    ASSERT_EQ((*got)->num_rows(), 150'000);
    int wrong = 0;
    const auto expect = [&](int column, int64_t row, bool null, const std::string& text) {
      const auto cell = *(*got)->column(column)->GetScalar(row);
      if (cell->is_valid == null || (!null && cell->ToString() != text)) ++wrong;
    };
    for (int64_t i = 0; i < 150'000; i += 13) {
      expect(0, i, false, std::to_string(i));
      expect(1, i, i % 7 == 0, arrow::DoubleScalar(static_cast<double>(i) * 0.5).ToString());
      expect(2, i, i % 5 == 0, "row " + std::to_string(i));
      expect(3, i, i % 3 == 0, i % 2 == 1 ? "true" : "false");
      expect(4, i, i % 11 == 0, arrow::Date32Scalar(static_cast<int>(i % 9999)).ToString());
      expect(5, i, i <= 70'000, std::to_string(i));
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ((*got)->column(6)->null_count(), 150'000);
  }
}

TEST_F(Sqlite, a_mixed_column_widens_and_loses_nothing) {
  const auto database = open({{"database", ":memory:"}});
  const auto connection = connect(*database);
  EXPECT_EQ(column(*connection, "select 1 union all select 2.5"), "double: 1, 2.5");
  EXPECT_EQ(column(*connection, "select 9007199254740993 union all select 0.1"),
            "string: 9007199254740993, 0.1");
  EXPECT_EQ(column(*connection, "select 1 union all select 'one'"), "string: 1, one");
  EXPECT_EQ(column(*connection, "select null union all select 7"), "int64: null, 7");
  EXPECT_EQ(column(*connection, "select 'a' union all select x'ff00'"),
            std::string("binary: a, \xFF\0", 13));
  run(*connection, "create table t (d date, b boolean, n integer)");
  run(*connection, "insert into t values ('2025-01-01', 1, 1), ('someday', 2, 'two')");
  EXPECT_EQ(column(*connection, "select d from t"), "string: 2025-01-01, someday");
  EXPECT_EQ(column(*connection, "select b from t"), "int64: 1, 2");
  EXPECT_EQ(column(*connection, "select n from t"), "string: 1, two");
}

TEST_F(Sqlite, a_stream_refuses_a_later_contradiction_and_a_whole_result_widens) {
  const auto database = open({{"database", ":memory:"}});
  const auto connection = connect(*database);
  run(*connection, "create table t (n integer)");
  run(*connection, "insert into t values (1), (2), (3), ('four')");
  const auto streamed = table(*connection, "select n from t", {.rows = 2});
  EXPECT_EQ(error_kind(streamed.status()), ErrorKind::kData);
  EXPECT_NE(streamed.status().message().find("column 'n'"), std::string::npos);
  EXPECT_NE(streamed.status().message().find("row 4"), std::string::npos);
  EXPECT_EQ(column(*connection, "select n from t", {.rows = 2, .whole = true}),
            "string: 1, 2, 3, four");
  EXPECT_EQ(column(*connection, "select null as x union all select null union all select 3",
                   {.rows = 1, .whole = true}),
            "int64: null, null, 3");
}

TEST_F(Sqlite, returning_rows_that_widen_are_written_once) {
  const auto database = open({{"database", ":memory:"}});
  const auto connection = connect(*database);
  run(*connection, "create table t (n)");
  EXPECT_EQ(column(*connection, "insert into t values (1), ('two') returning n"), "string: 1, two");
  EXPECT_EQ(column(*connection, "select count(*) from t"), "int64: 2");
  EXPECT_EQ(column(*connection, "insert into t values (3), (4), ('five') returning n", {.rows = 1}),
            "string: 3, 4, five");
  EXPECT_EQ(column(*connection, "select count(*) from t"), "int64: 5");
}

TEST_F(Sqlite, text_that_is_no_utf8_comes_as_bytes) {
  const auto database = open({{"database", ":memory:"}});
  const auto connection = connect(*database);
  EXPECT_EQ(column(*connection, "select cast(x'61ff' as text)"), "binary: a\xFF");
  EXPECT_EQ(column(*connection, "select length(cast(cast(x'610062' as text) as blob))"),
            "int64: 3");
  const auto nul = table(*connection, "select cast(x'610062' as text)");
  EXPECT_EQ((*(*nul)->column(0)->GetScalar(0))->ToString(), std::string("a\0b", 3));
}

TEST_F(Sqlite, statements_are_told_into_lanes_by_their_words) {
  const auto database = open({{"database", ":memory:"}});
  for (const char* sql : {"select 1", " -- x\n SELECT 1", "values (1)", "explain delete from t",
                          "with a as (select 1) select * from a", "(select 1)"}) {
    EXPECT_EQ(database->access(sql), Access::kReadOnly) << sql;
  }
  for (const char* sql :
       {"insert into t values (1)", "with a as (select 1) insert into t select * from a",
        "pragma user_version", "vacuum", "begin", "", "create table select_ (a)"}) {
    EXPECT_EQ(database->access(sql), Access::kReadWrite) << sql;
  }
}

TEST_F(Sqlite, a_reader_reads_while_one_writes_and_cannot_write) {
  const auto database = open({{"database", file_}});
  const auto writer = connect(*database);
  const auto reader = connect(*database, Access::kReadOnly);
  run(*writer, "create table t (a integer)");
  ASSERT_TRUE(writer->begin({}, {}).ok());
  run(*writer, "insert into t values (1)");
  EXPECT_EQ(column(*reader, "select count(*) from t"), "int64: 0");
  ASSERT_TRUE(writer->commit({}).ok());
  EXPECT_EQ(column(*reader, "select count(*) from t"), "int64: 1");
  const Result<int64_t> wrong = reader->execute({}, "delete from t", {});
  EXPECT_EQ(error_kind(wrong.status()), ErrorKind::kOperational);
  EXPECT_FALSE(counts_against_target(wrong.status()));
}

TEST_F(Sqlite, a_busy_writer_is_awaited_until_the_deadline) {
  const auto database = open({{"database", file_}});
  const auto first = connect(*database);
  const auto second = connect(*database);
  run(*first, "create table t (a integer)");
  ASSERT_TRUE(first->begin({}, {}).ok());
  const Result<int64_t> late = second->execute({Deadline::in(std::chrono::milliseconds(30)), {}},
                                               "insert into t values (1)", {});
  EXPECT_EQ(error_kind(late.status()), ErrorKind::kQueryTimeout);
  ASSERT_TRUE(first->rollback({}).ok());
  run(*second, "insert into t values (1)");
}

TEST_F(Sqlite, a_busy_timeout_says_what_to_do_and_may_be_retried) {
  const auto database = open({{"database", file_}, {"busy_timeout", "20ms"}});
  const auto first = connect(*database);
  const auto second = connect(*database);
  run(*first, "create table t (a integer)");
  ASSERT_TRUE(first->begin({}, {}).ok());
  const Result<int64_t> busy = second->execute({}, "insert into t values (1)", {});
  EXPECT_EQ(error_kind(busy.status()), ErrorKind::kOperational);
  EXPECT_TRUE(retryable(busy.status())) << busy.status();
}

TEST_F(Sqlite, a_full_file_fails_the_statement_and_the_session_goes_on) {
  const auto database = open({{"database", file_}, {"max_page_count", "20"}});
  const auto connection = connect(*database);
  run(*connection, "create table t (a blob)");
  const Result<int64_t> full =
      connection->execute({}, "insert into t values (zeroblob(1000000))", {});
  EXPECT_EQ(error_kind(full.status()), ErrorKind::kOperational);
  EXPECT_EQ(error_detail(full.status())->vendor_code, 13);  // SQLITE_FULL
  EXPECT_TRUE(connection->usable());
  run(*connection, "insert into t values (zeroblob(10))");
}

TEST_F(Sqlite, a_read_only_file_is_read_and_not_written) {
  {
    const auto database = open({{"database", file_}});
    const auto connection = connect(*database);
    run(*connection, "create table t (a integer)");
    run(*connection, "insert into t values (5)");
  }
  const auto database = open({{"database", file_}, {"read_only", "true"}});
  const auto connection = connect(*database);
  EXPECT_EQ(column(*connection, "select a from t"), "int64: 5");
  const Result<int64_t> refused = connection->execute({}, "delete from t", {});
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("read_only"), std::string::npos) << refused.status();
  EXPECT_TRUE((*connection->probe({})).read_only);
}

TEST_F(Sqlite, what_is_no_database_is_refused_when_it_is_opened) {
  std::ofstream(file_) << std::string(5000, 'x');
  const auto database = open({{"database", file_}});
  const auto refused = database->connect({}, {});
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kConnection);
  const auto nowhere = open({{"database", folder_ / "no" / "such.db"}});
  EXPECT_EQ(error_kind(nowhere->connect({}, {}).status()), ErrorKind::kConnection);
}

TEST_F(Sqlite, memory_is_shared_within_a_database_and_not_between_two) {
  const auto one = open({{"database", ":memory:"}});
  const auto other = open({{"database", ":memory:"}});
  const auto a = connect(*one);
  run(*a, "create table t (n integer)");
  EXPECT_EQ(column(*connect(*one), "select count(*) from t"), "int64: 0");
  EXPECT_FALSE(table(*connect(*other), "select * from t").ok());
  EXPECT_EQ(one->default_readers(), 0);
}

TEST_F(Sqlite, a_reset_takes_back_pragmas_and_temporary_tables) {
  const auto database = open({{"database", file_}});
  const auto connection = connect(*database);
  run(*connection, "pragma foreign_keys = off");
  run(*connection, "create temp table scratch (a)");
  EXPECT_TRUE(connection->dirty());
  ASSERT_TRUE(connection->reset({}).ok());
  EXPECT_FALSE(connection->dirty());
  EXPECT_EQ(column(*connection, "pragma foreign_keys"), "int64: 1");
  EXPECT_FALSE(table(*connection, "select * from scratch").ok());
  EXPECT_EQ(column(*connection, "pragma journal_mode"), "string: wal");
}

TEST_F(Sqlite, a_wrong_configuration_is_refused_with_its_key) {
  const Driver& driver = **find_driver("sqlite");
  for (const DriverConfig& config :
       {DriverConfig{}, DriverConfig{{"database", ""}}, DriverConfig{{"databse", "x"}},
        DriverConfig{{"database", "x"}, {"journal_mode", "wall; drop"}},
        DriverConfig{{"database", "x"}, {"busy_timeout", "soon"}},
        DriverConfig{{"database", "x"}, {"read_only", "maybe"}},
        DriverConfig{{"database", "x"}, {"cache_size", "1.5"}}}) {
    const auto refused = driver.open(config);
    EXPECT_EQ(error_kind(refused.status()), ErrorKind::kConfig);
    EXPECT_NE(refused.status().message().find("key"), std::string::npos) << refused.status();
  }
}

TEST_F(Sqlite, a_cell_of_a_hundred_megabytes_is_read_and_bound) {
  const auto database = open({{"database", ":memory:"}});
  const auto connection = connect(*database);
  const auto got = table(*connection, "select zeroblob(100000000)");
  ASSERT_TRUE(got.ok()) << got.status();
  const auto cell = *(*got)->column(0)->GetScalar(0);
  const auto length = table(*connection, "select length(?)", {}, Params::of(cell));
  EXPECT_EQ((*(*length)->column(0)->GetScalar(0))->ToString(), "100000000");
}

}  // namespace
}  // namespace cenote
