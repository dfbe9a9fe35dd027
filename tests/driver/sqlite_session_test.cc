// What may happen to an SQLite session: compiled statements, moved files, other processes,
// fallbacks.
#include <future>
#include <string>
#include <thread>

#include <arrow/api.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "driver/sqlite_fixture.h"

namespace cenote {
namespace {

TEST_F(Sqlite, a_stream_keeps_the_values_that_were_bound_to_it) {
  const auto database = open({{"database", ":memory:"}});
  const auto connection = connect(*database);
  run(*connection, "create table t (i integer, s text)");
  run(*connection,
      "insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 500) "
      "select i, printf('%.*c', 200, 'x') from n");
  Result<std::shared_ptr<arrow::RecordBatchReader>> reader = nullptr;
  {
    const Params params = Params::of(std::string(200, 'x'));
    reader = connection->query({}, "select i from t where s = ?", params, {.rows = 10});
  }
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto rows = (*reader)->ToTable();
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ((*rows)->num_rows(), 500);
}

TEST_F(Sqlite, a_statement_that_runs_again_sees_changed_tables_and_values) {
  const auto database = open({{"database", file_}});
  const auto one = connect(*database);
  const auto other = connect(*database);
  run(*one, "create table t (a)");
  run(*one, "insert into t values (1)");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(column(*one, "select * from t"), "int64: 1");
  run(*other, "alter table t add column b text default 'new'");
  const auto wide = table(*one, "select * from t");
  ASSERT_TRUE(wide.ok()) << wide.status();
  EXPECT_EQ((*wide)->schema()->ToString(), "a: int64\nb: string");
  run(*other, "drop table t");
  EXPECT_EQ(error_kind(table(*one, "select * from t").status()), ErrorKind::kProgramming);
  run(*other, "create table t (c)");
  EXPECT_EQ(column(*one, "select * from t"), "string:");
  for (int i = 0; i < 100; ++i) {  // more texts than a session keeps compiled
    const std::string sql = "select ? + " + std::to_string(i);
    const auto sum = table(*one, sql, {}, Params::of(1));
    ASSERT_TRUE(sum.ok());
    EXPECT_EQ((*(*sum)->column(0)->GetScalar(0))->ToString(), std::to_string(i + 1));
  }
}

TEST_F(Sqlite, a_statement_that_failed_runs_again) {
  const auto database = open({{"database", file_}});
  const auto connection = connect(*database);
  run(*connection, "create table t (a integer primary key)");
  const char* insert = "insert into t values (?)";
  for (int i = 0; i < 3; ++i) {
    const Result<int64_t> done = connection->execute({}, insert, Params::of(i));
    ASSERT_TRUE(done.ok()) << done.status();
    EXPECT_EQ(error_kind(connection->execute({}, insert, Params::of(i)).status()),
              ErrorKind::kIntegrity);
  }
  EXPECT_EQ(column(*connection, "select count(*) from t"), "int64: 3");
}

TEST_F(Sqlite, a_pragma_takes_effect_each_time_it_runs) {
  const auto database = open({{"database", file_}});
  const auto connection = connect(*database);
  for (const char* value : {"0", "1", "0", "1"}) {
    run(*connection, std::string("pragma foreign_keys = ") + value);
    EXPECT_EQ(column(*connection, "pragma foreign_keys"), std::string("int64: ") + value);
  }
}

TEST_F(Sqlite, a_file_that_was_replaced_is_not_written_to_any_more) {
  const auto database = open({{"database", file_}});
  const auto connection = connect(*database);
  run(*connection, "create table t (a integer)");
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(file_.string() + suffix);
  const Result<int64_t> lost = connection->execute({}, "insert into t values (1)", {});
  EXPECT_EQ(error_kind(lost.status()), ErrorKind::kConnection) << lost.status();
  EXPECT_NE(lost.status().message().find("moved, replaced or deleted"), std::string::npos);
  EXPECT_TRUE(poisons_connection(lost.status()));
  EXPECT_TRUE(retryable(lost.status()));
  EXPECT_FALSE(connection->usable());
  const auto fresh = connect(*database);
  EXPECT_FALSE(fresh->execute({}, "insert into t values (1)", {}).ok());
}

TEST_F(Sqlite, a_transaction_whose_file_was_replaced_is_not_committed_into_nowhere) {
  const auto database = open({{"database", file_}});
  const auto connection = connect(*database);
  run(*connection, "create table t (a integer)");
  ASSERT_TRUE(connection->begin({}, {}).ok());
  run(*connection, "insert into t values (1)");
  fs::rename(file_, folder_ / "elsewhere.db");
  EXPECT_EQ(error_kind(connection->commit({})), ErrorKind::kConnection);
  EXPECT_FALSE(connection->usable());
}

TEST_F(Sqlite, a_missing_file_is_found_out_by_a_validation) {
  const auto database = open({{"database", file_}});
  const auto connection = connect(*database);
  ASSERT_TRUE(connection->validate({}).ok());
  fs::rename(file_, folder_ / "elsewhere.db");
  EXPECT_EQ(error_kind(connection->validate({})), ErrorKind::kConnection);
}

// Another program that holds the write lock, without cenote.
class OtherWriter {
 public:
  explicit OtherWriter(const fs::path& file) {
    EXPECT_EQ(sqlite3_open(file.c_str(), &handle_), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(handle_, "begin immediate", nullptr, nullptr, nullptr), SQLITE_OK);
  }
  ~OtherWriter() { sqlite3_close(handle_); }

