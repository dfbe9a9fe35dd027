// Loading Arrow's types into PostgreSQL: into tables made for them, and into tables that are there.
#include <tuple>

#include <arrow/extension/uuid.h>
#include <arrow/json/from_string.h>

#include "driver/postgresql_case.h"

namespace cenote {
namespace {

class PostgresqlIngest : public PostgresqlCase {
 protected:
  void SetUp() override {
    PostgresqlCase::SetUp();
    if (conn_) (void)execute("drop table if exists cenote_in");
  }
  void TearDown() override {
    if (conn_) (void)execute("drop table if exists cenote_in");
  }
  static std::shared_ptr<arrow::Array> json(const std::shared_ptr<arrow::DataType>& type,
                                            const std::string& values) {
    auto array = arrow::json::ArrayFromJSONString(type, values);
    EXPECT_TRUE(array.ok()) << array.status();
    return *array;
  }
  Result<int64_t> ingest(const std::shared_ptr<arrow::Array>& array,
                         IngestMode mode = IngestMode::kReplace,
                         const std::string& table = "cenote_in") {
    const auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field("a", array->type())}),
                                                array->length(), {array});
    ARROW_ASSIGN_OR_RAISE(auto rows, arrow::RecordBatchReader::Make({batch}));
    return conn_->ingest(context(), {table, mode}, *rows);
  }
  // What comes back of a column that ingest made a table for.
  void expect(const std::shared_ptr<arrow::Array>& array, const std::string& column_type,
              const std::string& values) {
    const auto done = ingest(array);
    ASSERT_TRUE(done.ok()) << array->type()->ToString() << ": " << done.status();
    EXPECT_EQ(*done, array->length());
    EXPECT_EQ(text("select format_type(atttypid, atttypmod) from pg_attribute "
                   "where attrelid = 'cenote_in'::regclass and attname = 'a'"),
              column_type);
    EXPECT_EQ(text("select string_agg(coalesce(a::text, 'null'), ' ' order by ctid) "
                   "from cenote_in"),
              values)
        << array->type()->ToString();
  }
  void expect(const std::shared_ptr<arrow::DataType>& type, const std::string& given,
              const std::string& column_type, const std::string& values) {
    expect(json(type, given), column_type, values);
  }
};

TEST_F(PostgresqlIngest, numbers) {
  expect(arrow::boolean(), "[true, null, false]", "boolean", "true null false");
  expect(arrow::int8(), "[-128, null]", "smallint", "-128 null");
  expect(arrow::uint8(), "[255]", "smallint", "255");
  expect(arrow::int16(), "[-32768]", "smallint", "-32768");
  expect(arrow::uint16(), "[65535]", "integer", "65535");
  expect(arrow::int32(), "[-2147483648]", "integer", "-2147483648");
  expect(arrow::uint32(), "[4294967295]", "bigint", "4294967295");
  expect(arrow::int64(), "[-9223372036854775808]", "bigint", "-9223372036854775808");
  expect(arrow::uint64(), "[18446744073709551615, 0]", "numeric(20,0)", "18446744073709551615 0");
  expect(arrow::float16(), "[1.5]", "real", "1.5");
  expect(arrow::float32(), "[0.1]", "real", "0.1");
  expect(arrow::float64(), "[0.1, null]", "double precision", "0.1 null");
}

TEST_F(PostgresqlIngest, decimals_are_exact) {
  expect(arrow::decimal128(10, 3), R"(["-12345.670", "0.000", "0.001", null])", "numeric(10,3)",
         "-12345.670 0.000 0.001 null");
  expect(arrow::decimal128(38, 0), R"(["12345678901234567890123456789012345678"])", "numeric(38,0)",
         "12345678901234567890123456789012345678");
  expect(arrow::decimal128(38, 38), R"(["-0.00000000000000000000000000000000000001"])",
         "numeric(38,38)", "-0.00000000000000000000000000000000000001");
  expect(arrow::decimal256(50, 5),
         R"(["123456789012345678901234567890123456789012345.00001", "10000.00000"])",
         "numeric(50,5)", "123456789012345678901234567890123456789012345.00001 10000.00000");
  expect(arrow::decimal128(20, 4), R"(["100000000.0000", "99999999.9999", "-1000.0001"])",
         "numeric(20,4)", "100000000.0000 99999999.9999 -1000.0001");
}

