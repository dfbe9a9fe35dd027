// Which question marks are placeholders, and what becomes of them.
#include "driver/placeholders.h"

#include <gtest/gtest.h>

namespace cenote {
namespace {

constexpr SqlDialect kPostgres{
    .numbered = true, .dollar_quotes = true, .escape_strings = true, .nested_comments = true};
constexpr SqlDialect kPlain{.bracket_identifiers = true};

std::string bound(std::string_view sql, const Params& params, const SqlDialect& dialect) {
  const Result<BoundStatement> result = bind_placeholders(sql, params, dialect);
  if (!result.ok()) return "error: " + result.status().message();
  std::string text = result->sql + " [";
  for (const int index : result->order) text += std::to_string(index);
  return text + "]";
}

Params named(std::initializer_list<const char*> names) {
  Params params;
  for (const char* name : names) params.add(name, Params::scalar(1));
  return params;
}

TEST(Placeholders, question_marks_become_the_databases_own) {
  EXPECT_EQ(bound("select ?, ?", Params::of(1, 2), kPostgres), "select $1, $2 [01]");
  EXPECT_EQ(bound("select ?, ?", Params::of(1, 2), kPlain), "select ?, ? [01]");
}

TEST(Placeholders, a_number_stays_apart_from_its_neighbours) {
  EXPECT_EQ(bound("select 1 limit?", Params::of(1), kPostgres), "select 1 limit $1 [0]");
  EXPECT_EQ(bound("where a=?and b=?or 1", Params::of(1, 2), kPostgres),
            "where a=$1 and b=$2 or 1 [01]");
  // Not the eleventh parameter.
  EXPECT_EQ(bound("select ?1", Params::of(1), kPostgres), "select $1 1 [0]");
}

TEST(Placeholders, a_nul_byte_is_refused) {
  const auto refused = bind_placeholders(std::string_view("select 1\0; drop", 15), {}, kPlain);
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kProgramming);
}

TEST(Placeholders, strings_identifiers_and_comments_are_left_alone) {
  EXPECT_EQ(bound("select '?''?', \"a?\", ? -- ?\n/* ? /* ? */ ? */", Params::of(1), kPostgres),
            "select '?''?', \"a?\", $1 -- ?\n/* ? /* ? */ ? */ [0]");
  EXPECT_EQ(bound("select $q$ ? $x$ $q$, E'\\'?', ?", Params::of(1), kPostgres),
            "select $q$ ? $x$ $q$, E'\\'?', $1 [0]");
  EXPECT_EQ(bound("select [a?b]]?], ?", Params::of(1), kPlain), "select [a?b]]?], ? [0]");
}

TEST(Placeholders, numbers_may_repeat_and_leave_question_marks_to_operators) {
  EXPECT_EQ(bound("select $2, $1, $2", Params::of(1, 2), kPlain), "select ?, ?, ? [101]");
  EXPECT_EQ(bound("select d ? 'k' where a = $1", Params::of(1), kPostgres),
            "select d ? 'k' where a = $1 [0]");
  EXPECT_EQ(bound("select d ?? 'k' where a = ?", Params::of(1), kPostgres),
            "select d ? 'k' where a = $1 [0]");
}

TEST(Placeholders, names_are_found_in_all_three_spellings) {
  EXPECT_EQ(bound("select :a, @b, $a, :c::int, x[1:n]", named({"a", "b", "c"}), kPostgres),
            "select $1, $2, $1, $3::int, x[1:n] [012]");
  EXPECT_EQ(bound("declare @x int; select @x, @@rowcount, @a", named({"a"}), kPlain),
            "declare @x int; select @x, @@rowcount, ? [0]");
}

TEST(Placeholders, a_dictionarys_order_counts_where_there_are_only_question_marks) {
  EXPECT_EQ(bound("select ?, ?", named({"a", "b"}), kPlain), "select ?, ? [01]");
}

TEST(Placeholders, nothing_is_touched_without_parameters) {
  EXPECT_EQ(bound("select '{}'::jsonb ? 'a', $1, :x", {}, kPostgres),
            "select '{}'::jsonb ? 'a', $1, :x []");
}

TEST(Placeholders, too_few_too_many_and_unknown_are_errors_that_say_which) {
  EXPECT_NE(bound("select ?, ?", Params::of(1), kPlain).find("more placeholders"),
            std::string::npos);
  EXPECT_NE(bound("select ?", Params::of(1, 2), kPlain).find("parameter 2 is not used"),
            std::string::npos);
  EXPECT_NE(bound("select $3", Params::of(1), kPlain).find("$3 has no value"), std::string::npos);
  EXPECT_NE(bound("select :a", named({"a", "b"}), kPlain).find("'b' is not used"),
            std::string::npos);
}

TEST(Placeholders, the_first_keyword_is_found_behind_comments_and_brackets) {
  EXPECT_EQ(first_keyword("/* a */ -- b\n ((SELECT 1))", kPlain), "select");
  EXPECT_EQ(first_keyword("", kPlain), "");
}

}  // namespace
}  // namespace cenote
