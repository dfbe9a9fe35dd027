// One statement's way to its connection.
#include "node/statements.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <utility>

#include <arrow/type.h>

#include "driver/placeholders.h"

namespace cenote::node {
namespace {

// Enough of all dialects to find words; a string in an unknown quoting only makes a statement less
// certain.
constexpr SqlDialect kAnyDialect{.dollar_quotes = true, .nested_comments = true};

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool has_word(std::string_view sql, std::initializer_list<std::string_view> words) {
  SqlScanner scanner(sql, kAnyDialect);
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (token != SqlToken::kWord) continue;
    std::string word(scanner.text());
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (is_one_of(word, words)) return true;
  }
  return false;
}

bool is_reader(const Work& work) {
  return work.caller != nullptr && work.caller->role == UserRole::kReader;
}

Status not_permitted(const Work& work, std::string_view what) {
  ErrorDetail detail;
  detail.kind = ErrorKind::kProgramming;
  detail.sqlstate = "42501";  // insufficient privilege
  detail.pool = work.pool->id();
  detail.sent = Sent::kNo;
  return make_error(
      std::move(detail),
      "user '" + work.caller->user + "' has the role reader and may not " + std::string(what));
}

// The first wall for a reader; the read-only transaction, kept by the database, is the second.
Status check_reader(const Work& work, std::string_view sql) {
  if (!is_reader(work) || only_reads(sql)) return Status::OK();
  const std::string first = first_keyword(sql, kAnyDialect);
  if (first == "with" && !has_word(sql, {"insert", "update", "delete", "merge"})) {
    return Status::OK();
  }
  return not_permitted(work, "run '" + first + "' statements");
}

// Runs `work` in a transaction of our own, committed if it succeeds.
template <typename Run>
Result<int64_t> all_or_nothing(const Work& work, const Run& run) {
  ARROW_ASSIGN_OR_RAISE(Transaction transaction, work.pool->begin({}, work.options));
  Result<int64_t> affected = run(transaction);
  if (!affected.ok()) {
    (void)transaction.rollback();
    return affected;
  }
  ARROW_RETURN_NOT_OK(transaction.commit());
  return affected;
}

}  // namespace

bool only_reads(std::string_view sql) {
  const std::string first = first_keyword(sql, kAnyDialect);
  if (is_one_of(first, {"values", "table", "show"})) return true;
  return first == "select" && !has_word(sql, {"into"});
}

Result<std::shared_ptr<ResultReader>> run_query(const Work& work, std::string_view sql,
                                                const Params& params) {
  ARROW_RETURN_NOT_OK(check_reader(work, sql));
  ResultReader::Source source;
  if (work.transaction != nullptr) {
    ARROW_ASSIGN_OR_RAISE(HeldTransaction::Use use, work.transaction->use(work.options));
    ARROW_ASSIGN_OR_RAISE(source.rows, use->execute_stream(sql, params, work.options));
    source.use = std::move(use);
  } else if (is_reader(work)) {
    TransactionOptions read_only;
    read_only.read_only = true;
    ARROW_ASSIGN_OR_RAISE(Transaction own, work.pool->begin(read_only, work.options));
    ARROW_ASSIGN_OR_RAISE(source.rows, own.execute_stream(sql, params, work.options));
    source.own = std::move(own);
  } else {
    ARROW_ASSIGN_OR_RAISE(source.rows, work.pool->execute_stream(sql, params, work.options));
  }
  auto result = std::make_shared<ResultReader>(std::move(source), work.stop);
  if (work.transaction != nullptr) work.transaction->set_reader(result);
  return result;
}

Result<int64_t> run_execute(const Work& work, std::string_view sql, const Params& params) {
  ARROW_RETURN_NOT_OK(check_reader(work, sql));
  if (work.transaction != nullptr) {
    ARROW_ASSIGN_OR_RAISE(HeldTransaction::Use use, work.transaction->use(work.options));
    return use->execute(sql, params, work.options);
  }
  if (is_reader(work)) {
    TransactionOptions read_only;
    read_only.read_only = true;
    ARROW_ASSIGN_OR_RAISE(Transaction own, work.pool->begin(read_only, work.options));
    return own.execute(sql, params, work.options);
  }
  return work.pool->execute(sql, params, work.options);
}

Result<int64_t> run_many(const Work& work, std::string_view sql, const std::vector<Params>& rows) {
  if (rows.empty()) return run_execute(work, sql, {});
  if (rows.size() == 1) return run_execute(work, sql, rows.front());
  ARROW_RETURN_NOT_OK(check_reader(work, sql));
  const auto run = [&](Transaction& transaction) -> Result<int64_t> {
    int64_t sum = 0;
    for (const Params& params : rows) {
      ARROW_ASSIGN_OR_RAISE(const int64_t affected, transaction.execute(sql, params, work.options));
      sum = sum < 0 || affected < 0 ? -1 : sum + affected;
    }
    return sum;
  };
  if (work.transaction != nullptr) {
    ARROW_ASSIGN_OR_RAISE(HeldTransaction::Use use, work.transaction->use(work.options));
    return run(*use);
  }
  return all_or_nothing(work, run);
}

Result<int64_t> run_ingest(const Work& work, const IngestTarget& target,
                           arrow::RecordBatchReader& rows) {
  if (is_reader(work)) return not_permitted(work, "ingest rows");
  if (work.transaction != nullptr) {
    ARROW_ASSIGN_OR_RAISE(HeldTransaction::Use use, work.transaction->use(work.options));
    return use->ingest(target, rows, work.options);
  }
  return work.pool->ingest(target, rows, work.options);
}

Result<Description> describe(const Work& work, std::string_view sql) {
  Description description;
  Result<StatementInfo> info = StatementInfo();
  if (work.transaction != nullptr) {
    ARROW_ASSIGN_OR_RAISE(HeldTransaction::Use use, work.transaction->use(work.options));
    info = use->describe(sql, work.options);
  } else {
    info = work.pool->local()->describe(sql, work.options);
  }
  if (info.ok()) {
    description.info = std::move(*info);
    description.gives_rows = description.info.rows != nullptr;
    return description;
  }
  if (error_kind(info.status()) != ErrorKind::kNotSupported) return info.status();
  description.certain = false;
  const std::string first = first_keyword(sql, kAnyDialect);
  const bool writes =
      is_one_of(first, {"insert", "update", "delete", "merge", "replace", "create", "drop", "alter",
                        "truncate", "grant", "revoke", "set", "begin", "commit", "rollback"});
  description.gives_rows = !writes || has_word(sql, {"returning", "output"});
  return description;
}

}  // namespace cenote::node
