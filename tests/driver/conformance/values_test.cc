// Every driver: results, their types, nulls and shapes.
#include <algorithm>

#include <arrow/api.h>

#include "driver/drivers.h"

namespace cenote {
namespace {

class Values : public DriverTest {};
CENOTE_ALL_DRIVERS(Values);

TEST_P(Values, a_result_has_the_names_and_types_of_its_columns) {
  make_table("cenote_values", "a " + GetParam().int64_type + ", b " + GetParam().double_type +
                                  ", c " + GetParam().text_type);
  ASSERT_TRUE(execute("insert into cenote_values values (1, 2.5, 'drei')").ok());
  const auto got = table("select a, b, c from cenote_values");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->field(0)->name(), "a");
  EXPECT_EQ((*got)->field(0)->type()->id(), arrow::Type::INT64);
  EXPECT_EQ((*got)->field(1)->type()->id(), arrow::Type::DOUBLE);
  EXPECT_EQ((*got)->field(2)->type()->id(), arrow::Type::STRING);
  EXPECT_EQ((*(*got)->column(2)->GetScalar(0))->ToString(), "drei");
  drop_table("cenote_values");
}

TEST_P(Values, nulls_are_null_in_every_type) {
  make_table("cenote_nulls", "a " + GetParam().int64_type + ", b " + GetParam().double_type +
                                 ", c " + GetParam().text_type + ", d " + GetParam().binary_type);
  ASSERT_TRUE(execute("insert into cenote_nulls values (null, null, null, null)").ok());
  ASSERT_TRUE(execute("insert into cenote_nulls (a, b, c) values (0, 0, '')").ok());
  const auto got = table("select a, b, c, d from cenote_nulls order by a");
  ASSERT_TRUE(got.ok()) << got.status();
  for (int i = 0; i < 3; ++i) EXPECT_EQ((*got)->column(i)->null_count(), 1) << i;
  EXPECT_EQ((*got)->column(3)->null_count(), 2);
  drop_table("cenote_nulls");
}

TEST_P(Values, no_rows_have_a_schema_all_the_same) {
  make_table("cenote_empty", "a " + GetParam().int64_type + ", b " + GetParam().text_type);
  const auto got = table("select a, b from cenote_empty");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->num_rows(), 0);
  ASSERT_EQ((*got)->num_columns(), 2);
  EXPECT_EQ((*got)->field(0)->type()->id(), arrow::Type::INT64);
  EXPECT_EQ((*got)->field(1)->type()->id(), arrow::Type::STRING);
  drop_table("cenote_empty");
}

TEST_P(Values, a_statement_without_rows_has_no_columns) {
  make_table("cenote_silent", "a " + GetParam().int64_type);
  const auto got = table("insert into cenote_silent values (1)");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->num_columns(), 0);
  EXPECT_EQ(value("select count(*) from cenote_silent"), "1");
  drop_table("cenote_silent");
}

TEST_P(Values, columns_of_one_name_all_come) {
  const auto got = table("select 1 as x, 2 as x, 3 as x");
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ((*got)->num_columns(), 3);
  EXPECT_EQ((*got)->field(2)->name(), "x");
  EXPECT_EQ((*(*got)->column(2)->GetScalar(0))->ToString(), "3");
}

TEST_P(Values, batches_keep_to_the_limit_and_lose_no_row) {
  auto reader = connection_->query(context(), series(1000), {}, {.rows = 128});
  ASSERT_TRUE(reader.ok()) << reader.status();
  int64_t rows = 0;
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
    if (!batch) break;
    EXPECT_LE(batch->num_rows(), 128);
    EXPECT_TRUE(batch->schema()->Equals(*(*reader)->schema()));
    EXPECT_TRUE(batch->ValidateFull().ok());
    rows += batch->num_rows();
  }
  EXPECT_EQ(rows, 1000);
}

TEST_P(Values, the_limits_of_integers_survive) {
  make_table("cenote_limits", "a " + GetParam().int64_type);
  ASSERT_TRUE(execute("insert into cenote_limits values (?)", Params::of(INT64_MAX)).ok());
  EXPECT_EQ(value("select a from cenote_limits"), "9223372036854775807");
  ASSERT_TRUE(execute("update cenote_limits set a = ?", Params::of(INT64_MIN)).ok());
  EXPECT_EQ(value("select a from cenote_limits"), "-9223372036854775808");
  drop_table("cenote_limits");
}

TEST_P(Values, names_of_any_characters_come_as_they_are) {
  const auto got = table("select 1 as \"naïve \"\"名\"\" 𝄞\", 2 as \"select\", 3 as \" \"");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->field(0)->name(), "naïve \"名\" 𝄞");
  EXPECT_EQ((*got)->field(1)->name(), "select");
  EXPECT_EQ((*got)->field(2)->name(), " ");
}

TEST_P(Values, a_statement_of_a_megabyte_runs) {
  EXPECT_EQ(value("select 1 /* " + std::string(1'000'000, 'x') + " */"), "1");
  const std::string text(1'000'000, 'y');
  EXPECT_EQ(value("select '" + text + "'"), text);
}

TEST_P(Values, many_columns_keep_their_order) {
  std::string sql = "select 0 as c0";
  for (int i = 1; i < 500; ++i) {
    sql += ", ";
    sql += std::to_string(i) + " as c" + std::to_string(i);
  }
  const auto got = table(sql);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ((*got)->num_columns(), 500);
  for (const int i : {1, 250, 499}) {
    EXPECT_EQ((*got)->field(i)->name(), "c" + std::to_string(i));
    EXPECT_EQ((*(*got)->column(i)->GetScalar(0))->ToString(), std::to_string(i));
  }
}

TEST_P(Values, a_batch_ends_at_its_bytes_too) {
  const std::string text(1000, 'z');
  auto reader =
      connection_->query(context(), "select i, '" + text + "' as s from (" + series(200) + ") as n",
                         {}, {.rows = 1000, .bytes = 20'000});
  ASSERT_TRUE(reader.ok()) << reader.status();
  int64_t rows = 0;
  int64_t most = 0;
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
    if (!batch) break;
    rows += batch->num_rows();
    most = std::max(most, batch->num_rows());
  }
  EXPECT_EQ(rows, 200);
  EXPECT_LE(most, 40);
}

TEST_P(Values, one_reader_at_a_time_uses_a_connection) {
  auto reader = connection_->query(context(), series(1000), {}, {.rows = 10});
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(error_kind(connection_->query(context(), "select 1", {}, {}).status()),
            ErrorKind::kInterface);
  EXPECT_EQ(error_kind(execute("select 1").status()), ErrorKind::kInterface);
  const auto rest = (*reader)->ToTable();
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ((*rest)->num_rows(), 1000);
  EXPECT_EQ(value("select 1"), "1");
}

TEST_P(Values, affected_rows_are_counted) {
  make_table("cenote_affected", "a " + GetParam().int64_type);
  EXPECT_EQ(execute("insert into cenote_affected values (1), (2), (3)").ValueOr(-2), 3);
  EXPECT_EQ(execute("update cenote_affected set a = a + 1 where a > 1").ValueOr(-2), 2);
  EXPECT_EQ(execute("delete from cenote_affected where a > 100").ValueOr(-2), 0);
  EXPECT_EQ(execute("delete from cenote_affected").ValueOr(-2), 3);
  drop_table("cenote_affected");
}

}  // namespace
}  // namespace cenote
