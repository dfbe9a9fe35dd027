// Judges statements by their words, never by more: what a function does is not to be seen here.
#include "driver/postgresql/statement.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace cenote::postgresql {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

template <size_t n>
bool one_of(std::string_view word, const std::string_view (&words)[n]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

constexpr std::string_view kReads[] = {"select", "values", "table", "with"};
constexpr std::string_view kWrites[] = {"insert", "update", "delete", "merge"};
constexpr std::string_view kShows[] = {"explain", "show", "fetch", "execute", "call"};
// First words of statements that leave no trace in the session.
constexpr std::string_view kTraceless[] = {
    "select",   "values",  "table",      "with",    "insert",  "update",     "delete", "merge",
    "explain",  "show",    "fetch",      "move",    "begin",   "start",      "commit", "end",
    "rollback", "abort",   "savepoint",  "release", "copy",    "truncate",   "lock",   "create",
    "alter",    "drop",    "comment",    "grant",   "revoke",  "refresh",    "vacuum", "analyze",
    "reindex",  "cluster", "checkpoint", "notify",  "discard", "deallocate", "close"};
// Words that do wherever they stand.
constexpr std::string_view kTraces[] = {"temp", "temporary", "set_config", "setseed",
                                        "dblink_connect"};

bool leaves_trace(std::string_view word) {
  return one_of(word, kTraces) || word.starts_with("pg_temp") ||
         word.find("advisory") != std::string_view::npos;
}

// What may be a name of a function: a word, or a quoted identifier without its quotes.
std::string name_of(SqlToken token, std::string_view text) {
  if (token == SqlToken::kWord) return lower(text);
  if (token == SqlToken::kQuoted && text.size() >= 2 && text.front() == '"') {
    return std::string(text.substr(1, text.size() - 2));
  }
  return {};
}

std::string filled_in(std::string expression, std::string_view column) {
  for (size_t at = expression.find("{}"); at != std::string::npos; at = expression.find("{}", at)) {
    expression.replace(at, 2, column);
  }
  return expression;
}

}  // namespace

std::string quote_identifier(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) {
    if (c == '"') text += '"';
    text += c;
  }
  return text + "\"";
}

std::string quoted_table(std::string_view table) {
  const size_t dot = table.find('.');
  if (dot == std::string_view::npos) return quote_identifier(table);
  return quote_identifier(table.substr(0, dot)) + "." + quote_identifier(table.substr(dot + 1));
}

StatementKind classify(std::string_view sql) {
  StatementKind kind;
  const std::string first = first_keyword(sql, kDialect);
  if (one_of(first, kReads)) kind.verb = Verb::kRead;
  if (one_of(first, kWrites)) kind.verb = Verb::kWrite;
  if (one_of(first, kShows)) kind.verb = Verb::kShow;
  kind.marks_dirty = !first.empty() && !one_of(first, kTraceless);
  kind.forgets_prepared = first == "discard" || first == "deallocate";

  bool ended = false;
  SqlScanner scanner(sql, kDialect);
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (token == SqlToken::kSymbol && scanner.text() == ";") {
      if (kind.end == 0) kind.single = false;  // nothing stands before it: no use as a part
      ended = true;
      continue;
    }
    if (ended) kind.single = false;
    kind.end = scanner.end();
    const std::string name = name_of(token, scanner.text());
    if (name.empty()) continue;
    if (leaves_trace(name)) kind.marks_dirty = true;
    if (token != SqlToken::kWord) continue;
    if (first == "with" && one_of(name, kWrites)) kind.verb = Verb::kWrite;
    // SELECT … INTO makes a table. (INSERT INTO has its verb already.)
    if (kind.verb == Verb::kRead && name == "into") kind.verb = Verb::kOther;
  }
  return kind;
}

std::string as_part(const Statement& statement) {
  const std::string_view sql = statement.bound.sql;
  std::string part;
  size_t taken = 0;
  SqlScanner rest(sql.substr(statement.kind.end), kDialect);
  while (rest.next() != SqlToken::kEnd) {  // semicolons alone
    part += sql.substr(taken, statement.kind.end + rest.begin() - taken);
    taken = statement.kind.end + rest.end();
  }
  part += sql.substr(taken);
  return part + "\n";
}

std::string wrap_with_casts(const Statement& statement, const RowShape& shape) {
  if (!statement.kind.single) return {};
  std::string names;
  std::string values;
  for (size_t i = 0; i < shape.types.size(); ++i) {
    const std::string name = "c" + std::to_string(i + 1);
    if (i > 0) {
      names += ", ";
      values += ", ";
    }
    names += name;
    values += shape.types[i].cast.empty() ? name : filled_in(shape.types[i].cast, name);
  }
  const std::string inner = as_part(statement);
  if (statement.kind.verb == Verb::kRead) {
    return "SELECT " + values + " FROM (" + inner + ") AS cenote_rows(" + names + ")";
  }
  if (statement.kind.verb == Verb::kWrite) {
    return "WITH cenote_rows(" + names + ") AS (" + inner + ") SELECT " + values +
           " FROM cenote_rows";
  }
  return {};
}

Result<StatementPtr> StatementCache::find(std::string_view sql, const Params& params) {
  key_.assign(sql);
  for (size_t i = 0; i < params.values.size(); ++i) {
    key_ += '\0';
    if (i < params.names.size()) key_ += params.names[i];
    key_ += '\0';
    const uint32_t oid = parameter_oid(*params.values[i], Declare::kNatural);
    key_.append(reinterpret_cast<const char*>(&oid), sizeof oid);
  }
  if (const auto found = by_key_.find(key_); found != by_key_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second);
    return recent_.front();
  }
  auto statement = std::make_shared<Statement>();
  ARROW_ASSIGN_OR_RAISE(statement->bound, bind_placeholders(sql, params, kDialect));
  statement->kind = classify(statement->bound.sql);
  statement->key = key_;
  return statement;
}

void StatementCache::keep(const StatementPtr& statement) {
  if (by_key_.contains(statement->key)) return;
  while (recent_.size() >= kLimit) {
    discard(*recent_.back());
    by_key_.erase(recent_.back()->key);
    recent_.pop_back();
  }
  recent_.push_front(statement);
  by_key_.emplace(statement->key, recent_.begin());
}

void StatementCache::drop(const StatementPtr& statement) {
  discard(*statement);
  const auto found = by_key_.find(statement->key);
  if (found == by_key_.end() || *found->second != statement) return;
  recent_.erase(found->second);
  by_key_.erase(found);
}

void StatementCache::discard(Statement& statement) {
  if (!statement.prepared.empty()) garbage_.push_back(statement.prepared);
  statement.forget_description();
}

void StatementCache::clear() {
  for (const StatementPtr& statement : recent_) statement->forget_description();
  by_key_.clear();
  recent_.clear();
  garbage_.clear();
}

}  // namespace cenote::postgresql
