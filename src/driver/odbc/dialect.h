// Where databases behind ODBC differ from one another, as one table of answers. The defaults are
// what the ODBC standard says; a driver for one database (mssql) overrides them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/type_fwd.h>

#include "cenote/driver.h"

#include "driver/odbc/diagnostics.h"
#include "driver/placeholders.h"

namespace cenote::odbc {

class Session;

// What the ODBC driver in use can do. Found out once for each connection.
struct Abilities {
  std::string driver;             // SQL_DRIVER_NAME: "libmsodbcsql-18.6.so.2.1"
  bool numeric_struct = false;    // SQL_C_NUMERIC keeps to the descriptor's precision and scale
  bool sql_server = false;        // what answers is SQL Server or its like
  bool server_types = false;      // knows SQL Server's C types (SQL_C_SS_TIME2, …)
  bool describes_params = false;  // SQLDescribeParam works
  bool reset_attribute = false;   // SQL_COPT_SS_RESET_CONNECTION works
};

// How far a statement changes the session.
enum class Trace : uint8_t {
  kNone,
  kSettings,  // what reset() brings back
  kLasting,   // what only a new connection, or the driver's own reset, brings back
};

class Dialect {
 public:
  virtual ~Dialect() = default;

  virtual std::string_view database() const { return "the database"; }  // in messages
  virtual const SqlDialect& lexer() const;
  virtual Abilities abilities(std::string driver_name) const;

  // Which kind of error a record is, and its SQLSTATE where the driver's is wrong.
  virtual ErrorKind kind(const Diagnostic& record) const;
  virtual std::string sqlstate(const Diagnostic& record) const { return record.sqlstate; }

  // A statement that gives the session's name and the database's, or any that is cheap.
  virtual std::string_view hello_sql() const { return "SELECT 1"; }
  virtual bool hello_names_session() const { return false; }
  virtual std::string_view validate_sql() const { return "SELECT 1"; }

  // Empty: transactions are begun by SQL_ATTR_AUTOCOMMIT and ended by SQLEndTran.
  virtual std::string_view begin_sql() const { return {}; }
  virtual std::string_view commit_sql() const { return {}; }
  virtual std::string_view rollback_sql() const { return {}; }
  // Sets the level of the transaction that follows; empty: by SQL_ATTR_TXN_ISOLATION.
  virtual std::string isolation_sql(Isolation) const { return {}; }
  virtual std::string savepoint_sql(std::string_view name) const;
  virtual std::string release_savepoint_sql(std::string_view name) const;  // empty: needs none
  virtual std::string rollback_to_sql(std::string_view name) const;
  // One number, 0 where the transaction is gone, asked after an error within one; empty: an error
  // of class 40 means it is gone.
  virtual std::string_view transaction_count_sql() const { return {}; }

  virtual Trace trace(std::string_view sql) const;
  // Brings back a new session's state; the transaction is rolled back already.
  virtual Status reset(Session& session, const CallContext& context, Trace trace) const;
  virtual Result<Probe> probe(Session& session, const CallContext& context) const;

  // For ingest.
  virtual Result<std::string> column_type(const arrow::Field& field) const;
  virtual std::string create_if_absent(std::string_view table, std::string_view columns) const;
};

// "name" with its quotes doubled inside; "schema.table" as two names.
std::string quote_identifier(std::string_view identifier);
std::string quoted_table(std::string_view table);

}  // namespace cenote::odbc
