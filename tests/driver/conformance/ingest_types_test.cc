// Every driver: what bulk inserts have to take, and what they must refuse as a whole.
#include <arrow/api.h>

#include "driver/drivers.h"

namespace cenote {
namespace {

class IngestTypes : public DriverTest {
 protected:
  void SetUp() override {
    DriverTest::SetUp();
    if (connection_) drop_table("cenote_types");
  }
  void TearDown() override {
    if (connection_) drop_table("cenote_types");
  }
  Result<int64_t> ingest(const std::shared_ptr<arrow::Table>& table,
                         IngestMode mode = IngestMode::kCreate,
                         const std::string& name = "cenote_types") {
    arrow::TableBatchReader rows(*table);
    return connection_->ingest(context(), {name, mode}, rows);
  }
  static std::shared_ptr<arrow::Table> one_column(const std::shared_ptr<arrow::Array>& array,
                                                  const std::string& name = "v") {
    return arrow::Table::Make(arrow::schema({arrow::field(name, array->type())}), {array});
  }
  template <typename Builder, typename... Values>
  static std::shared_ptr<arrow::Array> array(Builder&& builder, Values... values) {
    const auto append = [&builder](const auto& value) { EXPECT_TRUE(builder.Append(value).ok()); };
    (append(values), ...);
    EXPECT_TRUE(builder.AppendNull().ok());
    return *builder.Finish();
  }
  // The values of the table's column in the order of their number, nulls last, as text.
  std::string texts(const std::string& sql) {
    const auto got = table(sql);
    if (!got.ok()) return got.status().ToString();
    std::string text;
    for (int64_t i = 0; i < (*got)->num_rows(); ++i) {
      text += (i == 0 ? "" : "|") + (*(*got)->column(0)->GetScalar(i))->ToString();
    }
    return text;
  }
  void expect_texts(const std::shared_ptr<arrow::Array>& values, const std::string& wanted) {
    arrow::Int64Builder numbers;
    for (int64_t i = 0; i < values->length(); ++i) ASSERT_TRUE(numbers.Append(i).ok());
    const auto both = arrow::Table::Make(
        arrow::schema({arrow::field("i", arrow::int64()), arrow::field("v", values->type())}),
        {*numbers.Finish(), values});
    const auto done = ingest(both, IngestMode::kReplace);
    ASSERT_TRUE(done.ok()) << values->type()->ToString() << ": " << done.status();
    EXPECT_EQ(*done, values->length());
    EXPECT_EQ(texts("select v from cenote_types order by i"), wanted) << values->type()->ToString();
  }
};
CENOTE_ALL_DRIVERS(IngestTypes);

TEST_P(IngestTypes, numbers_of_every_width) {
  expect_texts(array(arrow::Int8Builder(), int8_t{-128}, int8_t{127}), "-128|127|null");
  expect_texts(array(arrow::Int16Builder(), int16_t{-32768}), "-32768|null");
  expect_texts(array(arrow::Int32Builder(), INT32_MIN), "-2147483648|null");
  expect_texts(array(arrow::Int64Builder(), INT64_MAX), "9223372036854775807|null");
  expect_texts(array(arrow::UInt8Builder(), uint8_t{255}), "255|null");
  expect_texts(array(arrow::UInt16Builder(), uint16_t{65535}), "65535|null");
  expect_texts(array(arrow::UInt32Builder(), UINT32_MAX), "4294967295|null");
  expect_texts(array(arrow::FloatBuilder(), 0.5F), "0.5|null");
  expect_texts(array(arrow::DoubleBuilder(), 0.1), "0.1|null");
}

TEST_P(IngestTypes, texts_and_bytes_of_every_layout) {
  const std::string wanted = "a, 'b'\t\\N\n|längst|null";
  const auto fill = [](auto&& builder) {
    return array(std::forward<decltype(builder)>(builder), "a, 'b'\t\\N\n", "längst");
  };
  expect_texts(fill(arrow::StringBuilder()), wanted);
  expect_texts(fill(arrow::LargeStringBuilder()), wanted);
  expect_texts(fill(arrow::StringViewBuilder()), wanted);
  expect_texts(fill(arrow::StringDictionaryBuilder()), wanted);
  const std::string bytes("\x00\xff\\", 3);
  for (const auto& each :
       {array(arrow::BinaryBuilder(), bytes), array(arrow::LargeBinaryBuilder(), bytes),
        array(arrow::BinaryViewBuilder(), bytes),
        array(arrow::FixedSizeBinaryBuilder(arrow::fixed_size_binary(3)), bytes)}) {
    const auto done = ingest(one_column(each), IngestMode::kReplace);
    ASSERT_TRUE(done.ok()) << each->type()->ToString() << ": " << done.status();
    const auto got = table("select v from cenote_types where v is not null");
    ASSERT_TRUE(got.ok()) << got.status();
    ASSERT_EQ((*got)->num_rows(), 1);
    const auto cell = (*got)->column(0)->GetScalar(0).ValueOrDie();
    EXPECT_EQ(static_cast<const arrow::BaseBinaryScalar&>(*cell).view(), bytes)
        << each->type()->ToString();
  }
}

TEST_P(IngestTypes, moments_and_truths) {
  expect_texts(array(arrow::BooleanBuilder(), true, false), "true|false|null");
  expect_texts(array(arrow::Date32Builder(), 19'782), "2024-02-29|null");
  expect_texts(array(arrow::TimestampBuilder(arrow::timestamp(arrow::TimeUnit::MICRO),
                                             arrow::default_memory_pool()),
                     int64_t{1'500'000}),
               "1970-01-01 00:00:01.500000|null");
  expect_texts(array(arrow::Time64Builder(arrow::time64(arrow::TimeUnit::MICRO),
                                          arrow::default_memory_pool()),
                     int64_t{3'723'000'000}),
               "01:02:03.000000|null");
}

TEST_P(IngestTypes, decimals_keep_their_digits) {
  arrow::Decimal128Builder builder(arrow::decimal128(20, 4));
  expect_texts(
      array(builder, arrow::Decimal128("1234567890123456.7890"), arrow::Decimal128("-0.0001")),
      "1234567890123456.7890|-0.0001|null");
}

TEST_P(IngestTypes, columns_of_nothing_but_nulls) {
  arrow::StringBuilder texts;
  ASSERT_TRUE(texts.AppendNulls(3).ok());
  const auto done = ingest(one_column(*texts.Finish()));
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(value("select count(*) from cenote_types where v is null"), "3");
}

TEST_P(IngestTypes, no_rows_make_the_table) {
  const auto none = arrow::Table::MakeEmpty(arrow::schema({arrow::field("v", arrow::int64())}));
  const auto done = ingest(*none);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(*done, 0);
  EXPECT_EQ(value("select count(*) from cenote_types"), "0");
  const auto again = ingest(*none, IngestMode::kAppend);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, 0);
}

TEST_P(IngestTypes, many_batches_and_many_columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  const auto values = array(arrow::Int64Builder(), int64_t{7});
  for (int i = 0; i < 200; ++i) {
    fields.push_back(arrow::field("c" + std::to_string(i), arrow::int64()));
    columns.push_back(values);
  }
  const auto batch = arrow::RecordBatch::Make(arrow::schema(fields), 2, columns);
  const auto rows = *arrow::RecordBatchReader::Make(arrow::RecordBatchVector(300, batch));
  const auto done = connection_->ingest(context(), {"cenote_types", IngestMode::kCreate}, *rows);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(*done, 600);
  EXPECT_EQ(value("select sum(c199) from cenote_types"), "2100");
}

TEST_P(IngestTypes, names_are_quoted_and_never_run) {
  make_table("cenote_victim", "a " + GetParam().int64_type);
  const std::string evil = "cenote_e\"; drop table cenote_victim; --";
  for (const std::string& name :
       {evil, std::string("cenote select 名"), std::string("cenote 'x'")}) {
    const std::string quoted = [&name] {
      std::string text = "\"";
      for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
      return text + '"';
    }();
    const auto done = ingest(one_column(array(arrow::Int64Builder(), int64_t{1}), name),
                             IngestMode::kReplace, name);
    ASSERT_TRUE(done.ok()) << name << ": " << done.status();
    EXPECT_EQ(value("select max(" + quoted + ") from " + quoted), "1");
    ASSERT_TRUE(execute("drop table " + quoted).ok());
  }
  EXPECT_EQ(value("select count(*) from cenote_victim"), "0");
  drop_table("cenote_victim");
}

TEST_P(IngestTypes, a_column_that_the_table_does_not_have_is_told) {
  ASSERT_TRUE(ingest(one_column(array(arrow::Int64Builder(), int64_t{1}))).ok());
  const auto refused =
      ingest(one_column(array(arrow::Int64Builder(), int64_t{1}), "stranger"), IngestMode::kAppend);
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kProgramming) << refused.status();
  EXPECT_NE(refused.status().message().find("stranger"), std::string::npos) << refused.status();
  EXPECT_EQ(value("select count(*) from cenote_types"), "2");
}

TEST_P(IngestTypes, a_type_that_the_database_has_not_is_refused_before_anything_is_done) {
  ASSERT_TRUE(ingest(one_column(array(arrow::Int64Builder(), int64_t{1}))).ok());
  const auto strange = arrow::dense_union({arrow::field("y", arrow::int8())});
  EXPECT_FALSE(ingest(one_column(*arrow::MakeArrayOfNull(strange, 2)), IngestMode::kReplace).ok());
  EXPECT_EQ(value("select count(*) from cenote_types"), "2") << "the table that was there is there";
  EXPECT_FALSE(connection_->in_transaction());
}

// A source whose second batch fails.
class BrokenReader final : public arrow::RecordBatchReader {
 public:
  explicit BrokenReader(std::shared_ptr<arrow::RecordBatch> batch) : batch_(std::move(batch)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return batch_->schema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    if (given_++ > 0) return arrow::Status::IOError("the source broke");
    *batch = batch_;
    return arrow::Status::OK();
  }

 private:
  std::shared_ptr<arrow::RecordBatch> batch_;
  int given_ = 0;
};

TEST_P(IngestTypes, a_source_that_breaks_keeps_no_row_and_its_error_is_told) {
  ASSERT_TRUE(ingest(one_column(array(arrow::Int64Builder(), int64_t{1}))).ok());
  const auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field("v", arrow::int64())}), 2,
                                              {array(arrow::Int64Builder(), int64_t{5})});
  for (const IngestMode mode : {IngestMode::kAppend, IngestMode::kReplace}) {
    BrokenReader broken(batch);
    const auto done = connection_->ingest(context(), {"cenote_types", mode}, broken);
    ASSERT_FALSE(done.ok());
    EXPECT_NE(done.status().message().find("the source broke"), std::string::npos) << done.status();
    EXPECT_EQ(value("select count(*) from cenote_types"), "2");
    EXPECT_FALSE(connection_->in_transaction());
    EXPECT_FALSE(connection_->dirty());
  }
}

TEST_P(IngestTypes, a_stop_keeps_no_row) {
  ASSERT_TRUE(ingest(one_column(array(arrow::Int64Builder(), int64_t{1}))).ok());
  const auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field("v", arrow::int64())}), 2,
                                              {array(arrow::Int64Builder(), int64_t{5})});
  const auto rows = *arrow::RecordBatchReader::Make(arrow::RecordBatchVector(1000, batch));
  std::stop_source source;
  source.request_stop();
  const auto stopped = connection_->ingest({Deadline(), source.get_token()},
                                           {"cenote_types", IngestMode::kAppend}, *rows);
  EXPECT_EQ(error_kind(stopped.status()), ErrorKind::kCancelled) << stopped.status();
  EXPECT_EQ(value("select count(*) from cenote_types"), "2");
}

}  // namespace
}  // namespace cenote
