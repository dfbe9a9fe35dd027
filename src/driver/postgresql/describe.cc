// What the server knows of a statement that it has parsed and not run.
#include <algorithm>
#include <utility>

#include <arrow/scalar.h>

#include "driver/postgresql/connection.h"

namespace cenote::postgresql {
namespace {

// Nulls for the placeholders in `sql`, so that they can be resolved without values. A `?` that is
// an operator cannot be told from a placeholder here.
Params placeholders_of(std::string_view sql) {
  Params params;
  std::vector<std::string> names;
  size_t questions = 0;
  SqlScanner scanner(sql, kDialect);
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (token != SqlToken::kPlaceholder || scanner.text() == "??") continue;
    if (scanner.text() == "?") {
      ++questions;
      continue;
    }
    std::string name(scanner.text().substr(1));
    if (name.find_first_not_of("0123456789") == std::string::npos) return {};  // native already
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(std::move(name));
    }
  }
  const auto null = std::make_shared<arrow::NullScalar>();
  if (!names.empty()) {
    for (std::string& name : names) params.add(std::move(name), null);
  } else {
    params.values.assign(questions, null);
  }
  return params;
}

}  // namespace

Result<StatementInfo> Session::describe(const CallContext& context, std::string_view sql) {
  ARROW_ASSIGN_OR_RAISE(BoundStatement bound,
                        bind_placeholders(sql, placeholders_of(sql), kDialect));
  Statement statement;
  statement.bound = std::move(bound);
  ARROW_RETURN_NOT_OK(channel_.start(context));
  ARROW_RETURN_NOT_OK(
      describe_as(statement, statement.bound.sql, {}, Scope::kNone, false, nullptr));
  std::vector<ColumnHead> parameters;
  for (const uint32_t oid : statement.parameters) parameters.push_back({"", oid, -1});
  ARROW_RETURN_NOT_OK(resolve_types(parameters));
  ARROW_RETURN_NOT_OK(resolve_types(statement.columns));
  channel_.finish();

  StatementInfo info;
  info.parameters = shape_of(parameters)->schema;
  if (!statement.columns.empty()) info.rows = shape_of(statement.columns)->schema;
  return info;
}

std::shared_ptr<const RowShape> Session::shape_of(const std::vector<ColumnHead>& columns) const {
  std::vector<std::string> names;
  std::vector<ColumnType> types;
  for (const ColumnHead& column : columns) {
    names.push_back(column.name);
    types.push_back(catalog_.column(column.oid, column.typmod, false));
  }
  return RowShape::make(std::move(names), std::move(types));
}

}  // namespace cenote::postgresql
