// The table of SQLSTATE classes.
#include "driver/postgresql/error.h"

#include <utility>

namespace cenote::postgresql {
namespace {

struct Row {
  std::string_view prefix;
  ErrorKind kind;
};

// The first prefix that fits counts.
constexpr Row kRows[] = {
    {"08", ErrorKind::kConnection},     {"57P01", ErrorKind::kConnection},
    {"57P02", ErrorKind::kConnection},  {"57P03", ErrorKind::kConnection},
    {"57P05", ErrorKind::kConnection},  {"53300", ErrorKind::kOverload},
    {"28", ErrorKind::kAuthentication}, {"25006", ErrorKind::kReadOnly},
    {"57014", ErrorKind::kCancelled},   {"23", ErrorKind::kIntegrity},
    {"22", ErrorKind::kData},           {"42", ErrorKind::kProgramming},
    {"3D", ErrorKind::kProgramming},    {"3F", ErrorKind::kProgramming},
    {"26", ErrorKind::kProgramming},    {"34", ErrorKind::kProgramming},
    {"0A", ErrorKind::kNotSupported},   {"XX", ErrorKind::kInternal},
};

}  // namespace

Status server_error(std::string_view sqlstate, std::string message, Sent sent) {
  ErrorDetail detail;
  detail.kind = sqlstate.empty() ? ErrorKind::kConnection : ErrorKind::kOperational;
  for (const Row& row : kRows) {
    if (sqlstate.starts_with(row.prefix)) {
      detail.kind = row.kind;
      break;
    }
  }
  detail.sqlstate = sqlstate;
  detail.sent = sent;
  detail.poisons_connection = detail.kind == ErrorKind::kConnection;
  while (!message.empty() && message.back() == '\n') message.pop_back();
  return make_error(std::move(detail), std::move(message));
}

}  // namespace cenote::postgresql
