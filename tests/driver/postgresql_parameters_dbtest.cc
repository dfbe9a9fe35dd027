// What is bound to a statement of PostgreSQL, and how the server comes to know its type.
#include <limits>

#include "driver/postgresql_case.h"

namespace cenote {
namespace {

// A list of these values and a null.
template <typename Builder, typename Value>
std::shared_ptr<arrow::Scalar> list_of(const std::vector<Value>& values) {
  Builder builder;
  for (const Value& value : values) EXPECT_TRUE(builder.Append(value).ok());
  EXPECT_TRUE(builder.AppendNull().ok());
  return std::make_shared<arrow::ListScalar>(builder.Finish().ValueOrDie());
}

class PostgresqlParameters : public PostgresqlCase {
 protected:
  static Params one(std::shared_ptr<arrow::Scalar> value) { return Params::of(std::move(value)); }
  void expect_all(const std::string& sql, const Params& params, const std::string& value) {
    EXPECT_EQ(text(sql, params), value) << sql;
    EXPECT_EQ(text(sql, params), value) << sql << ", prepared";
    ASSERT_TRUE(conn_->begin(context(), {}).ok());
    // In a transaction a first try that fails must not fail the transaction.
    EXPECT_EQ(text(sql + " -- in a transaction", params), value) << sql;
    EXPECT_EQ(text("select 1"), "1");
    ASSERT_TRUE(conn_->commit(context()).ok());
  }
};

TEST_F(PostgresqlParameters, an_integer_goes_wherever_an_integer_goes) {
  ASSERT_TRUE(execute("create temp table t (s int2, i int4, l int8, n numeric, r float8)").ok());
  ASSERT_TRUE(execute("insert into t values ($1, $2, $3, $4, $5)", Params::of(1, 2, 3, 4, 5)).ok());
  expect_all("select count(*) from t where s = ? and i = ? and l = ? and n = ? and r = ?",
             Params::of(1, 2, 3, 4, 5), "1");
  expect_all("select i + ? from t", Params::of(40), "42");
  expect_all("select sum(x) from generate_series(1, ?) x", Params::of(4), "10");
  expect_all("select substr('abcdef', ?, ?)", Params::of(2, 3), "bcd");
  expect_all("select date '2024-02-28' + ?", Params::of(2), "2024-03-01");
  expect_all("select '[10,20,30]'::jsonb -> ?", Params::of(1), "20");
  expect_all("select i from t limit ?", Params::of(1), "2");
  expect_all("select ?", Params::of(7), "7");
  EXPECT_EQ(table("select ?", Params::of(7)).ValueOrDie()->field(0)->type()->id(),
            arrow::Type::INT64);
  EXPECT_EQ(text("select count(*) from t where i = ?", Params::of(int64_t{1} << 40)), "0");
}

TEST_F(PostgresqlParameters, a_value_that_needs_another_type_than_the_last_gets_it) {
  expect_all("select substr('abcdef', ?)", Params::of(3), "cdef");
  const auto late = table("select substr('abcdef', ?)", Params::of(int64_t{1} << 40));
  EXPECT_FALSE(late.ok());
  EXPECT_EQ(text("select substr('abcdef', ?)", Params::of(4)), "def");
}

TEST_F(PostgresqlParameters, other_numbers) {
  expect_all("select round(?, 1)", Params::of(2.25), "2.3");
  expect_all("select ?::float8", Params::of(0.1), "0.1");
  expect_all("select ? = 'Infinity'::float8", Params::of(std::numeric_limits<double>::infinity()),
             "true");
  const auto decimal = std::make_shared<arrow::Decimal128Scalar>(
      arrow::Decimal128("12345678901234567890123456.789"), arrow::decimal128(29, 3));
  expect_all("select ? + 0.001", one(decimal), "12345678901234567890123456.790");
}

TEST_F(PostgresqlParameters, texts_are_whatever_the_statement_needs) {
  expect_all("select ?::date + 1", Params::of("2024-02-28"), "2024-02-29");
  expect_all("select date '2024-01-01' < ?", Params::of("2024-02-28"), "true");
  expect_all("select ?", Params::of("text"), "text");
  expect_all("select jsonb_build_object('a', ?)", Params::of("x"), "{\"a\": \"x\"}");
  expect_all("select concat(?, 1)", Params::of("x"), "x1");
  expect_all("select '{\"a\": 1}'::jsonb @> ?", Params::of("{\"a\": 1}"), "true");
}

TEST_F(PostgresqlParameters, nulls_take_any_type) {
  expect_all("select coalesce(?, 5)", Params::of(nullptr), "5");
  expect_all("select ? is null", Params::of(nullptr), "true");
  expect_all("select ?::date", Params::of(nullptr), "null");
}

TEST_F(PostgresqlParameters, times) {
  expect_all(
      "select ? + interval '1 day'",
      one(std::make_shared<arrow::TimestampScalar>(-1, arrow::timestamp(arrow::TimeUnit::MICRO))),
      "1970-01-01 23:59:59.999999");
  expect_all("select ?",
             one(std::make_shared<arrow::TimestampScalar>(
                 1'700'000'000, arrow::timestamp(arrow::TimeUnit::SECOND, "Europe/Rome"))),
             "2023-11-14 22:13:20.000000Z");
  expect_all("select ?", one(std::make_shared<arrow::Date32Scalar>(-719'529)), "-0001-12-31");
  expect_all("select ?", one(std::make_shared<arrow::Date32Scalar>(19'782)), "2024-02-29");
  expect_all("select ?",
             one(std::make_shared<arrow::Time64Scalar>(3'723'000'000'000,
                                                       arrow::time64(arrow::TimeUnit::NANO))),
             "01:02:03.000000");
  expect_all("select ?",
             one(std::make_shared<arrow::DurationScalar>(90'000, arrow::TimeUnit::MILLI)),
             "0M0d90000000000ns");
}

TEST_F(PostgresqlParameters, bytes_keep_their_zeros) {
  const auto bytes =
      std::make_shared<arrow::BinaryScalar>(arrow::Buffer::FromString(std::string("\0\xff\0", 3)));
  expect_all("select length(?)", one(bytes), "3");
  expect_all("select encode(?, 'hex')", one(bytes), "00ff00");
}

TEST_F(PostgresqlParameters, lists_are_arrays) {
  const auto numbers = list_of<arrow::Int64Builder, int64_t>({1, 3});
  ASSERT_TRUE(execute("create temp table t as select x::int4 as i, x::text as s "
                      "from generate_series(1, 5) x")
                  .ok());
  expect_all("select sum(i) from t where i = any(?)", one(numbers), "4");
  expect_all("select cardinality(?)", one(numbers), "3");
  expect_all("select '{3,9}'::int4[] && ?", one(numbers), "true");
  const auto texts =
      list_of<arrow::StringBuilder, std::string>({"1", "a \"quoted\\\" one, {NULL}", ""});
  expect_all("select count(*) from t where s = any(?)", one(texts), "1");
  expect_all("select (?::text[])[2]", one(texts), "a \"quoted\\\" one, {NULL}");
  expect_all("select (?::text[])[4] is null", one(texts), "true");
}

TEST_F(PostgresqlParameters, a_text_with_a_zero_byte_or_broken_utf8_is_refused_before_it_is_sent) {
  ASSERT_TRUE(conn_->begin(context(), {}).ok());
  for (const std::string& bad : {std::string("a\0b", 3), std::string("a\xff")}) {
    const Status refused = execute("select ?::text", Params::of(bad));
    EXPECT_EQ(error_kind(refused), ErrorKind::kData) << refused;
    EXPECT_NE(refused.ToString().find("bytea"), std::string::npos) << refused;
  }
  EXPECT_EQ(text("select 1"), "1") << "the transaction went on";
  ASSERT_TRUE(conn_->rollback(context()).ok());
}

TEST_F(PostgresqlParameters, a_fraction_of_a_microsecond_is_not_lost_silently) {
  const auto nanos =
      std::make_shared<arrow::TimestampScalar>(1'001, arrow::timestamp(arrow::TimeUnit::NANO));
  EXPECT_EQ(error_kind(execute("select ?", one(nanos))), ErrorKind::kData);
}

TEST_F(PostgresqlParameters, a_wrong_statement_says_so_in_its_own_types) {
  const Status wrong = execute("select no_such_function(?)", Params::of(1));
  EXPECT_EQ(error_kind(wrong), ErrorKind::kProgramming) << wrong;
  EXPECT_NE(wrong.ToString().find("no_such_function(bigint)"), std::string::npos) << wrong;
  EXPECT_EQ(text("select 1"), "1");
}

}  // namespace
}  // namespace cenote
