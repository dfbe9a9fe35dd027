// SQL Server: every type in and out, with Microsoft's ODBC driver and with FreeTDS.
#include "driver/mssql_fixture.h"

namespace cenote {
namespace {

class MssqlTypes : public MssqlTest {};
INSTANTIATE_TEST_SUITE_P(Drivers, MssqlTypes, testing::ValuesIn(mssql_cases()), case_name);

TEST_P(MssqlTypes, every_type_comes_as_its_arrow_type_without_losing_a_value) {
  const auto got = table("exec cenote_types", {}, {.whole = true});
  ASSERT_TRUE(got.ok()) << got.status();
  struct Row {
    const char* column;
    const char* type;
    std::string first;
    std::string second;
  };
  std::string smileys;
  for (int i = 0; i < 5000; ++i) smileys += "\xf0\x9f\x98\x80";
  std::string bytes;
  for (int i = 0; i < 40; ++i) {
    for (int b = 0; b < 256; ++b) {
      char text[4];
      std::snprintf(text, sizeof text, "%02X", b);
      bytes += text;
    }
  }
  const std::vector<Row> rows = {
      {"c_tinyint", "uint8", "0", "255"},
      {"c_smallint", "int16", "-32768", "32767"},
      {"c_int", "int32", "-2147483648", "2147483647"},
      {"c_bigint", "int64", "-9223372036854775808", "9223372036854775807"},
      {"c_bit", "bool", "false", "true"},
      {"c_real", "float", "-3.5", "3.4028235e+38"},
      {"c_float", "double", "-2.25", "1.7976931348623157e+308"},
      {"c_decimal", "decimal128(38, 10)", "-9999999999999999999999999999.9999999999",
       "7.0007000000"},
      {"c_numeric", "decimal128(18, 0)", "-999999999999999999", "0"},
      {"c_money", "decimal128(19, 4)", "-922337203685477.5808", "922337203685477.5807"},
      {"c_smallmoney", "decimal128(10, 4)", "-214748.3648", "214748.3647"},
      {"c_date", "date32[day]", "0001-01-01", "9999-12-31"},
      {"c_time", "time64[ns]", "00:00:00.000000100", "23:59:59.999999900"},
      {"c_time0", "time64[us]", "00:00:01.000000", "23:59:59.000000"},
      {"c_datetime", "timestamp[us]", "1753-01-01 00:00:00.000000", "9999-12-31 23:59:59.997000"},
      {"c_smalldatetime", "timestamp[us]", "1900-01-01 00:00:00.000000",
       "2079-06-06 23:59:00.000000"},
      {"c_datetime2", "timestamp[ns]", "1969-12-31 23:59:59.123456700",
       "2024-02-29 12:00:00.000000100"},
      {"c_datetime2_3", "timestamp[us]", "0001-01-01 00:00:00.001000",
       "9999-12-31 23:59:59.999000"},
      {"c_offset", "timestamp[ns, tz=UTC]", "2024-02-28 19:00:00.123456700Z",
       "1970-01-01 08:00:00.000000000Z"},
      {"c_char", "string", "ab   ", "\u00e4\u20ac   "},
      {"c_varchar", "string", "", "na\u00efve"},
      {"c_nchar", "string", "ab  ", "\u6f22\u5b57  "},
      {"c_nvarchar", "string", std::string("a\0b", 3), "\U0001f600 \u00fc \u6f22"},
      {"c_binary", "binary", "00010000", "FFFFFFFF"},
      {"c_varbinary", "binary", "", "00FF00"},
      {"c_uuid", "fixed_size_binary[16]", "6F9619FF8B86D011B42D00C04FC964FF",
       "00000000000000000000000000000001"},
      {"c_variant", "string", "42", "text"},
      {"c_text", "string", "old", ""},
      {"c_ntext", "string", "\u6f22\u5b57", ""},
      {"c_image", "binary", "010002", ""},
      {"c_xml", "string", "<a>\u00fc</a>", "<b/>"},
      {"c_varchar_max", "string", std::string(10'000, 'x'), ""},
      {"c_nvarchar_max", "string", smileys, ""},
      {"c_varbinary_max", "binary", bytes, ""},
  };
  ASSERT_EQ((*got)->num_rows(), 3);
  EXPECT_EQ((*got)->num_columns(), static_cast<int>(rows.size()));
  for (const Row& row : rows) {
    const auto field = (*got)->schema()->GetFieldByName(row.column);
    ASSERT_NE(field, nullptr) << row.column;
    EXPECT_EQ(field->type()->ToString(), row.type) << row.column;
    const std::string first = cell(**got, row.column, 0);
    EXPECT_TRUE(first == row.first) << row.column << ": " << first.substr(0, 80);
    EXPECT_EQ(cell(**got, row.column, 1), row.second) << row.column;
    EXPECT_EQ(cell(**got, row.column, 2), "null") << row.column;
  }
  EXPECT_TRUE((*got)->ValidateFull().ok());
}

TEST_P(MssqlTypes, datetime2_takes_the_finest_unit_that_holds_all_its_values) {
  make_table("cenote_stamps", "id int, a datetime2(7)");
  const auto type = [this](const char* where) {
    const auto got = table("select a from cenote_stamps where id in (" + std::string(where) + ")",
                           {}, {.whole = true});
    if (!got.ok()) return got.status().ToString();
    std::string text = (*got)->field(0)->type()->ToString();
    for (int64_t i = 0; i < (*got)->num_rows(); ++i) text += "|" + cell(**got, "a", i);
    return text;
  };
  ASSERT_TRUE(execute("insert into cenote_stamps values (1, '2024-01-01 00:00:00.1234567')").ok());
  ASSERT_TRUE(execute("insert into cenote_stamps values (2, '9999-12-31 00:00:00.5000000')").ok());
  EXPECT_EQ(type("1"), "timestamp[ns]|2024-01-01 00:00:00.123456700");
  EXPECT_EQ(type("2"), "timestamp[us]|9999-12-31 00:00:00.500000");
  EXPECT_EQ(type("1, 2"), "string|2024-01-01 00:00:00.1234567|9999-12-31 00:00:00.5000000");
  EXPECT_EQ(type("3"), "timestamp[ns]");
  // A stream has decided with its first batch: it fails rather than lose a digit.
  const auto late = table("select a from cenote_stamps order by id", {}, {.rows = 1});
  EXPECT_EQ(error_kind(late.status()), ErrorKind::kData) << late.status();
  EXPECT_NE(late.status().message().find("column 'a'"), std::string::npos) << late.status();
  EXPECT_EQ(value("select 1"), "1");
  drop_table("cenote_stamps");
}

std::shared_ptr<arrow::Scalar> parsed(const std::shared_ptr<arrow::DataType>& type,
                                      const std::string& text) {
  if (type->id() == arrow::Type::DECIMAL128) {
    return std::make_shared<arrow::Decimal128Scalar>(arrow::Decimal128(text), type);
  }
  return arrow::Scalar::Parse(type, text).ValueOrDie();
}

TEST_P(MssqlTypes, parameters_of_every_type_reach_the_server_exactly) {
  using arrow::TimeUnit;
  struct Row {
    std::string column;
    std::shared_ptr<arrow::Scalar> value;
    std::string back;
  };
  const auto uuid = std::make_shared<arrow::FixedSizeBinaryScalar>(
      arrow::Buffer::FromString("0123456789abcdef"), arrow::fixed_size_binary(16));
  const std::vector<Row> rows = {
      {"bit", parsed(arrow::boolean(), "true"), "true"},
      {"tinyint", parsed(arrow::uint8(), "255"), "255"},
      {"smallint", parsed(arrow::int16(), "-32768"), "-32768"},
      {"int", parsed(arrow::int32(), "-2147483648"), "-2147483648"},
      {"bigint", parsed(arrow::int64(), "-9223372036854775808"), "-9223372036854775808"},
      {"decimal(20,0)", parsed(arrow::uint64(), "18446744073709551615"), "18446744073709551615"},
      {"real", parsed(arrow::float32(), "0.1"), "0.1"},
      {"float", parsed(arrow::float64(), "0.1"), "0.1"},
      {"decimal(38,10)",
       parsed(arrow::decimal128(38, 10), "-9999999999999999999999999999.9999999999"),
       "-9999999999999999999999999999.9999999999"},
      {"decimal(10,9)", parsed(arrow::decimal128(10, 9), "0.000000001"), "1E-9"},
      {"date", parsed(arrow::date32(), "0001-01-01"), "0001-01-01"},
      {"time(7)", parsed(arrow::time64(TimeUnit::NANO), "23:59:59.123456700"),
       "23:59:59.123456700"},
      {"time(0)", parsed(arrow::time32(TimeUnit::SECOND), "01:02:03"), "01:02:03.000000"},
      {"datetime2(7)", parsed(arrow::timestamp(TimeUnit::NANO), "2024-02-29 12:00:00.123456700"),
       "2024-02-29 12:00:00.123456700"},
      {"datetime2(6)", parsed(arrow::timestamp(TimeUnit::MICRO), "0001-01-01 00:00:00.000001"),
       "0001-01-01 00:00:00.000001"},
      {"datetime", parsed(arrow::timestamp(TimeUnit::MILLI), "2024-02-29 12:00:00.003"),
       "2024-02-29 12:00:00.003000"},
      {"datetimeoffset(7)",
       parsed(arrow::timestamp(TimeUnit::NANO, "UTC"), "2024-02-29 12:00:00.123456700Z"),
       "2024-02-29 12:00:00.123456700Z"},
      {"nvarchar(max)", arrow::MakeScalar("\U0001f600 \u00fc \u6f22"), "\U0001f600 \u00fc \u6f22"},
      {"nvarchar(20)", arrow::MakeScalar(std::string("a\0b", 3)), std::string("a\0b", 3)},
      {"nvarchar(max)", arrow::MakeScalar(""), ""},
      {"varbinary(20)", uuid, "30313233343536373839616263646566"},
  };
  for (const Row& row : rows) {
    make_table("cenote_in", "a " + row.column);
    Params params;
    params.values.push_back(row.value);
    const auto done = execute("insert into cenote_in values (?)", params);
    ASSERT_TRUE(done.ok()) << row.column << ": " << done.status();
    const auto got = table("select a from cenote_in");
    ASSERT_TRUE(got.ok()) << row.column << ": " << got.status();
    EXPECT_EQ(cell(**got, "a", 0), row.back) << row.column;
    // The same type, but null.
    const auto null = arrow::MakeNullScalar(row.value->type);
    params.values[0] = null;
    ASSERT_TRUE(execute("update cenote_in set a = ?", params).ok()) << row.column;
    EXPECT_EQ(value("select a from cenote_in"), "null") << row.column;
  }
  drop_table("cenote_in");
}

TEST_P(MssqlTypes, short_texts_share_one_declared_size) {
  // One plan in the server's cache for all lengths.
  EXPECT_EQ(value("exec cenote_declared ?", Params::of("a")), "nvarchar(4000,0)");
  EXPECT_EQ(value("exec cenote_declared ?", Params::of(std::string(4000, 'a'))),
            "nvarchar(4000,0)");
}

TEST_P(MssqlTypes, nanoseconds_that_the_server_cannot_hold_are_refused) {
  Params params;
  params.values.push_back(
      std::make_shared<arrow::TimestampScalar>(1, arrow::timestamp(arrow::TimeUnit::NANO)));
  const auto refused = execute("select ?", params);
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kData) << refused.status();
  EXPECT_EQ(value("select 1"), "1");
}

TEST_P(MssqlTypes, a_megabyte_of_text_goes_in_and_out) {
  std::string text;
  while (text.size() < 5'000'000) text += "\u00e4\U0001f600 lorem ipsum ";
  make_table("cenote_lob", "id int, a nvarchar(max), b varbinary(max), c int");
  const auto bytes =
      std::make_shared<arrow::BinaryScalar>(arrow::Buffer::FromString(std::string(text)));
  const auto done = execute("insert into cenote_lob values (1, ?, ?, 7)", Params::of(text, bytes));
  ASSERT_TRUE(done.ok()) << done.status();
  const auto got = table("select id, a, b, c from cenote_lob");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(cell(**got, "a", 0) == text);
  EXPECT_TRUE((*(*got)->GetColumnByName("b")->GetScalar(0))->Equals(*bytes));
  EXPECT_EQ(cell(**got, "c", 0), "7");
  drop_table("cenote_lob");
}

TEST_P(MssqlTypes, long_texts_of_many_rows_keep_their_places) {
  const auto got = table("exec cenote_text 6000, 300", {}, {.rows = 100});
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ((*got)->num_rows(), 300);
  for (const int64_t row : {0, 99, 100, 299}) {
    EXPECT_EQ(cell(**got, "n", row), std::to_string(row));
    EXPECT_EQ(cell(**got, "text", row).size(), 12'000U);
    EXPECT_EQ(cell(**got, "after", row), std::to_string(-row));
  }
}

TEST_P(MssqlTypes, a_hundred_thousand_rows_come_in_blocks) {
  const auto got = table("exec cenote_rows 100001");
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ((*got)->num_rows(), 100'001);
  for (const int64_t row : {0, 4095, 4096, 65'535, 65'536, 100'000}) {
    EXPECT_EQ(cell(**got, "n", row), std::to_string(row));
    EXPECT_EQ(cell(**got, "text", row), "row " + std::to_string(row));
  }
}

TEST_P(MssqlTypes, ingest_makes_columns_that_give_the_values_back) {
  using arrow::TimeUnit;
  const auto schema = arrow::schema(
      {arrow::field("bit", arrow::boolean()), arrow::field("tiny", arrow::uint8()),
       arrow::field("money", arrow::decimal128(19, 4)), arrow::field("day", arrow::date32()),
       arrow::field("clock", arrow::time64(TimeUnit::MICRO)),
       arrow::field("at", arrow::timestamp(TimeUnit::MICRO)),
       arrow::field("zoned", arrow::timestamp(TimeUnit::MICRO, "UTC")),
       arrow::field("text", arrow::utf8()), arrow::field("bytes", arrow::binary())});
  const std::vector<std::string> texts = {"true",
                                          "255",
                                          "-12.3456",
                                          "2024-02-29",
                                          "23:59:59.123456",
                                          "1969-12-31 23:59:59.123456",
                                          "2024-02-29 12:00:00.123456Z",
                                          "\U0001f600"};
  arrow::ArrayVector arrays;
  for (int i = 0; i < schema->num_fields(); ++i) {
    std::unique_ptr<arrow::ArrayBuilder> builder =
        arrow::MakeBuilder(schema->field(i)->type()).ValueOrDie();
    const auto scalar = i == 8 ? std::make_shared<arrow::BinaryScalar>(
                                     arrow::Buffer::FromString(std::string("\0\1", 2)))
                               : parsed(schema->field(i)->type(), texts[static_cast<size_t>(i)]);
    ASSERT_TRUE(builder->AppendScalar(*scalar, 2500).ok());
    ASSERT_TRUE(builder->AppendNull().ok());
    arrays.push_back(builder->Finish().ValueOrDie());
  }
  const auto batch = arrow::RecordBatch::Make(schema, 2501, arrays);
  const auto reader = arrow::RecordBatchReader::Make({batch}).ValueOrDie();
  const auto done = connection_->ingest(context(), {"cenote_back", IngestMode::kReplace}, *reader);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(*done, 2501);
  const auto got = table("select * from cenote_back");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE((*got)->schema()->Equals(*schema, false)) << (*got)->schema()->ToString();
  for (int i = 0; i < schema->num_fields(); ++i) {
    EXPECT_TRUE((*got)->column(i)->Equals(arrow::ChunkedArray(arrays[static_cast<size_t>(i)])))
        << schema->field(i)->name() << " "
        << (*got)->column(i)->GetScalar(2500).ValueOrDie()->ToString();
  }
  drop_table("cenote_back");
}

TEST_P(MssqlTypes, a_statement_can_be_described_without_running_it) {
  make_table("cenote_described", "a int, b decimal(5,2), c nvarchar(20), d date");
  for (const char* sql : {"select a, b, c, d as e from cenote_described where a = ? and c > ?",
                          "select a, b, c, d as e from cenote_described where a = @x and c > @y"}) {
    const auto info = connection_->describe(context(), sql);
    ASSERT_TRUE(info.ok()) << sql << ": " << info.status();
    ASSERT_NE(info->rows, nullptr) << sql;
    EXPECT_EQ(info->rows->ToString(), "a: int32\nb: decimal128(5, 2)\nc: string\ne: date32[day]");
    ASSERT_EQ(info->parameters->num_fields(), 2) << sql;
    // FreeTDS does not tell.
    const auto type = microsoft() ? arrow::Type::INT32 : arrow::Type::NA;
    EXPECT_EQ(info->parameters->field(0)->type()->id(), type);
  }
  const auto write =
      connection_->describe(context(), "insert into cenote_described (a) values (1)");
  ASSERT_TRUE(write.ok()) << write.status();
  EXPECT_EQ(write->rows, nullptr);
  EXPECT_EQ(value("select count(*) from cenote_described"), "0");
  EXPECT_FALSE(connection_->describe(context(), "selec 1").ok());
  EXPECT_EQ(value("select 1"), "1");
  drop_table("cenote_described");
}

}  // namespace
}  // namespace cenote
