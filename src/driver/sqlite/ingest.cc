// One prepared INSERT, stepped for each row, inside a savepoint: that is what SQLite has for bulk.
#include "driver/sqlite/ingest.h"

#include <memory>
#include <string>
#include <utility>

#include <arrow/type.h>

#include "driver/sqlite/bind.h"

namespace cenote::sqlite {
namespace {

// "table" or "schema"."table".
std::string table_name(const std::string& table) {
  const size_t dot = table.find('.');
  if (dot == std::string::npos) return quote_identifier(table);
  return quote_identifier(table.substr(0, dot)) + '.' + quote_identifier(table.substr(dot + 1));
}

// The declaration by which the column comes back as the type it was given as.
Result<std::string> declaration(const arrow::Field& field) {
  const arrow::DataType& type = *field.type();
  switch (type.id()) {
    case arrow::Type::NA:
      return "";
    case arrow::Type::BOOL:
      return " BOOLEAN";
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16:
    case arrow::Type::UINT32:
    case arrow::Type::UINT64:
    case arrow::Type::DURATION:
      return " INTEGER";
    case arrow::Type::HALF_FLOAT:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
      return " REAL";
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
      return " TEXT";
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::FIXED_SIZE_BINARY:
      return " BLOB";
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
      return " DATE";
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return " TIME";
    case arrow::Type::TIMESTAMP:
      return static_cast<const arrow::TimestampType&>(type).timezone().empty() ? " TIMESTAMP"
                                                                               : " TEXT";
    // SQLite would make a double of a decimal, exact up to 15 digits only.
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(type);
      if (decimal.precision() > 15) return " TEXT";
      return " DECIMAL(" + std::to_string(decimal.precision()) + ", " +
             std::to_string(decimal.scale()) + ")";
    }
    case arrow::Type::DICTIONARY:
      return declaration(
          arrow::Field(field.name(), static_cast<const arrow::DictionaryType&>(type).value_type()));
    case arrow::Type::EXTENSION:
      return declaration(arrow::Field(
          field.name(), static_cast<const arrow::ExtensionType&>(type).storage_type()));
    default:
      return make_error(ErrorKind::kNotSupported, "SQLite has no type for column '" + field.name() +
                                                      "' of " + type.ToString());
  }
}

Status prepare_table(Session& session, const IngestTarget& target, const arrow::Schema& schema) {
  if (target.mode == IngestMode::kAppend) return Status::OK();
  const std::string name = table_name(target.table);
  if (target.mode == IngestMode::kReplace) {
    ARROW_RETURN_NOT_OK(session.run("drop table if exists " + name));
  }
  std::string create =
      target.mode == IngestMode::kCreateAppend ? "create table if not exists " : "create table ";
  create += name + " (";
  for (int i = 0; i < schema.num_fields(); ++i) {
    ARROW_ASSIGN_OR_RAISE(const std::string type, declaration(*schema.field(i)));
    create += (i == 0 ? "" : ", ") + quote_identifier(schema.field(i)->name()) + type;
  }
  return session.run(create + ")");
}

Result<int64_t> insert_all(Session& session, const IngestTarget& target,
                           arrow::RecordBatchReader& rows) {
  const std::shared_ptr<arrow::Schema> schema = rows.schema();
  ARROW_RETURN_NOT_OK(prepare_table(session, target, *schema));
  std::string insert = "insert into " + table_name(target.table) + " (";
  std::string values;
  for (int i = 0; i < schema->num_fields(); ++i) {
    insert += (i == 0 ? "" : ", ") + quote_identifier(schema->field(i)->name());
    values += i == 0 ? "?" : ", ?";
  }
  ARROW_ASSIGN_OR_RAISE(const Statement statement,
                        session.prepare(insert + ") values (" + values + ")"));
  int64_t count = 0;
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows.ReadNext(&batch));
    if (!batch) return count;
    const arrow::ArrayVector columns = batch->columns();
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      int index = 0;
      for (const auto& column : columns) {
        ARROW_RETURN_NOT_OK(bind_cell(statement.get(), ++index, *column, row));
      }
      ARROW_RETURN_NOT_OK(session.step(statement.get()));
      sqlite3_reset(statement.get());
    }
    // The next batch may free what the parameters point to.
    sqlite3_clear_bindings(statement.get());
    count += batch->num_rows();
  }
}

}  // namespace

Result<int64_t> ingest_rows(Session& session, const IngestTarget& target,
                            arrow::RecordBatchReader& rows) {
  if (target.table.empty()) return make_error(ErrorKind::kInterface, "ingest needs a table name");
  if (rows.schema()->num_fields() == 0) {
    return make_error(ErrorKind::kInterface, "ingest needs at least one column");
  }
  const bool own = !session.in_transaction();
  ARROW_RETURN_NOT_OK(session.run(own ? "begin immediate" : "savepoint cenote_ingest"));
  Result<int64_t> count = insert_all(session, target, rows);
  if (count.ok()) {
    const Status kept = session.run(own ? "commit" : "release cenote_ingest");
    if (kept.ok()) return count;
    count = kept;
  }
  // SQLite may have rolled back all by itself (full disk, interrupt).
  if (session.in_transaction()) session.undo(own ? "rollback" : "rollback to cenote_ingest");
  if (!own && session.in_transaction()) session.undo("release cenote_ingest");
  return count;
}

}  // namespace cenote::sqlite