TEST_F(PostgresqlIngest, texts_and_bytes_of_every_layout) {
  for (const auto& type : {arrow::utf8(), arrow::large_utf8(), arrow::utf8_view()}) {
    expect(type, R"(["é\t\\", null, "", "a longer text than a view keeps within"])", "text",
           "é\t\\ null  a longer text than a view keeps within");
  }
  for (const auto& type : {arrow::binary(), arrow::large_binary(), arrow::binary_view()}) {
    expect(type, R"(["ab", null])", "bytea", "\\x6162 null");
  }
  expect(arrow::fixed_size_binary(2), R"(["ab", null])", "bytea", "\\x6162 null");
  expect(arrow::null(), "[null, null]", "text", "null null");
}

TEST_F(PostgresqlIngest, times_of_every_unit) {
  expect(arrow::date32(), "[19782, -1]", "date", "2024-02-29 1969-12-31");
  expect(arrow::date64(), "[1709164800000, -86400000]", "date", "2024-02-29 1969-12-31");
  expect(arrow::time32(arrow::TimeUnit::SECOND), "[3723]", "time without time zone", "01:02:03");
  expect(arrow::time64(arrow::TimeUnit::NANO), "[3723000001000]", "time without time zone",
         "01:02:03.000001");
  expect(arrow::timestamp(arrow::TimeUnit::SECOND), "[0, -1]", "timestamp without time zone",
         "1970-01-01 00:00:00 1969-12-31 23:59:59");
  expect(arrow::timestamp(arrow::TimeUnit::NANO), "[1000]", "timestamp without time zone",
         "1970-01-01 00:00:00.000001");
  ASSERT_TRUE(execute("set time zone 'UTC'").ok());
  expect(arrow::timestamp(arrow::TimeUnit::MILLI, "Europe/Rome"), "[1500]",
         "timestamp with time zone", "1970-01-01 00:00:01.5+00");
  expect(arrow::duration(arrow::TimeUnit::MILLI), "[90000]", "interval", "00:01:30");
  expect(arrow::month_day_nano_interval(), "[[14, 3, 4500000000]]", "interval",
         "1 year 2 mons 3 days 00:00:04.5");
}

TEST_F(PostgresqlIngest, nested_and_encoded_columns) {
  expect(arrow::list(arrow::int32()), "[[1, null, 3], null, []]", "integer[]",
         "{1,NULL,3} null {}");
  expect(arrow::large_list(arrow::utf8()), R"([["a", "b,c"]])", "text[]", "{a,\"b,c\"}");
  expect(arrow::fixed_size_list(arrow::float64(), 2), "[[1.5, 2.5], null]", "double precision[]",
         "{1.5,2.5} null");
  expect(arrow::list(arrow::decimal128(5, 2)), R"([["1.50"]])", "numeric(5,2)[]", "{1.50}");
  expect(arrow::dictionary(arrow::int8(), arrow::utf8()), R"(["x", null, "y", "x"])", "text",
         "x null y x");
  const auto storage = json(arrow::fixed_size_binary(16), R"(["0123456789abcdef", null])");
  expect(arrow::ExtensionType::WrapArray(arrow::extension::uuid(), storage), "uuid",
         "30313233-3435-3637-3839-616263646566 null");
}

TEST_F(PostgresqlIngest, a_slice_is_only_its_rows) {
  const auto numbers = json(arrow::list(arrow::int32()), "[[1], [2, 3], null, [4]]");
  expect(numbers->Slice(1, 2), "integer[]", "{2,3} null");
  const auto texts = json(arrow::utf8(), R"(["a", "b", null, "d"])");
  expect(texts->Slice(2), "text", "null d");
}

TEST_F(PostgresqlIngest, a_table_that_is_there_keeps_its_types) {
  ASSERT_TRUE(execute("create table cenote_in (a int4)").ok());
  ASSERT_TRUE(ingest(json(arrow::int64(), "[7]"), IngestMode::kAppend).ok());
  ASSERT_TRUE(ingest(json(arrow::int8(), "[8]"), IngestMode::kCreateAppend).ok());
  EXPECT_EQ(text("select sum(a) from cenote_in"), "15");
  const auto wide = ingest(json(arrow::int64(), "[1, 4294967296]"), IngestMode::kAppend);
  EXPECT_EQ(error_kind(wide.status()), ErrorKind::kData) << wide.status();
  EXPECT_NE(wide.status().ToString().find("row 2"), std::string::npos) << wide.status();
  EXPECT_EQ(text("select sum(a) from cenote_in"), "15");
}

