// The messages of Arrow Flight SQL that clients send and expect (FlightSql.proto of Apache Arrow),
// by their names there. The bodies of the session actions are not here: libarrow_flight has them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flight/wire.h"

namespace cenote::flight {

#define CENOTE_FLIGHT_SQL(message) \
  static constexpr std::string_view kName = "arrow.flight.protocol.sql." #message
#define CENOTE_FIELDS(...)                                                         \
  template <class Self, class Visit>                                               \
  static void fields([[maybe_unused]] Self& self, [[maybe_unused]] Visit& visit) { \
    __VA_ARGS__                                                                    \
  }

// ---- Metadata commands

struct CommandGetSqlInfo {
  CENOTE_FLIGHT_SQL(CommandGetSqlInfo);
  std::vector<uint32_t> info;  // empty: all
  CENOTE_FIELDS(visit(1, self.info);)
};

struct CommandGetXdbcTypeInfo {
  CENOTE_FLIGHT_SQL(CommandGetXdbcTypeInfo);
  std::optional<int32_t> data_type;
  CENOTE_FIELDS(visit(1, self.data_type);)
};

struct CommandGetCatalogs {
  CENOTE_FLIGHT_SQL(CommandGetCatalogs);
  CENOTE_FIELDS()
};

struct CommandGetDbSchemas {
  CENOTE_FLIGHT_SQL(CommandGetDbSchemas);
  std::optional<std::string> catalog;
  std::optional<std::string> db_schema_filter_pattern;
  CENOTE_FIELDS(visit(1, self.catalog); visit(2, self.db_schema_filter_pattern);)
};

struct CommandGetTables {
  CENOTE_FLIGHT_SQL(CommandGetTables);
  std::optional<std::string> catalog;
  std::optional<std::string> db_schema_filter_pattern;
  std::optional<std::string> table_name_filter_pattern;
  std::vector<std::string> table_types;  // empty: all
  bool include_schema = false;
  CENOTE_FIELDS(visit(1, self.catalog); visit(2, self.db_schema_filter_pattern);
                visit(3, self.table_name_filter_pattern); visit(4, self.table_types);
                visit(5, self.include_schema);)
};

struct CommandGetTableTypes {
  CENOTE_FLIGHT_SQL(CommandGetTableTypes);
  CENOTE_FIELDS()
};

struct CommandGetPrimaryKeys {
  CENOTE_FLIGHT_SQL(CommandGetPrimaryKeys);
  std::optional<std::string> catalog;
  std::optional<std::string> db_schema;
  std::string table;
  CENOTE_FIELDS(visit(1, self.catalog); visit(2, self.db_schema); visit(3, self.table);)
};

struct CommandGetExportedKeys {
  CENOTE_FLIGHT_SQL(CommandGetExportedKeys);
  std::optional<std::string> catalog;
  std::optional<std::string> db_schema;
  std::string table;
  CENOTE_FIELDS(visit(1, self.catalog); visit(2, self.db_schema); visit(3, self.table);)
};

struct CommandGetImportedKeys {
  CENOTE_FLIGHT_SQL(CommandGetImportedKeys);
  std::optional<std::string> catalog;
  std::optional<std::string> db_schema;
  std::string table;
  CENOTE_FIELDS(visit(1, self.catalog); visit(2, self.db_schema); visit(3, self.table);)
};

struct CommandGetCrossReference {
  CENOTE_FLIGHT_SQL(CommandGetCrossReference);
  std::optional<std::string> pk_catalog;
  std::optional<std::string> pk_db_schema;
  std::string pk_table;
  std::optional<std::string> fk_catalog;
  std::optional<std::string> fk_db_schema;
  std::string fk_table;
  CENOTE_FIELDS(visit(1, self.pk_catalog); visit(2, self.pk_db_schema); visit(3, self.pk_table);
                visit(4, self.fk_catalog); visit(5, self.fk_db_schema); visit(6, self.fk_table);)
};

// ---- Statements

struct CommandStatementQuery {
  CENOTE_FLIGHT_SQL(CommandStatementQuery);
  std::string query;
  std::optional<Bytes> transaction_id;
  CENOTE_FIELDS(visit(1, self.query); visit(2, self.transaction_id);)
};

struct TicketStatementQuery {
  CENOTE_FLIGHT_SQL(TicketStatementQuery);
  Bytes statement_handle;
  CENOTE_FIELDS(visit(1, self.statement_handle);)
};

struct CommandPreparedStatementQuery {
  CENOTE_FLIGHT_SQL(CommandPreparedStatementQuery);
  Bytes prepared_statement_handle;
  CENOTE_FIELDS(visit(1, self.prepared_statement_handle);)
};

struct CommandStatementUpdate {
  CENOTE_FLIGHT_SQL(CommandStatementUpdate);
  std::string query;
  std::optional<Bytes> transaction_id;
  CENOTE_FIELDS(visit(1, self.query); visit(2, self.transaction_id);)
};

struct CommandPreparedStatementUpdate {
  CENOTE_FLIGHT_SQL(CommandPreparedStatementUpdate);
  Bytes prepared_statement_handle;
  CENOTE_FIELDS(visit(1, self.prepared_statement_handle);)
};

enum class TableNotExist : int32_t { kUnspecified = 0, kCreate = 1, kFail = 2 };
enum class TableExists : int32_t { kUnspecified = 0, kFail = 1, kAppend = 2, kReplace = 3 };

struct TableDefinitionOptions {
  CENOTE_FLIGHT_SQL(TableDefinitionOptions);
  TableNotExist if_not_exist = TableNotExist::kUnspecified;
  TableExists if_exists = TableExists::kUnspecified;
  CENOTE_FIELDS(visit(1, self.if_not_exist); visit(2, self.if_exists);)
};

struct CommandStatementIngest {
  CENOTE_FLIGHT_SQL(CommandStatementIngest);
  std::optional<TableDefinitionOptions> table_definition_options;
  std::string table;
  std::optional<std::string> schema;
  std::optional<std::string> catalog;
  bool temporary = false;
  std::optional<Bytes> transaction_id;
  std::map<std::string, std::string> options;
  CENOTE_FIELDS(visit(1, self.table_definition_options); visit(2, self.table);
                visit(3, self.schema); visit(4, self.catalog); visit(5, self.temporary);
                visit(6, self.transaction_id); visit(1000, self.options);)
};

struct DoPutUpdateResult {
  CENOTE_FLIGHT_SQL(DoPutUpdateResult);
  int64_t record_count = 0;
  CENOTE_FIELDS(visit(1, self.record_count);)
};

struct DoPutPreparedStatementResult {
  CENOTE_FLIGHT_SQL(DoPutPreparedStatementResult);
  std::optional<Bytes> prepared_statement_handle;
  CENOTE_FIELDS(visit(1, self.prepared_statement_handle);)
};

// ---- Bodies and results of actions

struct ActionCreatePreparedStatementRequest {
  CENOTE_FLIGHT_SQL(ActionCreatePreparedStatementRequest);
  std::string query;
  std::optional<Bytes> transaction_id;
  CENOTE_FIELDS(visit(1, self.query); visit(2, self.transaction_id);)
};

struct ActionCreatePreparedStatementResult {
  CENOTE_FLIGHT_SQL(ActionCreatePreparedStatementResult);
  Bytes prepared_statement_handle;
  Bytes dataset_schema;    // an IPC schema message; empty for an update
  Bytes parameter_schema;  // the same; empty without parameters
  std::optional<bool> is_update;
  CENOTE_FIELDS(visit(1, self.prepared_statement_handle); visit(2, self.dataset_schema);
                visit(3, self.parameter_schema); visit(4, self.is_update);)
};

struct ActionClosePreparedStatementRequest {
  CENOTE_FLIGHT_SQL(ActionClosePreparedStatementRequest);
  Bytes prepared_statement_handle;
  CENOTE_FIELDS(visit(1, self.prepared_statement_handle);)
};

struct ActionBeginTransactionResult {
  CENOTE_FLIGHT_SQL(ActionBeginTransactionResult);
  Bytes transaction_id;
  CENOTE_FIELDS(visit(1, self.transaction_id);)
};

enum class EndTransaction : int32_t { kUnspecified = 0, kCommit = 1, kRollback = 2 };

struct ActionEndTransactionRequest {
  CENOTE_FLIGHT_SQL(ActionEndTransactionRequest);
  Bytes transaction_id;
  EndTransaction action = EndTransaction::kUnspecified;
  CENOTE_FIELDS(visit(1, self.transaction_id); visit(2, self.action);)
};

struct ActionBeginSavepointRequest {
  CENOTE_FLIGHT_SQL(ActionBeginSavepointRequest);
  Bytes transaction_id;
  std::string name;
  CENOTE_FIELDS(visit(1, self.transaction_id); visit(2, self.name);)
};

struct ActionBeginSavepointResult {
  CENOTE_FLIGHT_SQL(ActionBeginSavepointResult);
  Bytes savepoint_id;
  CENOTE_FIELDS(visit(1, self.savepoint_id);)
};

enum class EndSavepoint : int32_t { kUnspecified = 0, kRelease = 1, kRollback = 2 };

struct ActionEndSavepointRequest {
  CENOTE_FLIGHT_SQL(ActionEndSavepointRequest);
  Bytes savepoint_id;
  EndSavepoint action = EndSavepoint::kUnspecified;
  CENOTE_FIELDS(visit(1, self.savepoint_id); visit(2, self.action);)
};

#undef CENOTE_FLIGHT_SQL

}  // namespace cenote::flight
