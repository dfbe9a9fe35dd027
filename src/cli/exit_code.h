// How the program ends: the exit codes, and one line on standard error that says why.
#pragma once

#include <string>

#include "cenote/error.h"

namespace cenote::cli {

enum ExitCode : int {
  kOk = 0,
  kQueryFailed = 1,
  kUsage = 2,
  kConfiguration = 3,
  kUnreachable = 4,  // no connection, refused credentials, too many connections on the server
  kPoolTimedOut = 5,
  kInterrupted = 130,     // 128 + SIGINT, as shells have it
  kReaderWentAway = 141,  // 128 + SIGPIPE
};

ExitCode exit_code(const Status& status);

// Prints "cenote: message" on one line and returns the code.
int fail(ExitCode code, const std::string& message);
int fail(const Status& status);

}  // namespace cenote::cli