TEST_F(PostgresqlIngest, what_has_no_binary_form_is_converted_by_the_server) {
  for (const auto& [type, value, column, expected] :
       {std::tuple(arrow::utf8(), R"(["10.0.0.1", null])", "inet", "10.0.0.1/32 null"),
        std::tuple(arrow::utf8(), R"(["2024-02-29"])", "date", "2024-02-29"),
        std::tuple(arrow::utf8(), R"(["550e8400-e29b-41d4-a716-446655440000"])", "uuid",
                   "550e8400-e29b-41d4-a716-446655440000"),
        std::tuple(arrow::utf8(), R"(["{\"a\": \"tab\\t\"}"])", "jsonb", "{\"a\": \"tab\\t\"}"),
        std::tuple(arrow::int64(), "[5]", "text", "5"),
        std::tuple(arrow::int64(), "[5]", "float8", "5"),
        std::tuple(arrow::float64(), "[0.5]", "numeric(5,2)", "0.50"),
        std::tuple(arrow::float64(), "[0.1]", "real", "0.1"),
        std::tuple(arrow::list(arrow::utf8()), R"([["a\tb", null, "\\"]])", "varchar(9)[]",
                   "{\"a\tb\",NULL,\"\\\\\"}")}) {
    ASSERT_TRUE(execute("drop table if exists cenote_in").ok());
    ASSERT_TRUE(execute(std::string("create table cenote_in (a ") + column + ")").ok());
    const auto done = ingest(json(type, value), IngestMode::kAppend);
    ASSERT_TRUE(done.ok()) << column << ": " << done.status();
    EXPECT_EQ(text("select string_agg(coalesce(a::text, 'null'), ' ' order by ctid) from "
                   "cenote_in"),
              expected)
        << column;
  }
}

TEST_F(PostgresqlIngest, what_cannot_be_kept_is_refused_and_nothing_is) {
  EXPECT_EQ(
      error_kind(ingest(json(arrow::timestamp(arrow::TimeUnit::NANO), "[1000, 1001]")).status()),
      ErrorKind::kData);
  EXPECT_EQ(
      error_kind(ingest(json(arrow::struct_({arrow::field("x", arrow::int32())}), R"([{"x": 1}])"))
                     .status()),
      ErrorKind::kNotSupported);
  const auto zero = ingest(json(arrow::utf8(), R"(["a\u0000b"])"));
  EXPECT_EQ(error_kind(zero.status()), ErrorKind::kData) << zero.status();
  EXPECT_FALSE(execute("select * from cenote_in").ok()) << "a table was left behind";
  EXPECT_FALSE(conn_->in_transaction());
}

TEST_F(PostgresqlIngest, a_schema_and_odd_names_are_quoted) {
  ASSERT_TRUE(execute("create schema if not exists \"odd Schema\"").ok());
  const auto array = json(arrow::int32(), "[1]");
  ASSERT_TRUE(ingest(array, IngestMode::kReplace, "odd Schema.a \"table\"").ok());
  EXPECT_EQ(text("select a from \"odd Schema\".\"a \"\"table\"\"\""), "1");
  ASSERT_TRUE(execute("drop schema \"odd Schema\" cascade").ok());
}

TEST_F(PostgresqlIngest, a_reader_that_fails_keeps_none_of_its_rows) {
  const auto schema = arrow::schema({arrow::field("a", arrow::int32())});
  const auto batch = arrow::RecordBatch::Make(schema, 1, {json(arrow::int32(), "[1]")});
  int batches = 0;
  auto iterator = arrow::MakeFunctionIterator([&]() -> Result<std::shared_ptr<arrow::RecordBatch>> {
    if (++batches == 3) return Status::Invalid("the source broke");
    return batch;
  });
  auto reader = arrow::RecordBatchReader::MakeFromIterator(std::move(iterator), schema);
  ASSERT_TRUE(reader.ok());
  const auto failed = conn_->ingest(context(), {"cenote_in", IngestMode::kCreate}, **reader);
  EXPECT_NE(failed.status().ToString().find("the source broke"), std::string::npos)
      << failed.status();
  EXPECT_FALSE(execute("select * from cenote_in").ok());
  EXPECT_TRUE(conn_->usable());
}

}  // namespace
}  // namespace cenote
