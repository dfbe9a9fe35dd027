// The table of result codes. Extended codes come first; else the primary code (the low byte)
// decides.
#include "driver/sqlite/error.h"

#include <array>
#include <utility>

namespace cenote::sqlite {
namespace {

struct Row {
  int code;
  ErrorKind kind;
  bool poisons;             // the handle is of no more use
  std::string_view advice;  // what a person can do; may be empty
};

constexpr std::array kRows = {
    Row{SQLITE_READONLY_DBMOVED, ErrorKind::kConnection, true,
        "the file was moved, replaced or deleted under the open connection: the next call opens it "
        "anew by its path"},
    Row{SQLITE_BUSY_SNAPSHOT, ErrorKind::kOperational, false,
        "another connection wrote after this transaction had read: roll back and run it again"},
    Row{SQLITE_CONSTRAINT_DATATYPE, ErrorKind::kIntegrity, false, ""},
    Row{SQLITE_ERROR, ErrorKind::kProgramming, false, ""},
    Row{SQLITE_INTERNAL, ErrorKind::kInternal, true, ""},
    Row{SQLITE_PERM, ErrorKind::kConnection, false, "check the permissions of the file"},
    Row{SQLITE_ABORT, ErrorKind::kOperational, false, ""},
    Row{SQLITE_BUSY, ErrorKind::kOperational, false,
        "another connection holds the write lock: shorten its transactions or raise busy_timeout"},
    Row{SQLITE_LOCKED, ErrorKind::kOperational, false,
        "another statement of this connection uses the table: close its reader first"},
    Row{SQLITE_NOMEM, ErrorKind::kOperational, false, "no memory is left"},
    Row{SQLITE_READONLY, ErrorKind::kReadOnly, false,
        "the file cannot be written: check its permissions and those of its folder"},
    Row{SQLITE_INTERRUPT, ErrorKind::kCancelled, false, ""},
    Row{SQLITE_IOERR, ErrorKind::kOperational, false, "check the disk that holds the file"},
    Row{SQLITE_CORRUPT, ErrorKind::kOperational, false,
        "the file is damaged: restore it from a backup"},
    Row{SQLITE_FULL, ErrorKind::kOperational, false,
        "free space on the disk or raise max_page_count; nothing of the statement was kept"},
    Row{SQLITE_CANTOPEN, ErrorKind::kConnection, false,
        "check that the folder exists and may be written"},
    Row{SQLITE_PROTOCOL, ErrorKind::kOperational, false, ""},
    Row{SQLITE_SCHEMA, ErrorKind::kOperational, false, "the tables changed: run it again"},
    Row{SQLITE_TOOBIG, ErrorKind::kData, false, "a value or the statement is too long for SQLite"},
    Row{SQLITE_CONSTRAINT, ErrorKind::kIntegrity, false, ""},
    Row{SQLITE_MISMATCH, ErrorKind::kData, false, ""},
    Row{SQLITE_MISUSE, ErrorKind::kInternal, true, ""},
    Row{SQLITE_NOLFS, ErrorKind::kOperational, false, ""},
    Row{SQLITE_AUTH, ErrorKind::kProgramming, false, ""},
    Row{SQLITE_RANGE, ErrorKind::kInterface, false, ""},
    Row{SQLITE_NOTADB, ErrorKind::kConnection, false,
        "the file is not an SQLite database: check the path"},
};

constexpr Row kUnknown{0, ErrorKind::kOperational, false, ""};

const Row& row_of(int code) {
  for (const int wanted : {code, code & 0xff}) {
    for (const Row& row : kRows) {
      if (row.code == wanted) return row;
    }
  }
  return kUnknown;
}

}  // namespace

ErrorKind kind_of(int code) {
  return row_of(code).kind;
}

Status error_of(int code, sqlite3* handle, const std::string& endpoint, std::string_view doing) {
  const Row& row = row_of(code);
  ErrorDetail detail;
  detail.kind = row.kind;
  detail.vendor_code = code;
  detail.endpoint = endpoint;
  detail.poisons_connection = row.poisons;
  // A statement that found the database locked has done nothing, unless it stands inside a
  // transaction that has to be run again as a whole.
  if (code == SQLITE_BUSY && handle != nullptr && sqlite3_get_autocommit(handle) != 0) {
    detail.sent = Sent::kNo;
  }
  if (row.kind == ErrorKind::kConnection) detail.sent = Sent::kNo;

  std::string message(doing);
  if (!message.empty()) message += ": ";
  const bool own = handle != nullptr && (sqlite3_errcode(handle) & 0xff) == (code & 0xff);
  message += own ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
  if (!row.advice.empty()) message.append(" (").append(row.advice).append(")");
  return make_error(std::move(detail), std::move(message));
}

}  // namespace cenote::sqlite