 private:
  sqlite3* handle_ = nullptr;
};

TEST_F(Sqlite, a_wait_for_the_write_lock_ends_by_the_deadline_and_says_what_it_waited_for) {
  const auto database = open({{"database", file_}, {"busy_timeout", "1h"}});
  const auto connection = connect(*database);
  run(*connection, "create table t (a integer)");
  {
    const OtherWriter other(file_);
    // On a busy machine the time may be over before the wait began: then it gets more.
    constexpr const char* kWhatFor = "the lock that another connection";
    Status late;
    for (Duration time = std::chrono::milliseconds(30);
         late.message().find(kWhatFor) == std::string::npos && time < std::chrono::seconds(30);
         time *= 2) {
      late = connection->execute({Deadline::in(time), {}}, "insert into t values (1)", {}).status();
      EXPECT_EQ(error_kind(late), ErrorKind::kQueryTimeout) << late;
    }
    EXPECT_NE(late.message().find(kWhatFor), std::string::npos) << late;
    EXPECT_EQ(column(*connection, "select count(*) from t"), "int64: 0");
  }
  run(*connection, "insert into t values (1)");
}

TEST_F(Sqlite, a_cancel_ends_the_wait_for_the_write_lock) {
  const auto database = open({{"database", file_}, {"busy_timeout", "1h"}});
  const auto connection = connect(*database);
  run(*connection, "create table t (a integer)");
  const OtherWriter other(file_);
  std::stop_source source;
  auto writing = std::async(std::launch::async, [&] {
    return connection->execute({Deadline(), source.get_token()}, "insert into t values (1)", {})
        .status();
  });
  source.request_stop();
  EXPECT_EQ(error_kind(writing.get()), ErrorKind::kCancelled);
  EXPECT_TRUE(connection->usable());
}

TEST_F(Sqlite, a_writing_transaction_takes_the_lock_at_its_beginning) {
  const auto database = open({{"database", file_}, {"busy_timeout", "10ms"}});
  const auto first = connect(*database);
  const auto second = connect(*database);
  run(*first, "create table t (a integer)");
  ASSERT_TRUE(first->begin({}, {}).ok());
  // Not at its first write, where what it has read may be out of date.
  EXPECT_EQ(error_detail(second->begin({}, {}))->vendor_code, SQLITE_BUSY);
  TransactionOptions reading;
  reading.read_only = true;
  ASSERT_TRUE(second->begin({}, reading).ok());
  EXPECT_FALSE(second->execute({}, "insert into t values (1)", {}).ok());
  ASSERT_TRUE(second->commit({}).ok());
  ASSERT_TRUE(first->commit({}).ok());
  run(*second, "insert into t values (1)");
}

TEST_F(Sqlite, what_writes_in_disguise_is_refused_on_a_reader) {
  const auto database = open({{"database", file_}});
  const auto writer = connect(*database);
  run(*writer, "create table t (a integer)");
  const auto reader = connect(*database, Access::kReadOnly);
  for (const char* sql : {"insert into t values (1) returning a",
                          "with n(i) as (select 1) insert into t select i from n",
                          "pragma user_version = 7", "create table u (a)", "vacuum"}) {
    EXPECT_FALSE(table(*reader, sql).ok()) << sql;
    EXPECT_EQ(database->access(sql), Access::kReadWrite) << sql;
  }
  // Who lifts the ban gets a session that is not used again as it is.
  run(*reader, "pragma query_only = off");
  EXPECT_TRUE(reader->dirty());
  ASSERT_TRUE(reader->reset({}).ok());
  EXPECT_FALSE(reader->execute({}, "insert into t values (1)", {}).ok());
  EXPECT_EQ(column(*writer, "select count(*) from t"), "int64: 0");
}

TEST_F(Sqlite, an_attached_database_is_gone_after_a_reset) {
  const auto database = open({{"database", file_}});
  const auto connection = connect(*database);
  run(*connection, "attach '" + (folder_ / "other.db").string() + "' as other");
  run(*connection, "create table other.t (a)");
  EXPECT_TRUE(connection->dirty());
  ASSERT_TRUE(connection->reset({}).ok());
  EXPECT_FALSE(table(*connection, "select * from other.t").ok());
}

TEST_F(Sqlite, foreign_keys_are_enforced_unless_configured_otherwise) {
  const auto database = open({{"database", file_}});
  const auto connection = connect(*database);
  run(*connection, "create table a (id integer primary key)");
  run(*connection, "create table b (a integer references a)");
  EXPECT_EQ(error_kind(connection->execute({}, "insert into b values (1)", {}).status()),
            ErrorKind::kIntegrity);
  const auto lax = open({{"database", file_}, {"foreign_keys", "false"}});
  run(*connect(*lax), "insert into b values (1)");
}

TEST_F(Sqlite, without_shared_memory_the_journal_falls_back_and_all_works) {
  // The dot-file locks of this VFS are what network file systems are left with: no WAL.
  const auto database = open({{"database", "file:" + file_.string() + "?vfs=unix-dotfile"}});
  const auto writer = connect(*database);
  EXPECT_EQ(column(*writer, "pragma journal_mode"), "string: delete");
  run(*writer, "create table t (a integer)");
  run(*writer, "insert into t values (1)");
  EXPECT_EQ(column(*connect(*database, Access::kReadOnly), "select a from t"), "int64: 1");
}

TEST_F(Sqlite, a_memory_that_no_two_connections_share_is_refused) {
  for (const char* name : {"file::memory:", "file::memory:?cache=shared", "file:x?mode=memory"}) {
    const auto refused = (*find_driver("sqlite"))->open({{"database", name}});
    EXPECT_EQ(error_kind(refused.status()), ErrorKind::kConfig) << name;
    EXPECT_NE(refused.status().message().find("write :memory:"), std::string::npos);
  }
}

TEST_F(Sqlite, a_placeholder_without_a_value_is_named) {
  const auto database = open({{"database", ":memory:"}});
  const auto connection = connect(*database);
  Params params;
  params.add("a", Params::scalar(1));
  const Status status = table(*connection, "select :a, :b", {}, params).status();
  EXPECT_EQ(error_kind(status), ErrorKind::kInterface);
  EXPECT_NE(status.message().find(":b"), std::string::npos) << status;
}

}  // namespace
}  // namespace cenote
