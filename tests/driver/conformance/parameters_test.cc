// Every driver: placeholders and what is bound to them.
#include <arrow/api.h>

#include "driver/drivers.h"

namespace cenote {
namespace {

class Parameters : public DriverTest {
 protected:
  void SetUp() override {
    DriverTest::SetUp();
    if (!connection_) return;
    make_table("cenote_params", "a " + GetParam().int64_type + ", b " + GetParam().double_type +
                                    ", c " + GetParam().text_type + ", d " +
                                    GetParam().binary_type);
  }
  void TearDown() override {
    if (connection_) drop_table("cenote_params");
  }
};
CENOTE_ALL_DRIVERS(Parameters);

TEST_P(Parameters, values_go_in_and_come_back) {
  const auto bytes = std::make_shared<arrow::BinaryScalar>(
      arrow::Buffer::FromString(std::string("\0\xff\x01", 3)));
  const auto done = execute("insert into cenote_params values (?, ?, ?, ?)",
                            Params::of(7, 2.5, "it's ? äöü", bytes));
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(*done, 1);
  const auto got = table("select a, b, c, d from cenote_params");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*(*got)->column(0)->GetScalar(0))->ToString(), "7");
  EXPECT_EQ((*(*got)->column(1)->GetScalar(0))->ToString(), "2.5");
  EXPECT_EQ((*(*got)->column(2)->GetScalar(0))->ToString(), "it's ? äöü");
  EXPECT_TRUE((*(*got)->column(3)->GetScalar(0))->Equals(*bytes));
}

TEST_P(Parameters, nulls_go_in_as_null) {
  ASSERT_TRUE(execute("insert into cenote_params values (?, ?, ?, null)",
                      Params::of(nullptr, nullptr, nullptr))
                  .ok());
  EXPECT_EQ(value("select count(*) from cenote_params "
                  "where a is null and b is null and c is null"),
            "1");
}

TEST_P(Parameters, every_style_of_placeholder_works) {
  ASSERT_TRUE(execute("insert into cenote_params (a, c) values ($2, $1)", Params::of("x", 1)).ok());
  for (const char* placeholder : {":who", "@who", "$who"}) {
    Params params;
    params.add("who", Params::scalar(1));
    EXPECT_EQ(value("select c from cenote_params where a = " + std::string(placeholder), params),
              "x")
        << placeholder;
  }
  EXPECT_EQ(value("select c from cenote_params where a = ?", Params::of(1)), "x");
  EXPECT_EQ(value("select c from cenote_params where a = $1", Params::of(1)), "x");
}

TEST_P(Parameters, text_that_looks_like_sql_stays_text) {
  const std::string evil = "'); drop table cenote_params; --";
  ASSERT_TRUE(execute("insert into cenote_params (c) values (?)", Params::of(evil)).ok());
  EXPECT_EQ(value("select c from cenote_params where c = ?", Params::of(evil)), evil);
}

TEST_P(Parameters, too_few_and_too_many_are_refused_before_anything_is_done) {
  const auto few = execute("insert into cenote_params (a, c) values (?, ?)", Params::of(1));
  EXPECT_EQ(error_kind(few.status()), ErrorKind::kInterface) << few.status();
  const auto many = execute("insert into cenote_params (a) values (?)", Params::of(1, 2));
  EXPECT_EQ(error_kind(many.status()), ErrorKind::kInterface) << many.status();
  EXPECT_EQ(value("select count(*) from cenote_params"), "0");
}

TEST_P(Parameters, a_name_that_the_statement_does_not_have_is_refused_by_name) {
  Params params;
  params.add("a", Params::scalar(1)).add("nobody", Params::scalar(2));
  const auto refused = execute("insert into cenote_params (a) values (:a)", params);
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kInterface) << refused.status();
  EXPECT_NE(refused.status().message().find("nobody"), std::string::npos) << refused.status();
  EXPECT_EQ(value("select count(*) from cenote_params"), "0");
}

