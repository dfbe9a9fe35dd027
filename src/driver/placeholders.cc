// A small SQL lexer and the placeholder rules on top of it.
#include "driver/placeholders.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

#include <arrow/scalar.h>

namespace cenote {
namespace {

bool is_word_start(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word_part(char c) {
  return is_word_start(c) || is_digit(c);
}

std::optional<int> number_of(std::string_view digits) {
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

// What the placeholders of one statement are.
enum class Scheme { kQuestion, kNumbered, kNamed };

// The index of the parameter that `token` names under `scheme`, or -1 if it is no placeholder.
struct Resolver {
  const Params& params;
  Scheme scheme;
  int next_question = 0;

  Result<int> resolve(std::string_view token) {
    const bool question = token == "?";
    const bool numbered = token[0] == '$' && token.size() > 1 && is_digit(token[1]);
    const int count = static_cast<int>(params.values.size());
    switch (scheme) {
      case Scheme::kQuestion:
        if (!question) return -1;
        if (next_question >= count) {
          return make_error(ErrorKind::kInterface,
                            "the statement has more placeholders than the " +
                                std::to_string(count) +
                                " parameters given: pass one value for each '?'");
        }
        return next_question++;
      case Scheme::kNumbered: {
        if (!numbered) return -1;
        const std::optional<int> number = number_of(token.substr(1));
        if (!number || *number < 1 || *number > count) {
          return make_error(ErrorKind::kInterface, "placeholder " + std::string(token) +
                                                       " has no value: " + std::to_string(count) +
                                                       " parameters were given");
        }
        return *number - 1;
      }
      case Scheme::kNamed: {
        if (question || numbered) return -1;
        const auto found = std::find(params.names.begin(), params.names.end(), token.substr(1));
        return found == params.names.end() ? -1 : static_cast<int>(found - params.names.begin());
      }
    }
    return -1;
  }
};

Scheme scheme_of(std::string_view sql, const Params& params, const SqlDialect& dialect) {
  bool numbered = false;
  SqlScanner scanner(sql, dialect);
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (token != SqlToken::kPlaceholder || scanner.text() == "?" || scanner.text() == "??")
      continue;
    const std::string_view name = scanner.text().substr(1);
    if (scanner.text()[0] == '$' && is_digit(name[0])) {
      numbered = true;
    } else if (std::find(params.names.begin(), params.names.end(), name) != params.names.end()) {
      return Scheme::kNamed;
    }
  }
  return numbered ? Scheme::kNumbered : Scheme::kQuestion;
}

Status check_all_used(const Params& params, const std::vector<int>& native_of) {
  for (size_t i = 0; i < native_of.size(); ++i) {
    if (native_of[i] != 0) continue;
    const std::string which = params.names.empty() ? "parameter " + std::to_string(i + 1)
                                                   : "parameter '" + params.names[i] + "'";
    return make_error(ErrorKind::kInterface,
                      which +
                          " is not used by the statement: it needs a placeholder (?, $1, :name, "
                          "@name or $name), or has to go");
  }
  return Status::OK();
}

}  // namespace

bool SqlScanner::skip_blanks() {
  for (;;) {
    const std::string_view rest = sql_.substr(end_);
    if (rest.empty()) return false;
    if (std::isspace(static_cast<unsigned char>(rest[0])) != 0) {
      ++end_;
    } else if (rest.starts_with("--")) {
      const size_t line_end = sql_.find('\n', end_);
      end_ = line_end == std::string_view::npos ? sql_.size() : line_end + 1;
    } else if (rest.starts_with("/*")) {
      int depth = 0;
      do {
        const std::string_view here = sql_.substr(end_);
        if (here.starts_with("/*") && (depth == 0 || dialect_.nested_comments)) {
          ++depth;
          end_ += 2;
        } else if (here.starts_with("*/")) {
          --depth;
          end_ += 2;
        } else {
          ++end_;
        }
      } while (depth > 0 && end_ < sql_.size());
    } else {
      return true;
    }
  }
}

size_t SqlScanner::end_of_quoted(char quote, bool backslash) const {
  size_t at = begin_ + 1;
  for (; at < sql_.size(); ++at) {
    if (backslash && sql_[at] == '\\') {
      ++at;
    } else if (sql_[at] == quote) {
      if (at + 1 >= sql_.size() || sql_[at + 1] != quote) return at + 1;
      ++at;  // a doubled quote stays inside
    }
  }
  return sql_.size();
}

bool SqlScanner::skip_dollar_quote() {
  size_t at = begin_ + 1;
  while (at < sql_.size() && is_word_part(sql_[at])) ++at;
  if (at >= sql_.size() || sql_[at] != '$' || is_digit(sql_[begin_ + 1])) return false;
  const std::string_view tag = sql_.substr(begin_, at + 1 - begin_);
  const size_t close = sql_.find(tag, at + 1);
  end_ = close == std::string_view::npos ? sql_.size() : close + tag.size();
  return true;
}

SqlToken SqlScanner::next() {
  const bool more = skip_blanks();
  begin_ = end_;
  if (!more) return SqlToken::kEnd;
  const char c = sql_[begin_];
  const char following = begin_ + 1 < sql_.size() ? sql_[begin_ + 1] : '\0';

  if (c == '\'') {
    end_ = end_of_quoted('\'', dialect_.backslash_escapes);
    return SqlToken::kQuoted;
  }
  if (c == '"' || (c == '`' && dialect_.backtick_identifiers)) {
    end_ = end_of_quoted(c, c == '"' && dialect_.backslash_escapes);
    return SqlToken::kQuoted;
  }
  if (c == '[' && dialect_.bracket_identifiers) {
    end_ = end_of_quoted(']', false);
    return SqlToken::kQuoted;
  }
  if ((c == 'E' || c == 'e') && following == '\'' && dialect_.escape_strings) {
    ++begin_;
    end_ = end_of_quoted('\'', true);
    --begin_;
    return SqlToken::kQuoted;
  }
  if (c == '$' && dialect_.dollar_quotes && skip_dollar_quote()) return SqlToken::kQuoted;
  if (is_word_part(c)) {
    end_ = begin_ + 1;
    while (end_ < sql_.size() && (is_word_part(sql_[end_]) || sql_[end_] == '$')) ++end_;
    return SqlToken::kWord;
  }
  if (c == '?') {
    end_ = begin_ + (following == '?' ? 2 : 1);
    return SqlToken::kPlaceholder;
  }
  if (c == ':' && following == ':') {  // a cast
    end_ = begin_ + 2;
    return SqlToken::kSymbol;
  }
  if (c == '@' && following == '@') {  // @@rowcount
    end_ = begin_ + 2;
    while (end_ < sql_.size() && is_word_part(sql_[end_])) ++end_;
    return SqlToken::kSymbol;
  }
  if ((c == ':' || c == '@' || c == '$') &&
      (is_word_start(following) || (c == '$' && is_digit(following)))) {
    end_ = begin_ + 2;
    const bool digits = is_digit(following);
    while (end_ < sql_.size() && (digits ? is_digit(sql_[end_]) : is_word_part(sql_[end_]))) ++end_;
    return SqlToken::kPlaceholder;
  }
  end_ = begin_ + 1;
  return SqlToken::kSymbol;
}

Result<BoundStatement> bind_placeholders(std::string_view sql, const Params& params,
                                         const SqlDialect& dialect) {
  BoundStatement bound;
  if (sql.find('\0') != std::string_view::npos) {  // C libraries would run what stands before it
    return make_error(ErrorKind::kProgramming,
                      "the statement holds a NUL byte: pass such text as a parameter");
  }
  if (!params.names.empty() && params.names.size() != params.values.size()) {
    return make_error(ErrorKind::kInterface, "parameters are either all named or all positional");
  }
  if (params.empty()) {
    bound.sql = sql;
    return bound;
  }

  Resolver resolver{params, scheme_of(sql, params, dialect)};
  std::vector<int> native_of(params.values.size(),
                             0);  // 1-based number of a value's native placeholder
  bound.sql.reserve(sql.size() + 16);
  size_t copied = 0;
  SqlScanner scanner(sql, dialect);
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (token != SqlToken::kPlaceholder) continue;
    if (scanner.text() == "??") {
      if (resolver.scheme != Scheme::kQuestion) continue;
      bound.sql.append(sql.substr(copied, scanner.begin() - copied)).append("?");
      copied = scanner.end();
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(const int index, resolver.resolve(scanner.text()));
    if (index < 0) continue;
    bound.sql.append(sql.substr(copied, scanner.begin() - copied));
    copied = scanner.end();
    int& native = native_of[static_cast<size_t>(index)];
    if (!dialect.numbered || native == 0) {
      bound.order.push_back(index);
      native = static_cast<int>(bound.order.size());
    }
    // Apart from its neighbours: `x?` must not become the word x$1, nor `?1` the parameter $11;
    // ODBC drivers write @P1 for the `?` they get.
    const char before = bound.sql.empty() ? ' ' : bound.sql.back();
    if (is_word_part(before) || before == '$') bound.sql += ' ';
    bound.sql += dialect.numbered ? "$" + std::to_string(native) : "?";
    if (copied < sql.size() && (is_word_part(sql[copied]) || sql[copied] == '$')) bound.sql += ' ';
  }
  bound.sql.append(sql.substr(copied));
  ARROW_RETURN_NOT_OK(check_all_used(params, native_of));
  return bound;
}

Params null_params(std::string_view sql, const SqlDialect& dialect) {
  std::vector<std::string> names;
  size_t positional = 0;
  bool questions_only = true;
  SqlScanner scanner(sql, dialect);
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (token != SqlToken::kPlaceholder || scanner.text() == "??") continue;
    if (scanner.text() == "?") {
      positional += questions_only ? 1 : 0;
      continue;
    }
    std::string name(scanner.text().substr(1));
    if (const auto number = number_of(name)) {
      if (dialect.numbered) return {};  // native already
      if (std::exchange(questions_only, false)) positional = 0;
      constexpr int kMost = 65'535;
      positional = std::max(positional, static_cast<size_t>(std::clamp(*number, 0, kMost)));
    } else if (std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(std::move(name));
    }
  }
  Params params;
  const auto null = std::make_shared<arrow::NullScalar>();
  for (std::string& name : names) params.add(std::move(name), null);
  if (names.empty()) params.values.assign(positional, null);
  return params;
}

std::string first_keyword(std::string_view sql, const SqlDialect& dialect) {
  SqlScanner scanner(sql, dialect);
  SqlToken token = scanner.next();
  while (token == SqlToken::kSymbol && (scanner.text() == "(" || scanner.text() == ";")) {
    token = scanner.next();
  }
  if (token != SqlToken::kWord) return {};
  std::string word(scanner.text());
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word;
}

}  // namespace cenote
