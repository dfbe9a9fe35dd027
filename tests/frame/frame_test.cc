// How results look as tables, CSV and JSON, type by type.
#include <limits>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "frame/csv.h"
#include "frame/json.h"
#include "frame/print.h"
#include "frame/text.h"
#include "frame/utf8.h"

namespace cenote {
namespace {

using std::string;

struct Case {
  std::shared_ptr<arrow::Scalar> value;
  string text;
  string json;
};

template <typename T, typename... Args>
std::shared_ptr<arrow::Scalar> made(Args&&... args) {
  return std::make_shared<T>(std::forward<Args>(args)...);
}

std::vector<Case> cases() {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto micro = arrow::timestamp(arrow::TimeUnit::MICRO);
  const auto utc = arrow::timestamp(arrow::TimeUnit::MICRO, "Europe/Berlin");
  const auto bytes = arrow::Buffer::FromString(string("\0\xffz", 3));
  return {
      {made<arrow::BooleanScalar>(true), "true", "true"},
      {made<arrow::Int8Scalar>(int8_t{-128}), "-128", "-128"},
      {made<arrow::UInt64Scalar>(std::numeric_limits<uint64_t>::max()), "18446744073709551615",
       "18446744073709551615"},
      {made<arrow::DoubleScalar>(0.1), "0.1", "0.1"},
      {made<arrow::DoubleScalar>(-kInf), "-Infinity", "\"-Infinity\""},
      {made<arrow::DoubleScalar>(std::numeric_limits<double>::quiet_NaN()), "NaN", "\"NaN\""},
      {made<arrow::FloatScalar>(0.1F), "0.1", "0.1"},
      {made<arrow::Decimal128Scalar>(arrow::Decimal128(1), arrow::decimal128(20, 8)), "0.00000001",
       "\"0.00000001\""},
      {made<arrow::Decimal128Scalar>(arrow::Decimal128(-150), arrow::decimal128(10, 2)), "-1.50",
       "\"-1.50\""},
      {made<arrow::Decimal128Scalar>(arrow::Decimal128(12), arrow::decimal128(10, -2)), "1200",
       "\"1200\""},
      {made<arrow::StringScalar>("a\"\\\n\x1b"), "a\"\\\n\x1b", "\"a\\\"\\\\\\n\\u001b\""},
      {made<arrow::StringScalar>("bad \xff"), "bad \xff", "\"bad \xEF\xBF\xBD\""},
      {made<arrow::BinaryScalar>(bytes), "00ff7a", "\"00ff7a\""},
      {made<arrow::Date32Scalar>(-1), "1969-12-31", "\"1969-12-31\""},
      {made<arrow::Date32Scalar>(2932897), "10000-01-01", "\"10000-01-01\""},
      {made<arrow::TimestampScalar>(-1, micro), "1969-12-31 23:59:59.999999",
       "\"1969-12-31T23:59:59.999999\""},
      {made<arrow::TimestampScalar>(0, utc), "1970-01-01 00:00:00Z", "\"1970-01-01T00:00:00Z\""},
      {made<arrow::Time64Scalar>(int64_t{3'723'000'004}, arrow::time64(arrow::TimeUnit::MICRO)),
       "01:02:03.000004", "\"01:02:03.000004\""},
      {made<arrow::DurationScalar>(int64_t{-1500}, arrow::duration(arrow::TimeUnit::MILLI)),
       "PT-1.5S", "\"PT-1.5S\""},
      {made<arrow::MonthDayNanoIntervalScalar>(
           arrow::MonthDayNanoIntervalType::MonthDayNanos{14, -3, 0}),
       "P1Y2M-3D", "\"P1Y2M-3D\""},
      {made<arrow::NullScalar>(), "", "null"},
  };
}

TEST(Text, every_type_is_written_without_loss) {
  for (const Case& each : cases()) {
    const auto array = *arrow::MakeArrayFromScalar(*each.value, 1);
    const auto field = arrow::field("x", array->type());
    string text;
    string json;
    append_text(*field, *array, 0, &text);
    append_json(*field, *array, 0, &json);
    EXPECT_EQ(text, each.text) << array->type()->ToString();
    EXPECT_EQ(json, each.json) << array->type()->ToString();
  }
}

TEST(Text, the_least_and_the_greatest_timestamp_are_written) {
  for (const int64_t ticks :
       {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    for (const auto unit : {arrow::TimeUnit::SECOND, arrow::TimeUnit::NANO}) {
      const arrow::TimestampScalar scalar(ticks, arrow::timestamp(unit));
      const auto array = *arrow::MakeArrayFromScalar(scalar, 1);
      string text;
      append_text(*arrow::field("x", array->type()), *array, 0, &text);
      EXPECT_GE(text.size(), 19U) << text;
    }
  }
}

TEST(Text, nested_values_are_json_and_a_uuid_has_its_usual_form) {
  arrow::ListBuilder builder(arrow::default_memory_pool(),
                             std::make_shared<arrow::StringBuilder>());
  auto& items = *static_cast<arrow::StringBuilder*>(builder.value_builder());
  ASSERT_TRUE(builder.Append().ok() && items.Append("a,\"").ok() && items.AppendNull().ok());
  const auto list = *builder.Finish();
  const auto both = *arrow::StructArray::Make({list, list}, {string("x"), string("y")});
  string text;
  append_text(*arrow::field("s", both->type()), *both, 0, &text);
  EXPECT_EQ(text, R"({"x":["a,\"",null],"y":["a,\"",null]})");

  const auto type = arrow::fixed_size_binary(16);
  const arrow::FixedSizeBinaryScalar id(arrow::Buffer::FromString("0123456789abcdef"), type);
  const auto ids = *arrow::MakeArrayFromScalar(id, 1);
  text.clear();
  append_text(*arrow::field("u", type, true,
                            arrow::key_value_metadata({"ARROW:extension:name"}, {"arrow.uuid"})),
              *ids, 0, &text);
  EXPECT_EQ(text, "30313233-3435-3637-3839-616263646566");
}

std::shared_ptr<arrow::RecordBatch> numbers(int64_t from, int64_t count) {
  arrow::Int64Builder ids;
  arrow::StringBuilder words;
  for (int64_t i = from; i < from + count; ++i) {
    EXPECT_TRUE(ids.Append(i).ok());
    EXPECT_TRUE((i % 2 == 0 ? words.Append("word " + std::to_string(i)) : words.AppendNull()).ok());
  }
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("word", arrow::utf8())}),
      count, {*ids.Finish(), *words.Finish()});
}

