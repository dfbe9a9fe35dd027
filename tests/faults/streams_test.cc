// A stream that did not reach its end never looks as if it had.
#include <future>

#include "faults/pools.h"

namespace cenote {
namespace {

using Streams = SqliteFault;

constexpr const char* kNumbers =
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000) select i from "
    "n";

QueryOptions small_batches() {
  QueryOptions options;
  options.limits.rows = 10;
  return options;
}

TEST_F(Streams, of_a_transaction_that_ended_fails) {
  const auto pool = open_pool(config());
  auto transaction = pool->begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  auto stream = transaction->execute_stream(kNumbers, {}, small_batches());
  ASSERT_TRUE(stream.ok()) << stream.status();
  std::shared_ptr<arrow::RecordBatch> batch;
  ASSERT_TRUE((*stream)->ReadNext(&batch).ok());
  EXPECT_FALSE(transaction->commit().ok()) << "half a result is no reason to commit";
  ASSERT_TRUE(transaction->rollback().ok());
  EXPECT_EQ(error_kind((*stream)->ReadNext(&batch)), ErrorKind::kInterface);
  EXPECT_EQ(value(*pool, "select 1"), "1");
}

TEST_F(Streams, of_a_closed_pool_fails) {
  const auto pool = open_pool(config());
  auto stream = pool->execute_stream(
      "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n", {},
      small_batches());
  ASSERT_TRUE(stream.ok()) << stream.status();
  auto drained = std::async(std::launch::async,
                            [&pool] { return pool->drain(Deadline::in(Duration::zero())); });
  std::shared_ptr<arrow::RecordBatch> batch;
  Status status;
  do {
    status = (*stream)->ReadNext(&batch);
  } while (status.ok() && batch != nullptr);
  expect_clear(status, ErrorKind::kCancelled, "shop");
  EXPECT_TRUE(drained.get().ok()) << "the cancelled stream gave its connection back";
  EXPECT_EQ(sessions(folder_ / "shop.db"), 0);
}

TEST_F(Streams, whose_column_contradicts_itself_fails_with_the_row_and_stays_failed) {
  const auto pool = open_pool(config());
  ASSERT_TRUE(pool->execute("create table t (n integer)").ok());
  ASSERT_TRUE(pool->execute(std::string("insert into t ") + kNumbers).ok());
  ASSERT_TRUE(pool->execute("insert into t values ('the last')").ok());
  for (const bool in_transaction : {false, true}) {
    auto transaction = pool->begin();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    auto stream = in_transaction
                      ? transaction->execute_stream("select n from t", {}, small_batches())
                      : pool->execute_stream("select n from t", {}, small_batches());
    ASSERT_TRUE(stream.ok()) << stream.status();
    const Status status = (*stream)->ToTable().status();
    expect_clear(status, ErrorKind::kData, "shop");
    EXPECT_NE(status.message().find("row 1001"), std::string::npos) << status;
    std::shared_ptr<arrow::RecordBatch> batch;
    EXPECT_FALSE((*stream)->ReadNext(&batch).ok());
    EXPECT_TRUE(transaction->rollback().ok());
  }
  EXPECT_EQ(pool->get_status().active, 0);
}

}  // namespace
}  // namespace cenote
