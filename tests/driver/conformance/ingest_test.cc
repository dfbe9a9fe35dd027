// Every driver: bulk inserts.
#include <arrow/api.h>

#include "driver/drivers.h"

namespace cenote {
namespace {

class Ingest : public DriverTest {
 protected:
  void SetUp() override {
    DriverTest::SetUp();
    if (connection_) drop_table("cenote_ingest");
  }
  void TearDown() override {
    if (connection_) drop_table("cenote_ingest");
  }
  static std::shared_ptr<arrow::RecordBatch> batch(int64_t rows) {
    arrow::Int64Builder ids;
    arrow::DoubleBuilder values;
    arrow::StringBuilder names;
    for (int64_t i = 0; i < rows; ++i) {
      EXPECT_TRUE(ids.Append(i).ok());
      EXPECT_TRUE((i % 3 == 0 ? values.AppendNull() : values.Append(0.5)).ok());
      EXPECT_TRUE(names.Append("name " + std::to_string(i)).ok());
    }
    return arrow::RecordBatch::Make(
        arrow::schema({arrow::field("id", arrow::int64()), arrow::field("value", arrow::float64()),
                       arrow::field("name", arrow::utf8())}),
        rows, {*ids.Finish(), *values.Finish(), *names.Finish()});
  }
  Result<int64_t> ingest(IngestMode mode, int64_t rows = 1000) {
    const auto one = batch(rows);
    ARROW_ASSIGN_OR_RAISE(auto reader, arrow::RecordBatchReader::Make({one, one}));
    return connection_->ingest(context(), {"cenote_ingest", mode}, *reader);
  }
  std::string count() { return value("select count(*) from cenote_ingest"); }
};
CENOTE_ALL_DRIVERS(Ingest);

TEST_P(Ingest, create_makes_the_table_and_the_rows_come_back) {
  const auto done = ingest(IngestMode::kCreate);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(*done, 2000);
  const auto got = table("select id, value, name from cenote_ingest where id = 4");
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ((*got)->num_rows(), 2);
  EXPECT_EQ((*(*got)->column(1)->GetScalar(0))->ToString(), "0.5");
  EXPECT_EQ((*(*got)->column(2)->GetScalar(0))->ToString(), "name 4");
  EXPECT_EQ(value("select count(*) from cenote_ingest where value is null"), "668");
  EXPECT_FALSE(ingest(IngestMode::kCreate).ok());
  EXPECT_EQ(count(), "2000");
}

TEST_P(Ingest, append_needs_the_table_and_adds_to_it) {
  EXPECT_FALSE(ingest(IngestMode::kAppend).ok());
  ASSERT_TRUE(ingest(IngestMode::kCreateAppend, 10).ok());
  ASSERT_TRUE(ingest(IngestMode::kCreateAppend, 10).ok());
  ASSERT_TRUE(ingest(IngestMode::kAppend, 10).ok());
  EXPECT_EQ(count(), "60");
  ASSERT_TRUE(ingest(IngestMode::kReplace, 5).ok());
  EXPECT_EQ(count(), "10");
}

TEST_P(Ingest, a_failing_row_keeps_none) {
  ASSERT_TRUE(execute("create table cenote_ingest (id " + GetParam().int64_type +
                      " primary key, value " + GetParam().double_type + ", name " +
                      GetParam().text_type + ")")
                  .ok());
  const auto twice = ingest(IngestMode::kAppend, 10);  // the second batch repeats the keys
  EXPECT_EQ(error_kind(twice.status()), ErrorKind::kIntegrity) << twice.status();
  EXPECT_EQ(count(), "0");
  EXPECT_FALSE(connection_->in_transaction());
}

TEST_P(Ingest, an_open_transaction_takes_the_rows_along) {
  ASSERT_TRUE(ingest(IngestMode::kCreate, 1).ok());
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  ASSERT_TRUE(ingest(IngestMode::kAppend, 10).ok());
  EXPECT_TRUE(connection_->in_transaction());
  ASSERT_TRUE(connection_->rollback(context()).ok());
  EXPECT_EQ(count(), "2");
}

}  // namespace
}  // namespace cenote
