// SQL Server's answers to where databases behind ODBC differ.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "driver/odbc/dialect.h"

namespace cenote::mssql {

class ServerDialect final : public odbc::Dialect {
 public:
  std::string_view database() const override { return "SQL Server"; }
  const SqlDialect& lexer() const override;
  odbc::Abilities abilities(std::string driver_name) const override;
  ErrorKind kind(const odbc::Diagnostic& record) const override;
  std::string sqlstate(const odbc::Diagnostic& record) const override;

  std::string_view hello_sql() const override { return "SELECT @@SPID, DB_NAME()"; }
  bool hello_names_session() const override { return true; }

  // By SQL, not by SQL_ATTR_AUTOCOMMIT: implicit transactions begin with the first statement only,
  // so that a savepoint could not be the first.
  std::string_view begin_sql() const override { return "BEGIN TRANSACTION"; }
  std::string_view commit_sql() const override { return "COMMIT TRANSACTION"; }
  std::string_view rollback_sql() const override {
    return "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION";
  }
  std::string isolation_sql(Isolation isolation) const override;
  std::string savepoint_sql(std::string_view name) const override;
  std::string release_savepoint_sql(std::string_view) const override { return {}; }
  std::string rollback_to_sql(std::string_view name) const override;
  std::string_view transaction_count_sql() const override { return "SELECT @@TRANCOUNT"; }

  odbc::Trace trace(std::string_view sql) const override;
  Status reset(odbc::Session& session, const CallContext& context,
               odbc::Trace trace) const override;
  Result<Probe> probe(odbc::Session& session, const CallContext& context) const override;

  Result<std::string> column_type(const arrow::Field& field) const override;
  std::string create_if_absent(std::string_view table, std::string_view columns) const override;
};

}  // namespace cenote::mssql
