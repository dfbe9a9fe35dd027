// From the databases' answers to Flight SQL's schemas, with the filters in between.
#include "node/metadata.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/buffer.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include "node/catalog_sql.h"
#include "node/sql_info.h"

namespace cenote::node {
namespace {

using Cell = std::optional<std::string>;
using Row = std::vector<Cell>;
using Filter = std::optional<std::string>;

std::shared_ptr<arrow::Field> text(const char* name, bool nullable = true) {
  return arrow::field(name, arrow::utf8(), nullable);
}

// ---- The schemas, as FlightSql.proto's comments give them

std::shared_ptr<arrow::Schema> catalogs_schema() {
  return arrow::schema({text("catalog_name", false)});
}
std::shared_ptr<arrow::Schema> schemas_schema() {
  return arrow::schema({text("catalog_name"), text("db_schema_name", false)});
}
std::shared_ptr<arrow::Schema> tables_schema(bool with_schema) {
  arrow::FieldVector fields = {text("catalog_name"), text("db_schema_name"),
                               text("table_name", false), text("table_type", false)};
  if (with_schema) fields.push_back(arrow::field("table_schema", arrow::binary(), false));
  return arrow::schema(std::move(fields));
}
std::shared_ptr<arrow::Schema> table_types_schema() {
  return arrow::schema({text("table_type", false)});
}
std::shared_ptr<arrow::Schema> primary_keys_schema() {
  return arrow::schema({text("catalog_name"), text("db_schema_name"), text("table_name", false),
                        text("column_name", false),
                        arrow::field("key_sequence", arrow::int32(), false), text("key_name")});
}
std::shared_ptr<arrow::Schema> foreign_keys_schema() {
  return arrow::schema({text("pk_catalog_name"), text("pk_db_schema_name"),
                        text("pk_table_name", false), text("pk_column_name", false),
                        text("fk_catalog_name"), text("fk_db_schema_name"),
                        text("fk_table_name", false), text("fk_column_name", false),
                        arrow::field("key_sequence", arrow::int32(), false), text("fk_key_name"),
                        text("pk_key_name"), arrow::field("update_rule", arrow::uint8(), false),
                        arrow::field("delete_rule", arrow::uint8(), false)});
}
std::shared_ptr<arrow::Schema> xdbc_schema() {
  const auto number = [](const char* name, bool nullable = true) {
    return arrow::field(name, arrow::int32(), nullable);
  };
  const auto flag = [](const char* name, bool nullable) {
    return arrow::field(name, arrow::boolean(), nullable);
  };
  return arrow::schema(
      {text("type_name", false), number("data_type", false), number("column_size"),
       text("literal_prefix"), text("literal_suffix"),
       arrow::field("create_params", arrow::list(arrow::field("item", arrow::utf8(), false))),
       number("nullable", false), flag("case_sensitive", false), number("searchable", false),
       flag("unsigned_attribute", true), flag("fixed_prec_scale", false),
       flag("auto_increment", true), text("local_type_name"), number("minimum_scale"),
       number("maximum_scale"), number("sql_data_type", false), number("datetime_subcode"),
       number("num_prec_radix"), number("interval_precision")});
}

// ---- Rows

// A result as text, whatever types the database's catalog has.
Result<std::vector<Row>> ask(LocalPool& pool, std::string_view sql, const QueryOptions& options) {
  QueryOptions reading = options;
  reading.access = Access::kReadOnly;
  reading.tag = "metadata for a client";
  ARROW_ASSIGN_OR_RAISE(const auto table, pool.execute_query(sql, {}, reading));
  std::vector<Row> rows(static_cast<size_t>(table->num_rows()),
                        Row(static_cast<size_t>(table->num_columns())));
  for (int column = 0; column < table->num_columns(); ++column) {
    for (size_t row = 0; row < rows.size(); ++row) {
      ARROW_ASSIGN_OR_RAISE(const auto value,
                            table->column(column)->GetScalar(static_cast<int64_t>(row)));
      if (value->is_valid) rows[row][static_cast<size_t>(column)] = value->ToString();
    }
  }
  return rows;
}

uint8_t rule_number(const Cell& rule) {
  static constexpr std::array<std::string_view, 5> kRules = {"CASCADE", "RESTRICT", "SET NULL",
                                                             "NO ACTION", "SET DEFAULT"};
  const auto found = std::find(kRules.begin(), kRules.end(), rule.value_or("NO ACTION"));
  return found == kRules.end() ? 3 : static_cast<uint8_t>(found - kRules.begin());
}

// Rows of cells in the order of the schema's fields, which are text, bytes or small numbers.
Result<std::shared_ptr<arrow::Table>> make_table(const std::shared_ptr<arrow::Schema>& schema,
                                                 const std::vector<Row>& rows) {
  arrow::ArrayVector columns;
  for (int i = 0; i < schema->num_fields(); ++i) {
    std::unique_ptr<arrow::ArrayBuilder> builder;
    ARROW_RETURN_NOT_OK(
        arrow::MakeBuilder(arrow::default_memory_pool(), schema->field(i)->type(), &builder));
    for (const Row& row : rows) {
      const Cell& cell = row.at(static_cast<size_t>(i));
      if (!cell) {
        ARROW_RETURN_NOT_OK(builder->AppendNull());
      } else if (schema->field(i)->type()->id() == arrow::Type::BINARY) {
        ARROW_RETURN_NOT_OK(static_cast<arrow::BinaryBuilder&>(*builder).Append(*cell));
      } else {
        ARROW_ASSIGN_OR_RAISE(const auto value,
                              arrow::Scalar::Parse(schema->field(i)->type(), *cell));
        ARROW_RETURN_NOT_OK(builder->AppendScalar(*value));
      }
    }
    ARROW_ASSIGN_OR_RAISE(auto column, builder->Finish());
    columns.push_back(std::move(column));
  }
  return arrow::Table::Make(schema, std::move(columns), static_cast<int64_t>(rows.size()));
}

bool like(const Cell& cell, const Filter& pattern) {
  return !pattern || (cell && matches_pattern(*cell, *pattern));
}
bool is(const Cell& cell, const Filter& value) {
  return !value || (cell && *cell == *value);
}

// ---- The commands

using Table = Result<std::shared_ptr<arrow::Table>>;

Table answer(const flight::CommandGetSqlInfo& command, const MetadataRequest& request) {
  return sql_info(command.info, request.user_agent);
}

Table answer(const flight::CommandGetXdbcTypeInfo& /*command*/,
             const MetadataRequest& /*request*/) {
  // The databases' own types come with each table's schema; there is no one list for all pools.
  return arrow::Table::MakeEmpty(xdbc_schema());
}

Table answer(const flight::CommandGetCatalogs& /*command*/, const MetadataRequest& request) {
  std::vector<Row> rows;
  for (const std::string& catalog : request.catalogs) rows.push_back({catalog});
  return make_table(catalogs_schema(), rows);
}

Table answer(const flight::CommandGetTableTypes& /*command*/, const MetadataRequest& /*request*/) {
  return make_table(table_types_schema(),
                    {{"FOREIGN TABLE"}, {"MATERIALIZED VIEW"}, {"TABLE"}, {"VIEW"}});
}

// Whether the filter names a catalog that is here; if not, the answer has no rows.
bool has_catalog(const MetadataRequest& request, const Filter& catalog) {
  return !catalog || catalog->empty() ||
         std::find(request.catalogs.begin(), request.catalogs.end(), *catalog) !=
             request.catalogs.end();
}

Table answer(const flight::CommandGetDbSchemas& command, const MetadataRequest& request) {
  if (!has_catalog(request, command.catalog)) return make_table(schemas_schema(), {});
  ARROW_ASSIGN_OR_RAISE(const auto pool, request.pool(command.catalog.value_or("")));
  ARROW_ASSIGN_OR_RAISE(const auto found,
                        ask(*pool, catalog_sql(pool->type()).schemas, request.options));
  std::vector<Row> rows;
  for (const Row& row : found) {
    if (like(row[0], command.db_schema_filter_pattern)) rows.push_back({pool->id(), row[0]});
  }
  return make_table(schemas_schema(), rows);
}

std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

// The columns of a table as an IPC schema message; none for what cannot be read, as a view over a
// table that is gone.
Result<std::string> serialized_columns(LocalPool& pool, const Row& row,
                                       const QueryOptions& options) {
  QueryOptions reading = options;
  reading.access = Access::kReadOnly;
  reading.tag = "metadata for a client";
  const std::string table = (row[0] ? quoted(*row[0]) + "." : "") + quoted(row[1].value_or(""));
  const auto empty = pool.execute_query("select * from " + table + " where 1 = 0", {}, reading);
  if (!empty.ok() && error_kind(empty.status()) == ErrorKind::kCancelled) return empty.status();
  const auto schema = empty.ok() ? (*empty)->schema() : arrow::schema({});
  ARROW_ASSIGN_OR_RAISE(const auto bytes, arrow::ipc::SerializeSchema(*schema));
  return bytes->ToString();
}

Table answer(const flight::CommandGetTables& command, const MetadataRequest& request) {
  const auto schema = tables_schema(command.include_schema);
  if (!has_catalog(request, command.catalog)) return make_table(schema, {});
  ARROW_ASSIGN_OR_RAISE(const auto pool, request.pool(command.catalog.value_or("")));
  ARROW_ASSIGN_OR_RAISE(const auto found,
                        ask(*pool, catalog_sql(pool->type()).tables, request.options));
  const std::set<std::string> types(command.table_types.begin(), command.table_types.end());
  std::vector<Row> rows;
  for (const Row& row : found) {
    if (!like(row[0], command.db_schema_filter_pattern) ||
        !like(row[1], command.table_name_filter_pattern) ||
        (!types.empty() && !types.contains(row[2].value_or("")))) {
      continue;
    }
    Row out = {pool->id(), row[0], row[1], row[2]};
    if (command.include_schema) {
      ARROW_ASSIGN_OR_RAISE(out.emplace_back(), serialized_columns(*pool, row, request.options));
    }
    rows.push_back(std::move(out));
  }
  return make_table(schema, rows);
}

Table answer(const flight::CommandGetPrimaryKeys& command, const MetadataRequest& request) {
  if (!has_catalog(request, command.catalog)) return make_table(primary_keys_schema(), {});
  ARROW_ASSIGN_OR_RAISE(const auto pool, request.pool(command.catalog.value_or("")));
  ARROW_ASSIGN_OR_RAISE(const auto found,
                        ask(*pool, catalog_sql(pool->type()).primary_keys, request.options));
  std::vector<Row> rows;
  for (const Row& row : found) {
    if (is(row[0], command.db_schema) && is(row[1], command.table)) {
      rows.push_back({pool->id(), row[0], row[1], row[2], row[3], row[4]});
    }
  }
  return make_table(primary_keys_schema(), rows);
}

// Keys between the tables that the two sides of the filter name.
struct KeySide {
  Filter catalog;
  Filter schema;
  Filter table;
};

Table foreign_keys(const KeySide& primary, const KeySide& foreign, const MetadataRequest& request) {
  const Filter& catalog = primary.catalog ? primary.catalog : foreign.catalog;
  if (!has_catalog(request, catalog)) return make_table(foreign_keys_schema(), {});
  ARROW_ASSIGN_OR_RAISE(const auto pool, request.pool(catalog.value_or("")));
  ARROW_ASSIGN_OR_RAISE(const auto found,
                        ask(*pool, catalog_sql(pool->type()).foreign_keys, request.options));
  std::vector<Row> rows;
  for (const Row& row : found) {
    if (!is(row[0], primary.schema) || !is(row[1], primary.table) || !is(row[3], foreign.schema) ||
        !is(row[4], foreign.table)) {
      continue;
    }
    rows.push_back({pool->id(), row[0], row[1], row[2], pool->id(), row[3], row[4], row[5], row[6],
                    row[7], row[8], std::to_string(rule_number(row[9])),
                    std::to_string(rule_number(row[10]))});
  }
  return make_table(foreign_keys_schema(), rows);
}

Table answer(const flight::CommandGetExportedKeys& command, const MetadataRequest& request) {
  return foreign_keys({command.catalog, command.db_schema, command.table}, {}, request);
}
Table answer(const flight::CommandGetImportedKeys& command, const MetadataRequest& request) {
  return foreign_keys({}, {command.catalog, command.db_schema, command.table}, request);
}
Table answer(const flight::CommandGetCrossReference& command, const MetadataRequest& request) {
  return foreign_keys({command.pk_catalog, command.pk_db_schema, command.pk_table},
                      {command.fk_catalog, command.fk_db_schema, command.fk_table}, request);
}

// ---- Which is which

struct Answerer {
  std::string_view name;
  std::shared_ptr<arrow::Schema> (*schema)();
  Table (*table)(std::string_view bytes, const MetadataRequest& request);
};

template <typename Command>
Table decode_and_answer(std::string_view bytes, const MetadataRequest& request) {
  ARROW_ASSIGN_OR_RAISE(const Command command, flight::decode<Command>(bytes));
  return answer(command, request);
}

template <typename Command>
Answerer answerer(std::shared_ptr<arrow::Schema> (*schema)()) {
  return {Command::kName, schema, &decode_and_answer<Command>};
}

Result<Answerer> find_answerer(const flight::Any& command) {
  static const std::array answerers = {
      answerer<flight::CommandGetSqlInfo>(&sql_info_schema),
      answerer<flight::CommandGetXdbcTypeInfo>(&xdbc_schema),
      answerer<flight::CommandGetCatalogs>(&catalogs_schema),
      answerer<flight::CommandGetDbSchemas>(&schemas_schema),
      answerer<flight::CommandGetTables>([] { return tables_schema(true); }),
      answerer<flight::CommandGetTableTypes>(&table_types_schema),
      answerer<flight::CommandGetPrimaryKeys>(&primary_keys_schema),
      answerer<flight::CommandGetExportedKeys>(&foreign_keys_schema),
      answerer<flight::CommandGetImportedKeys>(&foreign_keys_schema),
      answerer<flight::CommandGetCrossReference>(&foreign_keys_schema),
  };
  for (const Answerer& each : answerers) {
    if (each.name == command.name()) return each;
  }
  return make_error(ErrorKind::kNotSupported,
                    command.type_url.empty()
                        ? "the request is no Flight SQL command"
                        : "this node does not know the command '" + command.type_url + "'");
}

}  // namespace

bool matches_pattern(std::string_view text, std::string_view pattern) {
  size_t t = 0;
  size_t p = 0;
  size_t star = std::string_view::npos;  // behind the last %, to return to
  size_t from = 0;
  while (t < text.size()) {
    const bool escaped = p + 1 < pattern.size() && pattern[p] == '\\';
    if (p < pattern.size() && !escaped && pattern[p] == '%') {
      star = ++p;
      from = t;
    } else if (p < pattern.size() &&
               ((!escaped && pattern[p] == '_') || pattern[p + (escaped ? 1 : 0)] == text[t])) {
      p += escaped ? 2 : 1;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star;
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '%') ++p;
  return p == pattern.size();
}

Result<std::shared_ptr<arrow::Schema>> metadata_schema(const flight::Any& command) {
  ARROW_ASSIGN_OR_RAISE(const Answerer found, find_answerer(command));
  if (command.name() == flight::CommandGetTables::kName) {
    ARROW_ASSIGN_OR_RAISE(const auto tables,
                          flight::decode<flight::CommandGetTables>(command.value));
    return tables_schema(tables.include_schema);
  }
  return found.schema();
}

Result<std::shared_ptr<arrow::Table>> answer_metadata(const flight::Any& command,
                                                      const MetadataRequest& request) {
  ARROW_ASSIGN_OR_RAISE(const Answerer found, find_answerer(command));
  return found.table(command.value, request);
}

}  // namespace cenote::node
