// Results that leave the node while its database makes them.
#include <vector>

#include "flight/remote_pool.h"
#include "serving.h"

namespace cenote::node {
namespace {

using LongResults = ServingTest;

constexpr int64_t kRows = 200'000;  // several batches

// A row that comes long after the types seemed to be known.
std::string surprise(const std::string& value) {
  return "with recursive series(i) as (select 1 union all select i + 1 from series where i < " +
         std::to_string(kRows) + ") select i, case i when " + std::to_string(kRows) + " then " +
         value + " else i end as x from series";
}

TEST_F(LongResults, a_node_gives_the_table_that_its_own_pool_gives) {
  serve();
  const auto served = *node_->manager().pool("main_db");
  for (const std::string& sql : {series(kRows), surprise("0.5"), surprise("'text'"),
                                 surprise("null"), surprise("x'00ff'")}) {
    const auto here = served->execute_query(sql);
    ASSERT_TRUE(here.ok()) << here.status();
    const auto there = pool_->execute_query(sql);
    ASSERT_TRUE(there.ok()) << there.status();
    EXPECT_TRUE((*there)->schema()->Equals(*(*here)->schema())) << (*there)->schema()->ToString();
    EXPECT_TRUE((*there)->Equals(**here)) << sql;
  }
}

TEST_F(LongResults, a_transaction_gives_the_same_table_too) {
  serve();
  Result<Transaction> transaction = pool_->begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  const auto table = transaction->execute_query(surprise("'text'"));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->num_rows(), kRows);
  EXPECT_EQ((*table)->schema()->field(1)->type()->id(), arrow::Type::STRING);
  ASSERT_TRUE(transaction->commit().ok());
}

TEST_F(LongResults, rows_leave_before_the_last_is_made) {
  serve();
  // As a whole it would never end.
  QueryOptions options;
  options.limits.whole = options.limits.eager = true;
  const auto rows = pool_->execute_stream(series(100'000'000'000), {}, options);
  ASSERT_TRUE(rows.ok()) << rows.status();
  for (int i = 0; i < 5; ++i) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE((*rows)->ReadNext(&batch).ok());
    ASSERT_NE(batch, nullptr);
  }
  ASSERT_TRUE((*rows)->Close().ok());
  EXPECT_TRUE(eventually([&] { return active() == 0; }));
}

TEST_F(LongResults, a_contradiction_is_told_to_who_can_ask_again) {
  serve();
  QueryOptions options;
  options.limits.whole = options.limits.eager = true;
  const auto rows = pool_->execute_stream(surprise("'text'"), {}, options);
  ASSERT_TRUE(rows.ok()) << rows.status();
  const Status status = (*rows)->ToTable().status();
  EXPECT_EQ(error_kind(status), ErrorKind::kData) << status;
  ASSERT_NE(error_detail(status), nullptr);
  EXPECT_EQ(error_detail(status)->sqlstate, kContradiction);
}

TEST_F(LongResults, an_error_in_the_middle_comes_after_the_rows_before_it_and_is_told_whole) {
  serve();
  const auto table = pool_->execute_query(
      "with recursive series(i) as (select 1 union all select i + 1 from series where i < 300000) "
      "select i, case when i = 300000 then abs(-9223372036854775807 - 1) else i end from series");
  EXPECT_NE(table.status().message().find("integer overflow"), std::string::npos) << table.status();
  EXPECT_EQ(value("select count(*) from t"), "2") << "the connection is back";
  EXPECT_TRUE(eventually([&] { return active() == 0; }));
}

TEST_F(LongResults, a_client_that_goes_away_ends_the_statement_behind_its_rows) {
  serve();
  for (int i = 0; i < 6; ++i) {
    const auto rows = pool_->execute_stream(series(100'000'000'000));
    ASSERT_TRUE(rows.ok()) << rows.status();
    for (int read = 0; read < i; ++read) {
      std::shared_ptr<arrow::RecordBatch> batch;
      ASSERT_TRUE((*rows)->ReadNext(&batch).ok());
    }
  }
  EXPECT_TRUE(eventually([&] { return active() == 0; }));
}

TEST_F(LongResults, a_client_that_reads_no_further_is_not_read_ahead_of_for_ever) {
  DeploymentConfig impatient = config();
  impatient.server.flight.stream_idle = std::chrono::milliseconds(500);
  serve(std::move(impatient));
  const auto rows = pool_->execute_stream(series(100'000'000'000));
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_TRUE(eventually([&] { return active() == 0; })) << "its connection was taken back";
  std::shared_ptr<arrow::RecordBatch> batch;
  Status status;
  do {
    status = (*rows)->ReadNext(&batch);
  } while (status.ok() && batch != nullptr);
  EXPECT_FALSE(status.ok()) << "a cut stream must not look whole";
}

}  // namespace
}  // namespace cenote::node
