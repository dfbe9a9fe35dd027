// What the server knows of a statement that it has parsed and not run.
#include <utility>

#include "driver/postgresql/connection.h"

namespace cenote::postgresql {
Result<StatementInfo> Session::describe(const CallContext& context, std::string_view sql) {
  ARROW_ASSIGN_OR_RAISE(BoundStatement bound,
                        bind_placeholders(sql, null_params(sql, kDialect), kDialect));
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
