// From kinds of errors to exit codes.
#include "cli/exit_code.h"

#include <algorithm>
#include <cstdio>

#include "frame/utf8.h"

namespace cenote::cli {

ExitCode exit_code(const Status& status) {
  if (status.ok()) return kOk;
  switch (error_kind(status)) {
    case ErrorKind::kConfig:
    case ErrorKind::kUnknownPool:
      return kConfiguration;
    case ErrorKind::kConnection:
    case ErrorKind::kAuthentication:
    case ErrorKind::kOverload:
      return kUnreachable;
    case ErrorKind::kPoolTimeout:
    case ErrorKind::kPoolExhausted:
      return kPoolTimedOut;
    default:
      return kQueryFailed;
  }
}

int fail(ExitCode code, const std::string& message) {
  // Databases send messages of several lines; scripts and logs want one.
  std::string line;
  for (const char c : message) {
    const bool space = c == '\n' || c == '\r' || c == '\t' || c == ' ';
    if (!space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  std::fprintf(stderr, "cenote: %s\n", printable(line).c_str());
  return code;
}

int fail(const Status& status) {
  return fail(exit_code(status), status.message());
}

}  // namespace cenote::cli
