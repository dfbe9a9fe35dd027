// The table of SQLSTATE classes, and the hints that a message ends with.
#include "driver/postgresql/error.h"

#include <cctype>
#include <utility>

namespace cenote::postgresql {
namespace {

struct Row {
  std::string_view prefix;
  ErrorKind kind;
  std::string_view hint;  // what to do, where the server does not say
};

// The first prefix that fits counts.
constexpr Row kRows[] = {
    {"08", ErrorKind::kConnection, ""},
    {"0A", ErrorKind::kNotSupported, ""},
    {"21", ErrorKind::kProgramming, ""},
    {"22021", ErrorKind::kData, "read or store what is no text of the encoding as bytea"},
    {"22", ErrorKind::kData, ""},
    {"23", ErrorKind::kIntegrity, ""},
    {"25006", ErrorKind::kReadOnly, "this server or transaction takes no writes: is it a replica?"},
    {"25P03", ErrorKind::kConnection,
     "the transaction was idle for longer than the server's idle_in_transaction_session_timeout"},
    {"25", ErrorKind::kProgramming, ""},
    {"26", ErrorKind::kProgramming,
     "the server does not know this prepared statement; behind a pooler that hands its sessions "
     "around, set prepared_statements: off"},
    {"28", ErrorKind::kAuthentication, "check username, password and the server's pg_hba.conf"},
    {"2", ErrorKind::kInternal, ""},
    {"34", ErrorKind::kProgramming, ""},
    {"3B", ErrorKind::kProgramming, ""},
    {"3D", ErrorKind::kProgramming, ""},
    {"3F", ErrorKind::kProgramming, ""},
    {"40", ErrorKind::kOperational, "the transaction was rolled back; run it again"},
    {"42P05", ErrorKind::kProgramming,
     "behind a pooler that hands its sessions around, set prepared_statements: off"},
    {"42", ErrorKind::kProgramming, ""},
    {"44", ErrorKind::kIntegrity, ""},
    {"53300", ErrorKind::kOverload,
     "the server has no connection left: lower max_connections of the pools that use it, or raise "
     "the server's"},
    {"57014", ErrorKind::kOperational, ""},
    {"57P01", ErrorKind::kConnection, "the session was ended by an administrator or a shutdown"},
    {"57P02", ErrorKind::kConnection, "another process of the server crashed; it restarts"},
    {"57P03", ErrorKind::kConnection, "the server is starting, stopping or recovering; try again"},
    {"57P04", ErrorKind::kConnection, "the database was dropped"},
    {"57P05", ErrorKind::kConnection, "the session was idle for longer than the server allows"},
    {"F0", ErrorKind::kInternal, ""},
    {"P0", ErrorKind::kProgramming, ""},
    {"XX", ErrorKind::kInternal, ""},
};

const Row* row_of(std::string_view sqlstate) {
  for (const Row& row : kRows) {
    if (sqlstate.starts_with(row.prefix)) return &row;
  }
  return nullptr;
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.pop_back();
  }
  return text;
}

std::string_view field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? std::string_view() : std::string_view(text);
}

void append_hint(std::string& message, std::string_view sqlstate) {
  const Row* row = row_of(sqlstate);
  if (row != nullptr && !row->hint.empty()) message.append(" (").append(row->hint).append(")");
}

struct Verbose {
  std::string sqlstate;
  std::string message;
};

// "…: FATAL:  28P01: password authentication failed …\nLOCATION:  auth_failed, auth.c:335" without
// state and location. The words before the state are in the server's language.
Verbose parse_verbose(std::string text) {
  Verbose parsed;
  for (size_t at = text.find(":  "); at != std::string::npos; at = text.find(":  ", at + 1)) {
    const std::string state = text.substr(at + 3, 5);
    const bool is_state =
        state.size() == 5 && text.compare(at + 8, 2, ": ") == 0 &&
        state.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos;
    if (!is_state) continue;
    parsed.sqlstate = state;
    text.erase(at + 2, 7);
    const size_t location = text.find("\nLOCATION:");
    if (location != std::string::npos) text.erase(location);
    break;
  }
  parsed.message = trimmed(std::move(text));
  return parsed;
}

}  // namespace

ErrorKind error_kind_of(std::string_view sqlstate) {
  const Row* row = row_of(sqlstate);
  return row == nullptr ? ErrorKind::kOperational : row->kind;
}