TEST_P(Parameters, a_placeholder_without_a_value_is_an_error) {
  Params params;
  params.add("a", Params::scalar(1));
  EXPECT_FALSE(execute("insert into cenote_params (a, b) values (:a, :b)", params).ok());
  EXPECT_FALSE(execute("insert into cenote_params (a) values (?)").ok());
  EXPECT_FALSE(execute("insert into cenote_params (a) values ($3)", Params::of(1, 2)).ok());
  EXPECT_EQ(value("select count(*) from cenote_params"), "0");
}

TEST_P(Parameters, one_name_may_stand_in_many_places) {
  Params params;
  params.add("x", Params::scalar(3)).add("y", Params::scalar("t"));
  ASSERT_TRUE(execute("insert into cenote_params values (:x, :x, :y, null)", params).ok());
  EXPECT_EQ(value("select count(*) from cenote_params where a = @x and b = @x and c = @y", params),
            "1");
  EXPECT_EQ(value("select count(*) from cenote_params where a = $1 and b = $1 and c = $2",
                  Params::of(3, "t")),
            "1");
}

TEST_P(Parameters, a_placeholder_may_touch_what_stands_around_it) {
  ASSERT_TRUE(execute("insert into cenote_params (a)values(?)", Params::of(5)).ok());
  EXPECT_EQ(value("select count(*) from cenote_params where a=?and a=?", Params::of(5, 5)), "1");
}

TEST_P(Parameters, every_type_goes_in_and_comes_back) {
  const DriverCase& words = GetParam();
  const std::pair<std::string, std::shared_ptr<arrow::Scalar>> kValues[] = {
      {words.bool_type, std::make_shared<arrow::BooleanScalar>(true)},
      {words.int64_type, std::make_shared<arrow::Int64Scalar>(INT64_MIN)},
      {words.double_type, std::make_shared<arrow::DoubleScalar>(-1.7976931348623157e308)},
      {words.double_type, std::make_shared<arrow::DoubleScalar>(0.1)},
      {words.text_type, std::make_shared<arrow::StringScalar>("naïve 名前 𝄞 '\"\\ \n\t")},
      {words.text_type, std::make_shared<arrow::StringScalar>("")},
      {words.date_type, std::make_shared<arrow::Date32Scalar>(-719162)},  // 0001-01-01
      {words.date_type, std::make_shared<arrow::Date32Scalar>(2932896)},  // 9999-12-31
      {words.time_type,
       std::make_shared<arrow::Time64Scalar>(86'399'999'999, arrow::TimeUnit::MICRO)},
      {words.timestamp_type,
       std::make_shared<arrow::TimestampScalar>(-1, arrow::timestamp(arrow::TimeUnit::MICRO))},
      {words.timestamp_type,
       std::make_shared<arrow::TimestampScalar>(253'402'300'799'999'999,
                                                arrow::timestamp(arrow::TimeUnit::MICRO))},
  };
  for (const auto& [type, in] : kValues) {
    make_table("cenote_typed", "v " + type);
    Params params;
    params.values.push_back(in);
    const auto done = execute("insert into cenote_typed values (?)", params);
    ASSERT_TRUE(done.ok()) << type << ": " << done.status();
    const auto got = table("select v from cenote_typed");
    ASSERT_TRUE(got.ok()) << type << ": " << got.status();
    const auto out = (*got)->column(0)->GetScalar(0).ValueOrDie();
    const auto cast = out->CastTo(in->type);
    EXPECT_TRUE(cast.ok() && (*cast)->Equals(*in))
        << type << ": " << in->ToString() << " came back as " << out->ToString();
    drop_table("cenote_typed");
  }
}

TEST_P(Parameters, a_decimal_keeps_every_digit) {
  make_table("cenote_typed", "v " + GetParam().decimal_type);
  Params params;
  params.values.push_back(std::make_shared<arrow::Decimal128Scalar>(
      arrow::Decimal128("1234567890123456.7890"), arrow::decimal128(20, 4)));
  const auto done = execute("insert into cenote_typed values (?)", params);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(value("select v from cenote_typed"), "1234567890123456.7890");
  drop_table("cenote_typed");
}

}  // namespace
}  // namespace cenote
