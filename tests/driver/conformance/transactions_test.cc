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

}  // namespace
}  // namespace cenote
