// T-SQL: errors by number, transactions, the traces that statements leave, reset and probe.
#include "driver/mssql/dialect.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include <arrow/extension_type.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include "driver/mssql/error.h"
#include "driver/odbc/session.h"

namespace cenote::mssql {
namespace {

using odbc::Trace;

// SQL_COPT_SS_RESET_CONNECTION and its value: the next request carries the reset, at no cost.
constexpr SQLINTEGER kResetConnection = 1246;
constexpr uintptr_t kResetYes = 1;

// What a new session has, for a driver that cannot reset: the settings that a SET changes.
constexpr std::string_view kDefaults =
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCK_TIMEOUT -1; SET ROWCOUNT 0; "
    "SET TEXTSIZE 2147483647; SET XACT_ABORT OFF; SET NOCOUNT OFF; SET IMPLICIT_TRANSACTIONS OFF; "
    "SET DEADLOCK_PRIORITY NORMAL; SET DATEFIRST 7; SET DATEFORMAT mdy; SET ANSI_NULLS ON; "
    "SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; SET ANSI_NULL_DFLT_ON ON; "
    "SET CONCAT_NULL_YIELDS_NULL ON; SET QUOTED_IDENTIFIER ON; SET ARITHABORT OFF; "
    "SET CURSOR_CLOSE_ON_COMMIT OFF; SET NOEXEC OFF; SET PARSEONLY OFF; SET FMTONLY OFF";

std::string bracketed(std::string_view name) {
  std::string text = "[";
  for (const char c : name) text.append(c == ']' ? 2 : 1, c);
  return text + "]";
}

std::string national(std::string_view text) {
  std::string out = "N'";
  for (const char c : text) out.append(c == '\'' ? 2 : 1, c);
  return out + "'";
}

// Digits after the second; seven are the most there are.
std::string digits_of(arrow::TimeUnit::type unit) {
  return std::to_string(std::min(7, 3 * static_cast<int>(unit)));
}

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

const SqlDialect& ServerDialect::lexer() const {
  static constexpr SqlDialect kLexer{.bracket_identifiers = true, .nested_comments = true};
  return kLexer;
}

odbc::Abilities ServerDialect::abilities(std::string driver_name) const {
  odbc::Abilities found;
  const bool microsoft = driver_name.find("msodbcsql") != std::string::npos;
  found.driver = std::move(driver_name);
  found.sql_server = true;
  // FreeTDS 1.3 answers SQL_C_NUMERIC with scale 0, whatever the descriptor says, and without an
  // error: 7.0007 came as 7.
  found.numeric_struct = microsoft;
  found.server_types = microsoft;
  found.describes_params = microsoft;
  found.reset_attribute = microsoft;
  return found;
}

ErrorKind ServerDialect::kind(const odbc::Diagnostic& record) const {
  const auto known = verdict(record.native);
  if (known) return known->kind;
  // Numbers of the server's own that nobody listed are not for their SQLSTATE to class: drivers
  // say 42000 or HY000 of all of them.
  return odbc::kind_of_sqlstate(record.sqlstate);
}

std::string ServerDialect::sqlstate(const odbc::Diagnostic& record) const {
  const auto known = verdict(record.native);
  return known && !known->sqlstate.empty() ? std::string(known->sqlstate) : record.sqlstate;
}

std::string ServerDialect::isolation_sql(Isolation isolation) const {
  const char* level = isolation == Isolation::kSerializable     ? "SERIALIZABLE"
                      : isolation == Isolation::kRepeatableRead ? "REPEATABLE READ"
                                                                : "READ COMMITTED";
  return std::string("SET TRANSACTION ISOLATION LEVEL ") + level;
}

std::string ServerDialect::savepoint_sql(std::string_view name) const {
  return "SAVE TRANSACTION " + bracketed(name);
}

std::string ServerDialect::rollback_to_sql(std::string_view name) const {
  return "ROLLBACK TRANSACTION " + bracketed(name);
}

Trace ServerDialect::trace(std::string_view sql) const {
  Trace trace = Trace::kNone;
  bool updates = false;
  SqlScanner scanner(sql, lexer());
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    std::string word(scanner.text());
    if (word.starts_with('\'')) continue;
    // Temporary tables outlive the statement; also those named [#t] or "#t".
    if (word.find('#') < 2) return Trace::kLasting;
    if (token != SqlToken::kWord) continue;
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (one_of(word, {"sp_setapprole", "sp_set_session_context", "sp_getapplock", "cursor",
                      "sp_cursoropen", "context_info", "deny", "impersonate"}) ||
        (word == "as" && trace == Trace::kSettings && !updates &&
         first_keyword(sql, lexer()).starts_with("exec"))) {
      return Trace::kLasting;
    }
    updates = updates || one_of(word, {"update", "merge"});
    if (one_of(word,
               {"use", "exec", "execute", "begin", "commit", "rollback", "save", "setuser"}) ||
        (word == "set" && !updates)) {
      trace = Trace::kSettings;
    }
  }
  return trace;
}

Status ServerDialect::reset(odbc::Session& session, const CallContext& context, Trace trace) const {
  // Neither driver's reset brings back the database or the isolation level on all servers.
  std::string sql = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION";
  sql += "; USE " + bracketed(session.database());
  sql += "; SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
  if (session.abilities().reset_attribute && trace != Trace::kNone) {
    if (session.set_attribute(kResetConnection, kResetYes)) return session.run(context, sql);
  }
  if (trace == Trace::kLasting) {
    return make_error(ErrorKind::kNotSupported,
                      "this ODBC driver cannot drop temporary tables and the like: the connection "
                      "is not used again");
  }
  if (trace == Trace::kNone) return Status::OK();
  return session.run(context, sql + "; " + std::string(kDefaults));
}

Result<Probe> ServerDialect::probe(odbc::Session& session, const CallContext& context) const {
  constexpr std::string_view kColumns =
      "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version, "
      "CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128)) AS updateability, "
      "@@MAX_CONNECTIONS AS connections";
  // SQL Server 2012 and servers that are only like it do not know the function.
  constexpr std::string_view kRole = ", sys.fn_hadr_is_primary_replica(DB_NAME()) AS is_primary";
  const auto ask = [&](const std::string& sql) -> Result<std::shared_ptr<arrow::Table>> {
    ARROW_ASSIGN_OR_RAISE(const auto reader, session.query(context, sql, Params(), BatchLimits()));
    return reader->ToTable();
  };
  auto answer = ask(std::string(kColumns) + std::string(kRole));
  if (!answer.ok() && session.usable() && error_kind(answer.status()) == ErrorKind::kProgramming) {
    answer = ask(std::string(kColumns));
  }
  ARROW_RETURN_NOT_OK(answer.status());
  const arrow::Table& table = **answer;
  if (table.num_rows() != 1 || table.num_columns() < 3) {
    return make_error(ErrorKind::kInternal, "the server's answer to a probe has no row");
  }
  const auto text = [&](int column) -> std::string {
    const auto scalar = table.column(column)->GetScalar(0);
    return scalar.ok() && (*scalar)->is_valid ? (*scalar)->ToString() : std::string();
  };
  Probe probe;
  probe.server_version = text(0);
  probe.read_only = text(1) == "READ_ONLY";
  int64_t most = 0;
  const std::string connections = text(2);
  std::from_chars(connections.data(), connections.data() + connections.size(), most);
  if (most > 0) probe.max_connections = most;
  const std::string primary = table.num_columns() > 3 ? text(3) : std::string();
  if (!primary.empty()) {
    probe.role = primary == "0" || primary == "false" ? Role::kReplica : Role::kPrimary;
  } else {
    // Without an availability group: a database that takes writes is nobody's replica.
    probe.role = probe.read_only ? Role::kUnknown : Role::kPrimary;
  }
  return probe;
}

Result<std::string> ServerDialect::column_type(const arrow::Field& field) const {
  const arrow::DataType& type = *field.type();
  switch (type.id()) {
    case arrow::Type::NA:
      return "nvarchar(max)";
    case arrow::Type::BOOL:
      return "bit";
    case arrow::Type::UINT8:
      return "tinyint";
    case arrow::Type::FLOAT:
    case arrow::Type::HALF_FLOAT:
      return "real";
    case arrow::Type::DOUBLE:
      return "float";
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
      return "nvarchar(max)";
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
      return "varbinary(max)";
    case arrow::Type::FIXED_SIZE_BINARY: {
      const int width = static_cast<const arrow::FixedSizeBinaryType&>(type).byte_width();
      return width > 0 && width <= 8000 ? "varbinary(" + std::to_string(width) + ")"
                                        : std::string("varbinary(max)");
    }
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
      return "date";
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return "time(" + digits_of(static_cast<const arrow::TimeType&>(type).unit()) + ")";
    case arrow::Type::TIMESTAMP: {
      const auto& stamp = static_cast<const arrow::TimestampType&>(type);
      return (stamp.timezone().empty() ? "datetime2(" : "datetimeoffset(") +
             digits_of(stamp.unit()) + ")";
    }
    case arrow::Type::EXTENSION: {
      const auto& extension = static_cast<const arrow::ExtensionType&>(type);
      if (extension.extension_name() == "arrow.uuid") return "uniqueidentifier";
      return Dialect::column_type(field);
    }
    default:
      return Dialect::column_type(field);  // integers, decimals, and what lies in others
  }
}

std::string ServerDialect::create_if_absent(std::string_view table,
                                            std::string_view columns) const {
  return "IF OBJECT_ID(" + national(table) + ", N'U') IS NULL CREATE TABLE " + std::string(table) +
         " (" + std::string(columns) + ")";
}

}  // namespace cenote::mssql
