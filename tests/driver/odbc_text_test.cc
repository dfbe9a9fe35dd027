// The parts of the ODBC driver that need no database: connection strings, encodings, decimals,
// calendars, errors by number.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include "driver/mssql/error.h"
#include "driver/odbc/database.h"
#include "driver/odbc/diagnostics.h"
#include "driver/odbc/types.h"
#include "driver/odbc/unicode.h"

namespace cenote::odbc {
namespace {

std::string written(ConnectionString::Quoting quoting, std::string_view value) {
  ConnectionString text(quoting);
  const Status added = text.add("PWD", value);
  return added.ok() ? text.text() : "refused";
}

TEST(OdbcText, values_of_a_connection_string_are_braced_only_where_they_must_be) {
  using enum ConnectionString::Quoting;
  EXPECT_EQ(written(kStandard, "plain"), "PWD=plain;");
  EXPECT_EQ(written(kStandard, "a;b"), "PWD={a;b};");
  EXPECT_EQ(written(kStandard, "a}b;"), "PWD={a}}b;};");
  EXPECT_EQ(written(kStandard, " a"), "PWD={ a};");
  EXPECT_EQ(written(kStandard, ""), "");
  EXPECT_EQ(written(kFreeTds, "a}b"), "PWD=a}b;");
  EXPECT_EQ(written(kFreeTds, "a;b}"), "PWD={a;b}};");
  EXPECT_EQ(written(kFreeTds, "{a"), "PWD={{a};");
  EXPECT_EQ(written(kFreeTds, "a};b"), "refused");
  EXPECT_EQ(written(kStandard, std::string_view("a\0b", 3)), "refused");
}

TEST(OdbcText, text_survives_utf16_and_what_is_malformed_is_replaced) {
  for (const char* text : {"", "ascii only, long enough for four", "\u00e4\u20ac\U0001f600",
                           "mixed \u00e4 and ascii again"}) {
    EXPECT_EQ(to_utf8(to_wide(text)), text);
  }
  const std::string nul("a\0b", 3);
  EXPECT_EQ(to_utf8(to_wide(nul)), nul);
  EXPECT_EQ(to_wide("\xff\xc3"), u"\xfffd\xfffd");
  EXPECT_EQ(to_wide("\xed\xa0\x80"), u"\xfffd\xfffd\xfffd");  // a surrogate in UTF-8
  EXPECT_EQ(to_utf8(std::u16string(1, char16_t{0xD800}) + u"a"), "\ufffda");
  EXPECT_EQ(to_utf8(std::u16string(1, char16_t{0xDC00})), "\ufffd");
}

TEST(OdbcText, decimals_are_read_exactly_or_refused) {
  const auto text = [](std::string_view digits, int scale) {
    const auto value = decimal128_of(digits, scale);
    return value.ok() ? value->ToString(scale) : std::string("refused");
  };
  EXPECT_EQ(text("12.50", 2), "12.50");
  EXPECT_EQ(text("-.5", 1), "-0.5");
  EXPECT_EQ(text("7", 4), "7.0000");
  EXPECT_EQ(text("-0", 0), "0");
  EXPECT_EQ(text("99999999999999999999999999999999999999", 0),
            "99999999999999999999999999999999999999");
  EXPECT_EQ(text("1.25", 1), "refused");
  EXPECT_EQ(text("x", 1), "refused");
  EXPECT_EQ(text("", 1), "refused");
  EXPECT_EQ(text("-", 0), "refused");
  EXPECT_EQ(text(".", 0), "refused");
}

TEST(OdbcText, moments_keep_their_ticks_over_all_years) {
  for (const int64_t ticks :
       {int64_t{0}, int64_t{-1}, int64_t{1}, int64_t{-621'355'968'000'000'000},
        int64_t{2'534'023'007'999'999'999}}) {
    EXPECT_EQ(ticks_of(timestamp_of(ticks, kTicksPerSecond)), ticks);
  }
  EXPECT_EQ(format_ticks(-1, false), "1969-12-31 23:59:59.9999999");
  EXPECT_EQ(ticks_of(SQL_TIMESTAMP_STRUCT{2024, 13, 1, 0, 0, 0, 0}), std::nullopt);
  const ServerTimestampOffset east{1970, 1, 1, 1, 0, 0, 0, 1, 0};
  const ServerTimestampOffset west{1969, 12, 31, 19, 30, 0, 0, -4, -30};
  EXPECT_EQ(ticks_of(east), 0);
  EXPECT_EQ(ticks_of(west), 0);
}

TEST(OdbcText, origins_in_brackets_are_not_part_of_a_message) {
  EXPECT_EQ(without_origin("[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]No [x]."),
            "No [x].");
  EXPECT_EQ(joined({{"a", 1, "one"}, {"b", 2, "two"}, {"c", 3, "one"}}), "one; two");
}

TEST(OdbcText, error_numbers_of_sql_server_tell_kind_and_state) {
  EXPECT_EQ(mssql::verdict(1205)->sqlstate, "40001");
  EXPECT_EQ(mssql::verdict(18456)->kind, ErrorKind::kAuthentication);
  EXPECT_EQ(mssql::verdict(49920)->kind, ErrorKind::kOverload);
  EXPECT_EQ(mssql::verdict(-2)->kind, ErrorKind::kQueryTimeout);
  EXPECT_EQ(mssql::verdict(50000), std::nullopt);
}

}  // namespace
}  // namespace cenote::odbc
