// Values and shapes at the edge, through a pool of each kind: no byte is lost, or the error is
// clear and the pool goes on.
#include <numeric>

#include "faults/pools.h"

namespace cenote {
namespace {

struct ValuesCase {
  std::string name;
  std::string bytes_type;
  std::string zero_columns;  // a statement whose rows have no columns; empty where there is none
  std::string big_text;      // a text of 100,000,000 bytes
};

class Values : public testing::TestWithParam<ValuesCase> {
 protected:
  void SetUp() override {
    if (GetParam().name == "sqlite") {
      PoolConfig config;
      config.id = "values";
      config.type = "sqlite";
      config.config["database"] = ":memory:";
      pool_ = open_pool(std::move(config));
      return;
    }
    server_ = shared_server();
    if (server_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
    pool_ = open_pool(postgresql_config("values", server_->port()));
  }
  void TearDown() override {
    if (!pool_) return;
    EXPECT_EQ(value(*pool_, "select 1"), "1");
    EXPECT_EQ(pool_->get_status().active, 0);
    EXPECT_LE(pool_->get_status().total, pool_->get_status().max);
    if (server_ != nullptr) server_->expect_sessions("values", pool_->get_status().total);
  }
  static std::shared_ptr<arrow::Scalar> bytes(const std::string& value) {
    return std::make_shared<arrow::BinaryScalar>(arrow::Buffer::FromString(value));
  }

  PostgresServer* server_ = nullptr;
  std::shared_ptr<LocalPool> pool_;
};

void PrintTo(const ValuesCase& each, std::ostream* out) {
  *out << each.name;
}

INSTANTIATE_TEST_SUITE_P(
    Pools, Values,
    testing::Values(ValuesCase{"sqlite", "blob", "", "select printf('%.*c', 100000000, 'x')"},
                    ValuesCase{"postgresql", "bytea", "select from generate_series(1, 3)",
                               "select repeat('x', 100000000)"}),
    [](const testing::TestParamInfo<ValuesCase>& info) { return info.param.name; });

TEST_P(Values, every_byte_goes_in_and_comes_back) {
  std::string all(256, '\0');
  std::iota(all.begin(), all.end(), '\0');
  const auto got = pool_->execute_query("select cast(? as " + GetParam().bytes_type + ")",
                                        Params::of(bytes(all)));
  ASSERT_TRUE(got.ok()) << got.status();
  const auto cell = (*got)->column(0)->GetScalar(0).ValueOrDie();
  EXPECT_EQ(static_cast<const arrow::BaseBinaryScalar&>(*cell).view(), all);
}

TEST_P(Values, a_nul_in_text_comes_back_or_is_refused_and_never_cuts_the_text) {
  const std::string text("before\0after", 12);
  const auto got = pool_->execute_query("select cast(? as text)", Params::of(text));
  if (got.ok()) {
    const auto cell = (*got)->column(0)->GetScalar(0).ValueOrDie();
    EXPECT_EQ(static_cast<const arrow::BaseBinaryScalar&>(*cell).view(), text);
  } else {
    expect_clear(got.status(), ErrorKind::kData, "values");
  }
}

TEST_P(Values, a_nul_in_a_statement_is_refused_and_nothing_of_it_is_done) {
  const std::string sql("select 1\0; drop table t", 23);
  const Status status = pool_->execute_query(sql).status();
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(error_kind(status) == ErrorKind::kProgramming ||
              error_kind(status) == ErrorKind::kInterface)
      << status;
}

TEST_P(Values, text_that_is_no_utf8_comes_back_as_it_is_or_is_refused) {
  const std::string text = "a\xFF\xC0\x80z";
  const auto got = pool_->execute_query("select cast(? as text)", Params::of(text));
  if (got.ok()) {
    const auto cell = (*got)->column(0)->GetScalar(0).ValueOrDie();
    EXPECT_EQ(static_cast<const arrow::BaseBinaryScalar&>(*cell).view(), text);
    EXPECT_TRUE((*got)->ValidateFull().ok()) << "a string column holds UTF-8";
  } else {
    expect_clear(got.status(), ErrorKind::kData, "values");
  }
}

TEST_P(Values, a_cell_of_a_hundred_megabytes_goes_in_and_comes_back) {
  const auto got = pool_->execute_query(GetParam().big_text);
  ASSERT_TRUE(got.ok()) << got.status();
  const auto cell = (*got)->column(0)->GetScalar(0).ValueOrDie();
  const std::string_view view = static_cast<const arrow::BaseBinaryScalar&>(*cell).view();
  EXPECT_EQ(view.size(), 100'000'000U);
  EXPECT_EQ(view.find_first_not_of('x'), std::string_view::npos);
  EXPECT_EQ(value(*pool_, "select length(cast(? as text))", Params::of(cell)), "100000000");
  auto stream = pool_->execute_stream(GetParam().big_text);
  ASSERT_TRUE(stream.ok()) << stream.status();
  const auto table = (*stream)->ToTable();
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->num_rows(), 1);
}

TEST_P(Values, rows_without_columns_are_counted) {
  if (GetParam().zero_columns.empty()) GTEST_SKIP() << "its SQL has no such statement";
  const auto got = pool_->execute_query(GetParam().zero_columns);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->num_columns(), 0);
  EXPECT_EQ((*got)->num_rows(), 3);
}

TEST_P(Values, no_rows_have_their_columns) {
  for (const bool whole : {true, false}) {
    auto stream = pool_->execute_stream("select 1 as a, 'x' as b where 1 = 0");
    ASSERT_TRUE(stream.ok()) << stream.status();
    const auto got =
        whole ? pool_->execute_query("select 1 as a, 'x' as b where 1 = 0") : (*stream)->ToTable();
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ((*got)->num_rows(), 0);
    ASSERT_EQ((*got)->num_columns(), 2);
    EXPECT_EQ((*got)->schema()->field(1)->name(), "b");
  }
}

TEST_P(Values, columns_of_one_name_all_come) {
  const auto got = pool_->execute_query("select 1 as a, 2 as a, 3 as b, 4 as a");
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ((*got)->num_columns(), 4);
  std::string text;
  for (int i = 0; i < 4; ++i) {
    text += (*got)->schema()->field(i)->name() + "=" +
            (*(*got)->column(i)->GetScalar(0))->ToString() + " ";
  }
  EXPECT_EQ(text, "a=1 a=2 b=3 a=4 ");
}

TEST_P(Values, a_statement_of_a_megabyte_runs) {
  const std::string sql = "select length('" + std::string(1'000'000, 'y') + "')";
  EXPECT_EQ(value(*pool_, sql), "1000000");
  // And does not come back whole in a message or a leak log.
  const Status wrong = pool_->execute_query("selec" + std::string(1'000'000, 'y')).status();
  ASSERT_FALSE(wrong.ok());
  EXPECT_LT(wrong.ToString().size(), 10'000U);
}

}  // namespace
}  // namespace cenote
