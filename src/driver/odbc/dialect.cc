// The defaults: standard SQL and standard SQLSTATEs.
#include "driver/odbc/dialect.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <arrow/extension_type.h>
#include <arrow/type.h>

#include "driver/odbc/session.h"

namespace cenote::odbc {

std::string quote_identifier(std::string_view identifier) {
  std::string text = "\"";
  for (const char c : identifier) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

std::string quoted_table(std::string_view table) {
  const size_t dot = table.find('.');
  if (dot == std::string_view::npos) return quote_identifier(table);
  return quote_identifier(table.substr(0, dot)) + "." + quote_identifier(table.substr(dot + 1));
}

const SqlDialect& Dialect::lexer() const {
  static constexpr SqlDialect kLexer{};
  return kLexer;
}

Abilities Dialect::abilities(std::string driver_name) const {
  Abilities found;
  found.driver = std::move(driver_name);
  return found;
}

ErrorKind Dialect::kind(const Diagnostic& record) const {
  return kind_of_sqlstate(record.sqlstate);
}

std::string Dialect::savepoint_sql(std::string_view name) const {
  return "SAVEPOINT " + quote_identifier(name);
}

std::string Dialect::release_savepoint_sql(std::string_view name) const {
  return "RELEASE SAVEPOINT " + quote_identifier(name);
}

std::string Dialect::rollback_to_sql(std::string_view name) const {
  return "ROLLBACK TO SAVEPOINT " + quote_identifier(name);
}

Trace Dialect::trace(std::string_view sql) const {
  const std::string first = first_keyword(sql, lexer());
  for (const std::string_view clean :
       {"select", "insert", "update", "delete", "merge", "replace", "values", "with", "drop",
        "alter", "truncate", "explain", "grant", "revoke"}) {
    if (first == clean) return Trace::kNone;
  }
  if (first != "create") return Trace::kLasting;
  SqlScanner scanner(sql, lexer());
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    std::string word(scanner.text());
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (word == "temp" || word == "temporary") return Trace::kLasting;
    if (word == "table" || word == "view" || word == "index") break;
  }
  return Trace::kNone;
}

Status Dialect::reset(Session& /*session*/, const CallContext& /*context*/, Trace trace) const {
  if (trace != Trace::kLasting) return Status::OK();
  return make_error(ErrorKind::kNotSupported,
                    "ODBC has no way to bring a changed session back to a new one's state");
}

Result<Probe> Dialect::probe(Session& session, const CallContext& context) const {
  ARROW_RETURN_NOT_OK(session.validate(context));
  Probe probe;
  probe.server_version = session.server_version();
  probe.read_only = session.read_only();
  return probe;
}

Result<std::string> Dialect::column_type(const arrow::Field& field) const {
  const arrow::DataType& type = *field.type();
  switch (type.id()) {
    case arrow::Type::NA:
      return "VARCHAR(1)";
    case arrow::Type::BOOL:
    case arrow::Type::INT8:
    case arrow::Type::UINT8:
    case arrow::Type::INT16:
      return "SMALLINT";
    case arrow::Type::UINT16:
    case arrow::Type::INT32:
      return "INTEGER";
    case arrow::Type::UINT32:
    case arrow::Type::INT64:
      return "BIGINT";
    case arrow::Type::UINT64:
      return "DECIMAL(20,0)";
    case arrow::Type::HALF_FLOAT:
    case arrow::Type::FLOAT:
      return "REAL";
    case arrow::Type::DOUBLE:
      return "DOUBLE PRECISION";
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
      return "VARCHAR(4000)";
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::FIXED_SIZE_BINARY:
      return "VARBINARY(4000)";
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
      return "DATE";
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return "TIME";
    case arrow::Type::TIMESTAMP:
      return "TIMESTAMP";
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(type);
      return "DECIMAL(" + std::to_string(decimal.precision()) + "," +
             std::to_string(decimal.scale()) + ")";
    }
    case arrow::Type::DICTIONARY:
      return column_type(
          arrow::Field(field.name(), static_cast<const arrow::DictionaryType&>(type).value_type()));
    case arrow::Type::EXTENSION:
      return column_type(arrow::Field(
          field.name(), static_cast<const arrow::ExtensionType&>(type).storage_type()));
    default:
      return make_error(ErrorKind::kNotSupported, "there is no column type for '" + field.name() +
                                                      "' of Arrow's " + type.ToString());
  }
}

std::string Dialect::create_if_absent(std::string_view table, std::string_view columns) const {
  return "CREATE TABLE IF NOT EXISTS " + std::string(table) + " (" + std::string(columns) + ")";
}

}  // namespace cenote::odbc
