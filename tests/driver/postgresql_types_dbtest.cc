// PostgreSQL's types in Arrow, as docs/types-postgresql.md promises; each by COPY and as the
// result of a prepared statement.
#include "driver/postgresql_case.h"

namespace cenote {
namespace {

class PostgresqlTypes : public PostgresqlCase {
 protected:
  // What a literal becomes on each way in which rows are read.
  void expect(const std::string& literal, const std::string& arrow_type, const std::string& value) {
    const std::string sql = "select " + literal;
    EXPECT_EQ(type(sql), arrow_type) << literal;
    EXPECT_EQ(text(sql), value) << literal << ", prepared";
    EXPECT_EQ(text(sql + " from generate_series(1, 5000)"), value) << literal << ", by COPY";
    EXPECT_EQ(text(sql + " from generate_series(1, 5000)"), value) << literal << ", by COPY again";
    EXPECT_EQ(text("select (" + literal + ") from (select $1::int) x", Params::of(1)), value)
        << literal << ", with a parameter";
    EXPECT_EQ(text("select nullif(1, $1), " + literal, Params::of(1)), "null");
  }
  void expect_refused(const std::string& literal, const std::string& hint) {
    for (const bool whole : {true, false}) {
      const auto got = table("select 1 as fine, " + literal + " as bad", {}, whole);
      EXPECT_EQ(error_kind(got.status()), ErrorKind::kData) << literal << ": " << got.status();
      const std::string said = got.status().ToString();
      EXPECT_NE(said.find("column 'bad'"), std::string::npos) << said;
      EXPECT_NE(said.find("row 1 "), std::string::npos) << said;
      EXPECT_NE(said.find(hint), std::string::npos) << said;
      EXPECT_EQ(text("select 1"), "1");
    }
  }
};

TEST_F(PostgresqlTypes, numbers) {
  expect("'-32768'::int2", "int16", "-32768");
  expect("2147483647::int4", "int32", "2147483647");
  expect("'-9223372036854775808'::int8", "int64", "-9223372036854775808");
  expect("1.5::float4", "float", "1.5");
  expect("'-Infinity'::float8", "double", "-inf");
  expect("4294967295::oid", "uint32", "4294967295");
  expect("true", "bool", "true");
}

TEST_F(PostgresqlTypes, texts_and_bytes) {
  expect("'é'::text", "string", "é");
  expect("'é'::varchar(3)", "string", "é");
  expect("'é'::char(3)", "string", "é  ");
  expect("'a_name'::name", "string", "a_name");
  expect("'x'::\"char\"", "string", "x");
  expect("''::text", "string", "");
  expect("'\\x00ff'::bytea", "binary", std::string("\0\xff", 2));
  expect("'{\"a\": 1}'::jsonb", "string", "{\"a\": 1}");
  expect("'{\"a\":1}'::json", "string", "{\"a\":1}");
  expect("'<a/>'::xml", "string", "<a/>");
  EXPECT_EQ(text("select chr(200)::\"char\""), "\\303");
  EXPECT_EQ(database_type("select '{}'::jsonb"), "jsonb");
  EXPECT_EQ(database_type("select 'x'::text"), "");
}

TEST_F(PostgresqlTypes, times) {
  expect("'2024-02-29'::date", "date32[day]", "2024-02-29");
  expect("'0044-03-15 BC'::date", "date32[day]", "-0043-03-15");
  expect("'12:34:56.789012'::time", "time64[us]", "12:34:56.789012");
  expect("'12:34:56.78+02:30'::timetz", "string", "12:34:56.78+02:30");
  expect("'12:34:56-08'::timetz", "string", "12:34:56-08");
  expect("'1969-12-31 23:59:59.999999'::timestamp", "timestamp[us]", "1969-12-31 23:59:59.999999");
  expect("'2024-07-01 12:00:00+02'::timestamptz", "timestamp[us, tz=UTC]",
         "2024-07-01 10:00:00.000000Z");
  expect("'1 year 2 mons 3 days 00:00:04.5'::interval", "month_day_nano_interval",
         "14M3d4500000000ns");
}

TEST_F(PostgresqlTypes, a_timestamp_with_zone_is_utc_whatever_the_session_thinks) {
  ASSERT_TRUE(execute("set time zone 'Asia/Tokyo'").ok());
  EXPECT_EQ(text("select '2024-07-01 12:00:00+02'::timestamptz"), "2024-07-01 10:00:00.000000Z");
}

TEST_F(PostgresqlTypes, uuids_are_arrows_own) {
  const std::string sql = "select '00112233-4455-6677-8899-aabbccddeeff'::uuid";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(type(sql), "extension<arrow.uuid>");
    const auto value = table(sql).ValueOrDie()->column(0)->GetScalar(0).ValueOrDie();
    EXPECT_EQ(static_cast<const arrow::ExtensionScalar&>(*value).value->ToString(),
              std::string("\0\x11\"3DUfw\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16));
  }
}

TEST_F(PostgresqlTypes, a_declared_numeric_is_an_exact_decimal) {
  expect("'-12345.67'::numeric(10,3)", "decimal128(10, 3)", "-12345.670");
  expect("0::numeric(18,4)", "decimal128(18, 4)", "0.0000");
  expect("'99999999999999.9999'::numeric(18,4)", "decimal128(18, 4)", "99999999999999.9999");
  expect("'0.00000000000000000000000000000000000001'::numeric(38,38)", "decimal128(38, 38)",
         "1E-38");
  expect("'12345678901234567890123456789012345678'::numeric(38,0)", "decimal128(38, 0)",
         "12345678901234567890123456789012345678");
  expect("'-123456789012345678901234567890123456789012345678901234.5'::numeric(60,1)",
         "decimal256(60, 1)", "-123456789012345678901234567890123456789012345678901234.5");
  expect("123456::numeric(3,-4)", "decimal128(7, 0)", "120000");
  expect("0.00012::numeric(2,5)", "decimal128(5, 5)", "0.00012");
  expect("1::numeric(100,2)", "string", "1.00");
  EXPECT_EQ(database_type("select 1::numeric(5,1)"), "numeric");
}

TEST_F(PostgresqlTypes, a_plain_numeric_is_settled_over_a_whole_result) {
  EXPECT_EQ(type("select 1.25::numeric union all select 2.5"), "decimal128(38, 2)");
  EXPECT_EQ(text("select 1.25::numeric union all select 2.5"), "1.25");
  EXPECT_EQ(text("select 2.5::numeric union all select 1.25"), "2.50");
  EXPECT_EQ(type("select null::numeric"), "decimal128(38, 0)");
  EXPECT_EQ(type("select 10::numeric ^ 50"), "decimal256(76, 16)");
  EXPECT_EQ(type("select 10::numeric ^ 100"), "string");
  EXPECT_EQ(type("select 1::numeric union all select 'NaN'"), "string");
  EXPECT_EQ(text("select 'NaN'::numeric union all select 1.50"), "NaN");
  EXPECT_EQ(text("select '-Infinity'::numeric"), "-Infinity");
  EXPECT_EQ(text("select sum(x::numeric) from generate_series(1, 100000) x"), "5000050000");
  EXPECT_EQ(text("select 0.1::numeric + $1::numeric", Params::of("0.2")), "0.3");
}

TEST_F(PostgresqlTypes, a_plain_numeric_is_settled_over_all_batches) {
  BatchLimits limits;
  limits.rows = 100;
  limits.whole = true;
  auto reader =
      conn_->query(context(), "select x::numeric / 8 from generate_series(1, 1000) x", {}, limits);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto got = (*reader)->ToTable().ValueOrDie();
  EXPECT_EQ(got->num_rows(), 1000);
  ASSERT_TRUE(got->ValidateFull().ok());
  EXPECT_EQ(got->field(0)->type()->id(), arrow::Type::DECIMAL128);
}

TEST_F(PostgresqlTypes, a_plain_numeric_is_text_in_a_stream) {
  EXPECT_EQ(type("select 1.25::numeric", false), "string");
  EXPECT_EQ(text("select -1.250::numeric", {}, false), "-1.250");
  EXPECT_EQ(text("select 12345678.00012::numeric", {}, false), "12345678.00012");
  EXPECT_EQ(text("select 1e-10::numeric", {}, false), "0.0000000001");
  EXPECT_EQ(text("select 1e20::numeric", {}, false), "100000000000000000000");
  EXPECT_EQ(text("select 'Infinity'::numeric", {}, false), "Infinity");
}

TEST_F(PostgresqlTypes, arrays_are_lists) {
  expect("'{1,NULL,3}'::int4[]", "list<item: int32>", "list<item: int32>[1, null, 3]");
  expect("'{}'::text[]", "list<item: string>", "list<item: string>[]");
  expect("'{1.50,NULL}'::numeric(5,2)[]", "list<item: decimal128(5, 2)>",
         "list<item: decimal128(5, 2)>[1.50, null]");
  expect("'{1.50}'::numeric[]", "list<item: string>", "list<item: string>[1.50]");
  expect("'{a,\"b,c\"}'::varchar[]", "list<item: string>", "list<item: string>[a, b,c]");
  expect("'{2024-01-01}'::date[]", "list<item: date32[day]>",
         "list<item: date32[day]>[2024-01-01]");
  expect("null::int8[]", "list<item: int64>", "null");
  expect("'[5:6]={1,2}'::int2[]", "list<item: int16>", "list<item: int16>[1, 2]");
}

TEST_F(PostgresqlTypes, lists_keep_their_rows_apart) {
  const auto got =
      table(
          "select case when x % 3 = 0 then null else array(select generate_series(1, x % 4)) end "
          "from generate_series(1, 3000) x")
          .ValueOrDie();
  ASSERT_TRUE(got->ValidateFull().ok());
  EXPECT_EQ(got->column(0)->null_count(), 1000);
  EXPECT_EQ(got->column(0)->GetScalar(6).ValueOrDie()->ToString(), "list<item: int32>[1, 2, 3]");
}

TEST_F(PostgresqlTypes, enums_and_domains_read_as_what_they_are_made_of) {
  ASSERT_TRUE(execute("drop type if exists cenote_mood cascade").ok());
  ASSERT_TRUE(execute("drop domain if exists cenote_price cascade").ok());
  ASSERT_TRUE(execute("create type cenote_mood as enum ('sad', 'ok')").ok());
  ASSERT_TRUE(execute("create domain cenote_price as numeric(8,2)").ok());
  expect("'ok'::cenote_mood", "string", "ok");
  EXPECT_EQ(database_type("select 'ok'::cenote_mood"), "cenote_mood");
  expect("'{sad,NULL}'::cenote_mood[]", "list<item: string>", "list<item: string>[sad, null]");
  expect("1.5::cenote_price", "decimal128(8, 2)", "1.50");
  expect("'{1.5}'::cenote_price[]", "list<item: string>", "list<item: string>[1.50]");
  ASSERT_TRUE(execute("drop type cenote_mood").ok());
  ASSERT_TRUE(execute("drop domain cenote_price").ok());
}

TEST_F(PostgresqlTypes, an_unknown_type_is_text_and_keeps_its_name) {
  expect("'10.0.0.1/8'::inet", "string", "10.0.0.1/8");
  expect("'08:00:2b:01:02:03'::macaddr", "string", "08:00:2b:01:02:03");
  expect("'[1,5)'::int4range", "string", "[1,5)");
  expect("'101'::bit(3)", "string", "101");
  expect("'(1,2)'::point", "string", "(1,2)");
  expect("row(1, 'x')", "string", "(1,x)");
  expect("'pg_class'::regclass", "string", "pg_class");
  expect("'{10.0.0.1,NULL}'::inet[]", "list<item: string>", "list<item: string>[10.0.0.1, null]");
  EXPECT_EQ(database_type("select '10.0.0.1'::inet"), "inet");
  EXPECT_EQ(database_type("select '{10.0.0.1}'::inet[]"), "inet[]");
}

TEST_F(PostgresqlTypes, money_is_an_exact_decimal) {
  expect("'-1234.56'::money", "decimal128(23, 4)", "-1234.5600");
  EXPECT_EQ(database_type("select 1::money"), "money");
}

TEST_F(PostgresqlTypes, unknown_types_beside_others_leave_order_and_names_alone) {
  const auto got = table(
      "select x as n, ('10.0.0.' || x)::inet as a, x::text as a from generate_series(1, 5) x "
      "order by x desc -- and a comment");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->field(1)->name(), "a");
  EXPECT_EQ((*got)->field(2)->name(), "a");
  EXPECT_EQ((*got)->field(0)->type()->ToString(), "int32");
  EXPECT_EQ((*got)->column(0)->GetScalar(0).ValueOrDie()->ToString(), "5");
  EXPECT_EQ((*got)->column(1)->GetScalar(0).ValueOrDie()->ToString(), "10.0.0.5");
}

TEST_F(PostgresqlTypes, a_write_may_return_an_unknown_type) {
  ASSERT_TRUE(execute("create temp table hosts (id int, address inet)").ok());
  EXPECT_EQ(text("insert into hosts values (1, '10.0.0.1') returning address"), "10.0.0.1");
  EXPECT_EQ(text("update hosts set id = $1 returning address", Params::of(2)), "10.0.0.1");
  const auto refused =
      table("with gone as (delete from hosts returning address) select * from gone");
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kNotSupported) << refused.status();
  EXPECT_EQ(text("select count(*) from hosts"), "1") << "the refused statement did something";
}

TEST_F(PostgresqlTypes, what_arrow_cannot_hold_is_refused_with_what_to_do) {
  expect_refused("'infinity'::date", "nullif");
  expect_refused("'-infinity'::date", "nullif");
  expect_refused("'infinity'::timestamp", "nullif");
  expect_refused("'-infinity'::timestamptz", "nullif");
  expect_refused("'24:00:00'::time", "text");
  expect_refused("'NaN'::numeric(5,2)", "text");
  expect_refused("'{{1,2},{3,4}}'::int[]", "to_json");
  expect_refused("'10000000 hours'::interval", "text");
}

TEST_F(PostgresqlTypes, a_refused_value_names_its_row) {
  const auto got = table(
      "select case when x = 4000 then 'infinity'::date else '2024-01-01' end as d "
      "from generate_series(1, 5000) x");
  EXPECT_NE(got.status().ToString().find("row 4000 "), std::string::npos) << got.status();
  EXPECT_TRUE(conn_->usable());
  EXPECT_EQ(text("select 1"), "1");
}

TEST_F(PostgresqlTypes, zero_columns_still_have_rows) {
  const auto got = table("select from generate_series(1, 3)").ValueOrDie();
  EXPECT_EQ(got->num_columns(), 0);
  EXPECT_EQ(got->num_rows(), 3);
}

TEST_F(PostgresqlTypes, a_cell_of_100_megabytes_arrives) {
  for (const bool whole : {true, false}) {
    const auto got = table("select repeat('x', 100000000)", {}, whole);
    ASSERT_TRUE(got.ok()) << got.status();
    const auto value = (*got)->column(0)->GetScalar(0).ValueOrDie();
    EXPECT_EQ(static_cast<const arrow::StringScalar&>(*value).value->size(), 100'000'000);
  }
}

TEST_F(PostgresqlTypes, a_batch_ends_at_its_bytes_too) {
  BatchLimits limits;
  limits.bytes = 100'000;
  for (const Params& params : {Params(), Params::of(100)}) {
    const std::string count = params.empty() ? "100" : "$1";
    auto reader =
        conn_->query(context(), "select repeat('x', 10000) from generate_series(1, " + count + ")",
                     params, limits);
    ASSERT_TRUE(reader.ok()) << reader.status();
    const auto batches = (*reader)->ToRecordBatches().ValueOrDie();
    EXPECT_EQ(batches.size(), 10U);
    for (const auto& batch : batches) EXPECT_TRUE(batch->ValidateFull().ok());
  }
}

}  // namespace
}  // namespace cenote