TEST(Csv, a_null_and_an_empty_text_differ_and_cells_are_quoted_where_needed) {
  arrow::StringBuilder words;
  ASSERT_TRUE(words.AppendValues({"plain", "", "a,b", "say \"x\"", "two\nlines", " spaced"}).ok());
  ASSERT_TRUE(words.AppendNull().ok());
  const auto schema = arrow::schema({arrow::field("a,b", arrow::utf8())});
  const auto batch = arrow::RecordBatch::Make(schema, 7, {*words.Finish()});
  string out;
  append_csv_header(*schema, &out);
  append_csv(*batch, 0, 7, &out);
  EXPECT_EQ(out,
            "\"a,b\"\nplain\n\"\"\n\"a,b\"\n\"say \"\"x\"\"\"\n\"two\nlines\"\n\" spaced\"\n\n");
}

TEST(Json, columns_of_one_name_get_keys_of_their_own) {
  const auto type = arrow::int64();
  const auto schema = arrow::schema({arrow::field("id", type), arrow::field("id", type),
                                     arrow::field("id_2", type), arrow::field("\"", type)});
  EXPECT_EQ(json_keys(*schema),
            (std::vector<string>{"\"id\"", "\"id_3\"", "\"id_2\"", "\"\\\"\""}));
}

TEST(Table, the_first_and_the_last_rows_are_shown_with_types) {
  Preview preview(numbers(0, 0)->schema(), {.rows = 4});
  for (int64_t from = 0; from < 1000; from += 7) preview.add(numbers(from, 7));
  EXPECT_EQ(preview.str(),
            "   id │ word\n"
            "int64 │ string\n"
            "──────┼──────────\n"
            "    0 │ word 0\n"
            "    1 │ null\n"
            "    … │ …\n"
            "  999 │ null\n"
            " 1000 │ word 1000\n"
            "1001 rows × 2 columns, 4 shown\n");
}

TEST(Table, a_short_result_is_shown_whole) {
  for (const int64_t count : {0, 1, 3, 4}) {
    Preview preview(numbers(0, 0)->schema(), {.rows = 4});
    for (int64_t i = 0; i < count; ++i) preview.add(numbers(i, 1));
    const string text = preview.str();
    EXPECT_EQ(text.find("shown"), string::npos) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), count + 4) << text;
  }
}

TEST(Table, lines_fit_the_width_whatever_the_columns_are) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (int i = 0; i < 40; ++i) {
    arrow::StringBuilder words;
    ASSERT_TRUE(words.Append(string(static_cast<size_t>(i) * 3, 'x') + "漢字\xff\x1b[31m").ok());
    fields.push_back(arrow::field("column " + std::to_string(i), arrow::utf8()));
    arrays.push_back(*words.Finish());
    const auto table =
        arrow::Table::Make(arrow::schema(fields), arrow::ArrayVector(arrays.begin(), arrays.end()));
    for (const size_t width : {40U, 80U, 200U}) {
      const string text = print_table(*table, {.rows = 10, .width = width});
      EXPECT_EQ(text.find('\x1b'), string::npos);
      EXPECT_NE(text.find("column 0"), string::npos);
      size_t begin = 0;
      for (size_t end; (end = text.find('\n', begin)) != string::npos; begin = end + 1) {
        EXPECT_LE(display_width(std::string_view(text).substr(begin, end - begin)), width) << text;
      }
    }
  }
}

TEST(Utf8, wide_and_combining_characters_take_the_room_they_take) {
  EXPECT_EQ(display_width("漢字"), 4U);
  EXPECT_EQ(display_width("e\xCC\x81"), 1U);
  EXPECT_EQ(fitted("漢字漢字", 5), "漢字…");
  EXPECT_EQ(fitted("abc", 3), "abc");
  EXPECT_EQ(fitted("abcd", 3), "ab…");
  EXPECT_EQ(printable("a\tb\xC2\x85\xE2\x80\xAE\xC0\xAF"), "a\\tb\\x85\\u202e\\xc0\\xaf");
}

}  // namespace
}  // namespace cenote
