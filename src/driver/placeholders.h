// Turns the placeholders that cenote accepts everywhere (`?`, `$1`, `:name`, `@name`, `$name`) into
// a database's own. Reads just enough SQL to leave strings, quoted identifiers and comments alone;
// values never enter the text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cenote/error.h"
#include "cenote/params.h"

namespace cenote {

// How a database writes placeholders and what its lexer knows beyond standard SQL.
struct SqlDialect {
  bool numbered =
      false;  // native placeholders are $1, $2 …, each number one value; else `?`, in order
  bool dollar_quotes = false;        // $tag$ … $tag$ (PostgreSQL)
  bool escape_strings = false;       // E'it\'s' (PostgreSQL)
  bool backslash_escapes = false;    // 'it\'s' (MySQL)
  bool bracket_identifiers = false;  // [name] (SQL Server, SQLite)
  bool backtick_identifiers = false;
  bool nested_comments = false;  // /* /* */ */ (PostgreSQL, SQL Server)
};

struct BoundStatement {
  std::string sql;         // with native placeholders
  std::vector<int> order;  // for each native value, the index into Params::values
};

// Rules:
// - Without parameters the text is passed on as it is; a `?` may then be an operator.
// - Names: every `:name`, `@name`, `$name` that names a parameter is a placeholder, any other stays
// (T-SQL variables, array
//   slices, casts). Names are compared exactly. With no such placeholder in the text, the order of
//   `?` counts.
// - Positional: `$1` … if the text has any (then `?` is left alone), else `?`; `??` is an escaped
// `?`.
// - A NUL byte in the text is refused (kProgramming).
// - Each parameter must be used and each placeholder must have a value: kInterface says which is
// not.
Result<BoundStatement> bind_placeholders(std::string_view sql, const Params& params,
                                         const SqlDialect& dialect);

// Nulls for the placeholders in `sql`, so that they can be bound without values. A `?` that is an
// operator cannot be told from a placeholder here; `$1` of a numbered dialect needs no value.
Params null_params(std::string_view sql, const SqlDialect& dialect);

// One lexical element of a statement, for those who need to look at its words: never inside strings
// or comments.
enum class SqlToken { kEnd, kWord, kPlaceholder, kSymbol, kQuoted };

// Walks a statement token by token. Comments and white space are skipped.
class SqlScanner {
 public:
  SqlScanner(std::string_view sql, const SqlDialect& dialect) : sql_(sql), dialect_(dialect) {}

  SqlToken next();
  // Of the last token: its text and where it begins.
  std::string_view text() const { return sql_.substr(begin_, end_ - begin_); }
  size_t begin() const { return begin_; }
  size_t end() const { return end_; }

 private:
  bool skip_blanks();
  size_t end_of_quoted(char quote, bool backslash) const;
  bool skip_dollar_quote();

  std::string_view sql_;
  const SqlDialect& dialect_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// The first word of the statement in lower case ("select"), or empty.
std::string first_keyword(std::string_view sql, const SqlDialect& dialect);

}  // namespace cenote