std::string_view sqlstate_of(const PGresult* result) {
  return field(result, PG_DIAG_SQLSTATE);
}

bool is_stale_statement(const PGresult* result) {
  const std::string_view state = sqlstate_of(result);
  // "cached plan must not change result type" shares its state with all that is not supported.
  return state == "26000" ||
         (state == "0A000" && field(result, PG_DIAG_SOURCE_FUNCTION) == "RevalidateCachedQuery");
}

Status result_error(const PGresult* result) {
  ErrorDetail detail;
  detail.sqlstate = sqlstate_of(result);
  if (detail.sqlstate.empty()) {
    // libpq's own: the connection is lost or out of step.
    detail.kind = ErrorKind::kConnection;
    detail.sent = Sent::kMaybe;
    detail.poisons_connection = true;
    return make_error(std::move(detail), "the connection to PostgreSQL was lost: " +
                                             trimmed(PQresultErrorMessage(result)));
  }
  detail.kind = error_kind_of(detail.sqlstate);
  std::string message(field(result, PG_DIAG_MESSAGE_PRIMARY));
  if (const auto more = field(result, PG_DIAG_MESSAGE_DETAIL); !more.empty()) {
    message.append(": ").append(more);
  }
  if (const auto hint = field(result, PG_DIAG_MESSAGE_HINT); !hint.empty()) {
    message.append(" (").append(hint).append(")");
  }
  if (const auto at = field(result, PG_DIAG_STATEMENT_POSITION); !at.empty()) {
    message.append(" [at character ").append(at).append("]");
  }
  append_hint(message, detail.sqlstate);
  if (detail.sqlstate == "57014" && message.find("statement timeout") != std::string::npos) {
    detail.kind = ErrorKind::kQueryTimeout;
    message += " (the server's own statement_timeout ended it, not a deadline of the caller)";
  }
  const std::string_view severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  detail.poisons_connection =
      severity == "FATAL" || severity == "PANIC" || detail.kind == ErrorKind::kConnection;
  return make_error(std::move(detail), std::move(message));
}

Status lost_error(const PGconn* conn, Sent sent) {
  ErrorDetail detail;
  detail.kind = ErrorKind::kConnection;
  detail.sent = sent;
  detail.poisons_connection = true;
  const std::string why = trimmed(PQerrorMessage(conn));
  return make_error(std::move(detail), "the connection to PostgreSQL was lost" +
                                           (why.empty() ? std::string() : ": " + why));
}

Status connect_error(const PGconn* conn) {
  Verbose parsed = parse_verbose(conn == nullptr ? "out of memory" : PQerrorMessage(conn));
  ErrorDetail detail;
  detail.kind = ErrorKind::kConnection;
  detail.sent = Sent::kNo;
  detail.poisons_connection = true;
  detail.sqlstate = parsed.sqlstate;
  const auto says = [&](std::string_view words) {
    return parsed.message.find(words) != std::string::npos;
  };
  if (!parsed.sqlstate.empty()) {
    detail.kind = error_kind_of(parsed.sqlstate);
    // A database that is not there is a mistake of the configuration; no statement was wrong.
    if (detail.kind == ErrorKind::kProgramming) detail.kind = ErrorKind::kConfig;
    append_hint(parsed.message, parsed.sqlstate);
    if (says("no more connections allowed")) detail.kind = ErrorKind::kOverload;  // pgbouncer's
  } else if (says("no password supplied")) {
    detail.kind = ErrorKind::kAuthentication;
    parsed.message += " (set password, or a callback for credentials)";
  } else if (says("certificate verify failed")) {
    parsed.message +=
        " (the server's certificate is not signed by an authority in sslrootcert; nothing was "
        "sent)";
  } else if (says("does not match host name")) {
    parsed.message +=
        " (sslmode verify-full wants the certificate to name the host that was connected to)";
  } else if (says("root certificate file")) {
    detail.kind = ErrorKind::kConfig;
    parsed.message += " (set sslrootcert to the file of the authority's certificate)";
  } else if (says("could not translate host name")) {
    parsed.message += " (check host, and the name service)";
  } else if (says("Connection refused")) {
    parsed.message += " (nothing listens there: check host and port, and that the server runs)";
  }
  return make_error(std::move(detail), std::move(parsed.message));
}

}  // namespace cenote::postgresql
