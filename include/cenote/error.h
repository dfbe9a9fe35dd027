// What went wrong, as data: the detail that rides in every arrow::Status of cenote, and what may be
// concluded from it. One flat detail with properties instead of a tree of classes: callers act on
// properties (retry? close? fail over?).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/result.h>
#include <arrow/status.h>

namespace cenote {

using arrow::Result;
using arrow::Status;

// The class of an error. The first group is PEP 249's, the second refines kOperational, the third
// is the pool's own.
enum class ErrorKind : uint8_t {
  kInterface,    // cenote was called wrongly: parameters do not match placeholders, a closed reader
                 // was read
  kProgramming,  // the statement is wrong: syntax, unknown table
  kIntegrity,    // a constraint was violated
  kData,         // a value is out of range or does not fit its type
  kInternal,     // the database or cenote found itself in a state that must not be
  kNotSupported,  // the database or the driver cannot do this
  kOperational,   // the database could not do it now: deadlock, disk full, shut down

  kConnection,      // no connection could be made, or it was lost
  kAuthentication,  // the server refused the credentials
  kOverload,        // the server has too many connections: busy, not dead
  kReadOnly,        // a write reached a read-only server (a replica, a demoted primary)
  kQueryTimeout,    // the deadline passed while the statement ran; it was cancelled on the server
  kCancelled,       // the caller cancelled

  kPoolTimeout,    // no connection became free before the deadline
  kPoolExhausted,  // the queue of waiters is full
  kPoolClosed,     // the pool is closed, draining or paused
  kUnknownPool,    // no pool of that name
  kConfig,         // the configuration is wrong
};

// The name as messages and metrics show it: "query_timeout".
std::string_view to_string(ErrorKind kind);

// Whether the statement had reached the server when the error happened. Writes are retried only
// after kNo.
enum class Sent : uint8_t { kNo, kMaybe, kYes };

struct ErrorDetail final : arrow::StatusDetail {
  ErrorKind kind = ErrorKind::kInternal;
  std::string sqlstate;  // five characters, or empty where the database has none
  int32_t vendor_code =
      0;  // the database's own number: 1205 of SQL Server, SQLITE_FULL; 0 for none
  std::string pool;
  std::string endpoint;  // "host:port/database" or a file's path; never credentials
  Sent sent = Sent::kYes;
  bool poisons_connection = false;  // the connection must be closed, not returned

  const char* type_id() const override { return "cenote::ErrorDetail"; }
  std::string ToString() const override;
};

// A failed Status whose code follows from the detail's kind. The message is for a person: which
// pool, which target, what was tried, how long, what to change; it holds no secrets.
Status make_error(ErrorDetail detail, std::string message);
Status make_error(ErrorKind kind, std::string message);

// The detail of a failed Status; null for success and for errors of Arrow's own.
const ErrorDetail* error_detail(const Status& status);
// The kind of a failed Status; errors without our detail are mapped from Arrow's code.
ErrorKind error_kind(const Status& status);

// The same error with pool and endpoint filled in where they were empty, and named in the message.
Status with_origin(const Status& status, std::string_view pool, std::string_view endpoint);

// True if the same statement may succeed when tried again, and trying again cannot do it twice: it
// was not sent, or the database rolled it back (deadlock, serialisation failure).
bool retryable(const Status& status);

// True if the error speaks against the target (refused, reset, no answer, wrong role), false for
// what a healthy server says under load or to a wrong statement: overload is not death.
bool counts_against_target(const Status& status);

// True if the connection on which it happened must not be used again.
bool poisons_connection(const Status& status);

}  // namespace cenote
