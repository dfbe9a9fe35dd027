// A list of what is known to be harmless, not of what is known to write: lists of the latter are
// never complete (pgpool's black_function_list was its users' to keep).
#include "manager/certain_read.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "driver/placeholders.h"

namespace cenote {
namespace {

constexpr SqlDialect kAnyDialect{.dollar_quotes = true, .nested_comments = true};

// Words that may stand before an opening parenthesis: SQL's own, types with a length, functions
// that have no effect. Sorted.
constexpr std::string_view kHarmless[] = {
    "abs",
    "all",
    "and",
    "any",
    "array",
    "array_agg",
    "as",
    "avg",
    "between",
    "by",
    "cast",
    "ceil",
    "ceiling",
    "char",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "convert",
    "count",
    "date",
    "date_part",
    "date_trunc",
    "dateadd",
    "datediff",
    "datepart",
    "datetime",
    "day",
    "decimal",
    "dense_rank",
    "distinct",
    "else",
    "except",
    "exists",
    "exp",
    "extract",
    "filter",
    "first_value",
    "floor",
    "format",
    "from",
    "generate_series",
    "greatest",
    "group",
    "group_concat",
    "grouping",
    "having",
    "hex",
    "hour",
    "ifnull",
    "iif",
    "in",
    "instr",
    "intersect",
    "isnull",
    "join",
    "json_agg",
    "json_extract",
    "jsonb_agg",
    "julianday",
    "lag",
    "last_value",
    "lateral",
    "lead",
    "least",
    "left",
    "len",
    "length",
    "like",
    "ln",
    "log",
    "lower",
    "lpad",
    "ltrim",
    "max",
    "median",
    "min",
    "minute",
    "mod",
    "month",
    "not",
    "now",
    "ntile",
    "nullif",
    "numeric",
    "nvarchar",
    "octet_length",
    "on",
    "or",
    "over",
    "partition",
    "percentile_cont",
    "percentile_disc",
    "position",
    "power",
    "printf",
    "rank",
    "replace",
    "reverse",
    "right",
    "round",
    "row",
    "row_number",
    "rpad",
    "rtrim",
    "second",
    "select",
    "sign",
    "some",
    "split_part",
    "sqrt",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "strftime",
    "string_agg",
    "strpos",
    "substr",
    "substring",
    "sum",
    "then",
    "to_char",
    "to_date",
    "to_timestamp",
    "total",
    "trim",
    "try_cast",
    "typeof",
    "union",
    "unnest",
    "upper",
    "using",
    "values",
    "var_pop",
    "var_samp",
    "varchar",
    "variance",
    "when",
    "where",
    "year",
};

// Words that make a statement more than a read, wherever they stand. Sorted.
constexpr std::string_view kSuspicious[] = {
    "delete", "insert", "into", "lock", "merge", "next", "nextval", "share", "update",
};

template <size_t N>
bool has(const std::string_view (&sorted)[N], std::string_view word) {
  return std::binary_search(std::begin(sorted), std::end(sorted), word);
}

}  // namespace

bool certainly_reads(std::string_view sql) {
  // Some databases read a backslash in a string as an escape, so where it ends is not certain.
  if (sql.find('\\') != std::string_view::npos) return false;
  SqlScanner scanner(sql, kAnyDialect);
  std::string word;        // the last token, if it is a word
  bool qualified = false;  // it stands behind a dot
  bool quoted = false;
  bool dot = false;
  bool ended = false;
  bool first = true;
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (ended) return false;  // a second statement
    const std::string_view text = scanner.text();
    if (token == SqlToken::kWord) {
      word = text;
      std::transform(word.begin(), word.end(), word.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (has(kSuspicious, word)) return false;
      if (first && word != "select" && word != "values" && word != "show" && word != "with") {
        return false;
      }
      qualified = dot;
    } else {
      if (first) return false;
      if (text == "(" && (quoted || (!word.empty() && (qualified || !has(kHarmless, word))))) {
        return false;
      }
      word.clear();
      ended = text == ";";
    }
    quoted = token == SqlToken::kQuoted;
    dot = text == ".";
    first = false;
  }
  return !first;
}

}  // namespace cenote
