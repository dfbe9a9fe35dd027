// Any statement with any parameters, in every dialect: the scanner ends, strings and identifiers
// stay as they are, and each value has its place.
#include <string>
#include <vector>

#include <fuzzer/FuzzedDataProvider.h>

#include "driver/placeholders.h"
#include "fuzz/check.h"

namespace cenote {
namespace {

struct Scan {
  std::vector<std::string> quoted;
  std::vector<std::string> placeholders;
};

Scan scan(std::string_view sql, const SqlDialect& dialect) {
  Scan seen;
  SqlScanner scanner(sql, dialect);
  size_t before = 0;
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    check(
        before <= scanner.begin() && scanner.begin() < scanner.end() && scanner.end() <= sql.size(),
        "a token lies inside the text, after the one before");
    before = scanner.end();
    if (token == SqlToken::kQuoted) seen.quoted.emplace_back(scanner.text());
    if (token == SqlToken::kPlaceholder) seen.placeholders.emplace_back(scanner.text());
  }
  return seen;
}

void check_bound(const BoundStatement& bound, std::string_view sql, const Params& params,
                 const SqlDialect& dialect) {
  std::vector<int> uses(params.values.size(), 0);
  for (const int index : bound.order) {
    check(index >= 0 && static_cast<size_t>(index) < params.values.size(), "an index is in range");
    ++uses[static_cast<size_t>(index)];
  }
  for (const int count : uses) {
    check(count >= 1, "each value is used");
    check(!dialect.numbered || count == 1, "a numbered value is sent once");
  }
  const Scan after = scan(bound.sql, dialect);
  check(after.quoted == scan(sql, dialect).quoted, "nothing quoted has changed");
  if (!dialect.numbered) return;
  for (size_t i = 1; i <= bound.order.size(); ++i) {
    const std::string native = "$" + std::to_string(i);
    bool found = false;
    for (const std::string& each : after.placeholders) found = found || each == native;
    check(found, "each native placeholder stands by itself");
  }
}

}  // namespace
}  // namespace cenote

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cenote;
  FuzzedDataProvider input(data, size);
  const int flags = input.ConsumeIntegral<uint8_t>();
  const SqlDialect dialect{.numbered = (flags & 1) != 0,
                           .dollar_quotes = (flags & 2) != 0,
                           .escape_strings = (flags & 4) != 0,
                           .backslash_escapes = (flags & 8) != 0,
                           .bracket_identifiers = (flags & 16) != 0,
                           .backtick_identifiers = (flags & 32) != 0,
                           .nested_comments = (flags & 64) != 0};
  const int count = input.ConsumeIntegralInRange(0, 15);
  Params params;
  for (int i = 0; i < count; ++i) {
    params.values.push_back(Params::scalar(i));
    if ((flags & 128) != 0) params.names.emplace_back(1, static_cast<char>('a' + i));
  }
  const std::string sql = input.ConsumeRemainingBytesAsString();
  (void)first_keyword(sql, dialect);
  const Result<BoundStatement> bound = bind_placeholders(sql, params, dialect);
  if (!bound.ok()) return 0;
  if (params.empty()) {
    check(bound->sql == sql && bound->order.empty(), "without values the text stays");
    return 0;
  }
  check_bound(*bound, sql, params, dialect);
  return 0;
}
