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

}  // namespace
}  // namespace cenote
