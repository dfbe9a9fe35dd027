// Every driver: transactions, savepoints, reset.
#include <arrow/api.h>

#include "driver/drivers.h"

namespace cenote {
namespace {

class Transactions : public DriverTest {
 protected:
  void SetUp() override {
    DriverTest::SetUp();
    if (connection_) make_table("cenote_tx", "a " + GetParam().int64_type);
  }
  void TearDown() override {
    if (!connection_) return;
    EXPECT_TRUE(connection_->rollback(context()).ok() || !connection_->in_transaction());
    drop_table("cenote_tx");
  }
  void insert(int value) {
    const auto done = execute("insert into cenote_tx values (?)", Params::of(value));
    ASSERT_TRUE(done.ok()) << done.status();
  }
  std::string count() { return value("select count(*) from cenote_tx"); }
};
CENOTE_ALL_DRIVERS(Transactions);

TEST_P(Transactions, a_commit_keeps_and_a_rollback_drops) {
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  EXPECT_TRUE(connection_->in_transaction());
  insert(1);
  ASSERT_TRUE(connection_->commit(context()).ok());
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_EQ(count(), "1");
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  insert(2);
  ASSERT_TRUE(connection_->rollback(context()).ok());
  EXPECT_EQ(count(), "1");
}

TEST_P(Transactions, a_savepoint_takes_back_what_came_after_it) {
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  insert(1);
  ASSERT_TRUE(connection_->savepoint(context(), "here").ok());
  insert(2);
  ASSERT_TRUE(connection_->rollback_to_savepoint(context(), "here").ok());
  insert(3);
  EXPECT_TRUE(connection_->release_savepoint(context(), "here").ok());
  ASSERT_TRUE(connection_->commit(context()).ok());
  EXPECT_EQ(value("select sum(a) from cenote_tx"), "4");
}

TEST_P(Transactions, an_open_transaction_is_dirty_and_a_reset_drops_it) {
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  insert(1);
  EXPECT_TRUE(connection_->dirty());
  ASSERT_TRUE(connection_->reset(context()).ok());
  EXPECT_FALSE(connection_->dirty());
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_EQ(count(), "0");
}

TEST_P(Transactions, a_second_begin_is_refused) {
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  EXPECT_FALSE(connection_->begin(context(), {}).ok());
  EXPECT_TRUE(connection_->usable());
}

TEST_P(Transactions, an_error_inside_is_told_and_a_rollback_goes_on_from_there) {
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  insert(1);
  EXPECT_FALSE(execute("insert into cenote_no_such_table values (1)").ok());
  const auto after = execute("insert into cenote_tx values (2)");
  EXPECT_EQ(after.ok(), !GetParam().error_aborts_transaction) << after.status();
  EXPECT_TRUE(connection_->in_transaction());
  ASSERT_TRUE(connection_->rollback(context()).ok());
  EXPECT_EQ(count(), "0");
}

TEST_P(Transactions, a_commit_of_what_was_aborted_is_no_success) {
  if (!GetParam().error_aborts_transaction) GTEST_SKIP() << "an error aborts nothing here";
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  insert(1);
  EXPECT_FALSE(execute("insert into cenote_no_such_table values (1)").ok());
  EXPECT_FALSE(connection_->commit(context()).ok());
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_EQ(count(), "0");
}

TEST_P(Transactions, a_savepoint_rescues_a_transaction_from_an_error) {
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  insert(1);
  ASSERT_TRUE(connection_->savepoint(context(), "before the error").ok());
  EXPECT_FALSE(execute("insert into cenote_no_such_table values (1)").ok());
  ASSERT_TRUE(connection_->rollback_to_savepoint(context(), "before the error").ok());
  insert(2);
  ASSERT_TRUE(connection_->commit(context()).ok());
  EXPECT_EQ(count(), "2");
}

TEST_P(Transactions, savepoints_nest) {
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(connection_->savepoint(context(), name).ok());
    insert(1);
  }
  ASSERT_TRUE(connection_->rollback_to_savepoint(context(), "b").ok());
  EXPECT_EQ(count(), "1");
  EXPECT_FALSE(connection_->rollback_to_savepoint(context(), "c").ok()) << "it is gone with b";
  ASSERT_TRUE(connection_->rollback(context()).ok());
  EXPECT_EQ(count(), "0");
}

TEST_P(Transactions, a_savepoint_needs_a_transaction_and_a_known_name) {
  EXPECT_FALSE(connection_->savepoint(context(), "x").ok());
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  EXPECT_FALSE(connection_->rollback_to_savepoint(context(), "nowhere").ok());
  ASSERT_TRUE(connection_->rollback(context()).ok());
}

TEST_P(Transactions, a_name_of_a_savepoint_is_no_sql) {
  const std::string evil = "s\"; drop table cenote_tx; --";
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  insert(1);
  if (connection_->savepoint(context(), evil).ok()) {
    insert(2);
    EXPECT_TRUE(connection_->rollback_to_savepoint(context(), evil).ok());
  }
  EXPECT_EQ(count(), "1");
  ASSERT_TRUE(connection_->rollback(context()).ok());
}

TEST_P(Transactions, a_read_only_one_refuses_to_write_and_the_next_one_may) {
  if (!GetParam().has_read_only_transactions) GTEST_SKIP() << "it has none";
  TransactionOptions options;
  options.read_only = true;
  ASSERT_TRUE(connection_->begin(context(), options).ok());
  EXPECT_EQ(count(), "0");
  EXPECT_FALSE(execute("insert into cenote_tx values (1)").ok());
  ASSERT_TRUE(connection_->rollback(context()).ok());
  insert(2);
  EXPECT_EQ(count(), "1");
}

TEST_P(Transactions, every_level_of_isolation_is_taken) {
  for (const Isolation level : {Isolation::kDefault, Isolation::kReadCommitted,
                                Isolation::kRepeatableRead, Isolation::kSerializable}) {
    TransactionOptions options;
    options.isolation = level;
    ASSERT_TRUE(connection_->begin(context(), options).ok());
    EXPECT_EQ(count(), "0");
    ASSERT_TRUE(connection_->commit(context()).ok());
  }
}

TEST_P(Transactions, tables_made_inside_go_with_a_rollback) {
  if (!GetParam().ddl_in_transaction) GTEST_SKIP() << "its DDL commits";
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  ASSERT_TRUE(execute("create table cenote_made (a " + GetParam().int64_type + ")").ok());
  ASSERT_TRUE(connection_->rollback(context()).ok());
  EXPECT_FALSE(table("select * from cenote_made").ok());
}

TEST_P(Transactions, another_session_sees_nothing_before_the_commit) {
  const auto other = connect();
  ASSERT_NE(other, nullptr);
  // A database of one file may make the reader wait: it asks before and after alone.
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  insert(1);
  ASSERT_TRUE(connection_->rollback(context()).ok());
  const auto rows = [&] {
    const auto reader = other->query(context(), "select a from cenote_tx", {}, {});
    return reader.ok() ? (*(*reader)->ToTable())->num_rows() : -1;
  };
  EXPECT_EQ(rows(), 0);
  insert(2);
  EXPECT_EQ(rows(), 1);
}

}  // namespace
}  // namespace cenote
