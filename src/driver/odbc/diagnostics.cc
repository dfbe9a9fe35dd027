// Reads diagnostic records and classes their SQLSTATEs.
#include "driver/odbc/diagnostics.h"

#include <algorithm>
#include <array>

#include "driver/odbc/unicode.h"

namespace cenote::odbc {
namespace {

constexpr int kMostRecords = 32;

struct Row {
  std::string_view prefix;
  ErrorKind kind;
};

// The first prefix that fits counts. Source: "Appendix A: ODBC Error Codes" of the ODBC reference.
constexpr Row kRows[] = {
    {"08", ErrorKind::kConnection},
    {"HYT01", ErrorKind::kConnection},
    {"28", ErrorKind::kAuthentication},
    {"HYT00", ErrorKind::kQueryTimeout},
    {"HY008", ErrorKind::kCancelled},
    {"57014", ErrorKind::kCancelled},
    {"23", ErrorKind::kIntegrity},
    {"44", ErrorKind::kIntegrity},
    {"22", ErrorKind::kData},
    {"HY090", ErrorKind::kData},
    {"HY104", ErrorKind::kData},
    {"25006", ErrorKind::kReadOnly},
    {"07", ErrorKind::kProgramming},
    {"21", ErrorKind::kProgramming},
    {"34", ErrorKind::kProgramming},
    {"37", ErrorKind::kProgramming},
    {"3C", ErrorKind::kProgramming},
    {"3D", ErrorKind::kProgramming},
    {"3F", ErrorKind::kProgramming},
    {"42", ErrorKind::kProgramming},
    {"S0", ErrorKind::kProgramming},
    {"0A", ErrorKind::kNotSupported},
    {"HYC00", ErrorKind::kNotSupported},
    {"IM001", ErrorKind::kNotSupported},
    {"IM", ErrorKind::kConfig},
    {"HY010", ErrorKind::kInternal},
    {"24", ErrorKind::kInternal},
};

}  // namespace

std::string_view without_origin(std::string_view message) {
  while (message.starts_with('[')) {
    const size_t close = message.find(']');
    if (close == std::string_view::npos) break;
    message.remove_prefix(close + 1);
  }
  while (!message.empty() && (message.front() == ' ' || message.front() == '\n')) {
    message.remove_prefix(1);
  }
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) {
    message.remove_suffix(1);
  }
  return message;
}

std::vector<Diagnostic> read_diagnostics(const Library& odbc, SQLSMALLINT type, SQLHANDLE handle) {
  std::vector<Diagnostic> records;
  for (SQLSMALLINT number = 1; number <= kMostRecords; ++number) {
    std::array<char16_t, 6> state{};
    std::array<char16_t, 4096> text{};
    SQLINTEGER native = 0;
    SQLSMALLINT length = 0;
    const SQLRETURN got = odbc.get_diag_rec(
        type, handle, number, reinterpret_cast<SQLWCHAR*>(state.data()), &native,
        reinterpret_cast<SQLWCHAR*>(text.data()), static_cast<SQLSMALLINT>(text.size()), &length);
    if (!SQL_SUCCEEDED(got)) break;
    const size_t size = std::clamp<size_t>(static_cast<size_t>(length), 0, text.size() - 1);
    Diagnostic record;
    record.sqlstate = to_utf8({state.data(), 5});
    record.native = native;
    record.message = without_origin(to_utf8({text.data(), size}));
    records.push_back(std::move(record));
  }
  return records;
}

std::string joined(const std::vector<Diagnostic>& records) {
  std::string text;
  for (const Diagnostic& record : records) {
    if (record.message.empty() || text.find(record.message) != std::string::npos) continue;
    text += (text.empty() ? "" : "; ") + record.message;
  }
  return text;
}

ErrorKind kind_of_sqlstate(std::string_view sqlstate) {
  for (const Row& row : kRows) {
    if (sqlstate.starts_with(row.prefix)) return row.kind;
  }
  return ErrorKind::kOperational;
}

}  // namespace cenote::odbc
