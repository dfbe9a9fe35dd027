// What the database knows of a statement that it has prepared and not run.
#include <utility>

#include "driver/odbc/reader.h"
#include "driver/odbc/session.h"

namespace cenote::odbc {

Result<StatementInfo> Session::describe(const CallContext& context, std::string_view sql) {
  ARROW_RETURN_NOT_OK(ready(context));
  ARROW_RETURN_NOT_OK(check_statement(sql));
  const Params params = null_params(sql, dialect_.lexer());
  ARROW_ASSIGN_OR_RAISE(const BoundStatement bound,
                        bind_placeholders(sql, params, dialect_.lexer()));
  const WideString text = to_wide(bound.sql);
  Call call(gate_, context);
  ARROW_ASSIGN_OR_RAISE(const Statement statement, allocate());
  const auto failed = [&] { return error(call, SQL_HANDLE_STMT, statement.get()); };
  if (!SQL_SUCCEEDED(call.run(statement.get(), [&] {
        return odbc_.prepare(statement.get(), sql_text(text), static_cast<SQLINTEGER>(text.size()));
      }))) {
    return failed();
  }
  // Drivers put the preparation off until they are asked: this is the round trip.
  SQLSMALLINT count = 0;
  if (!SQL_SUCCEEDED(call.run(statement.get(),
                              [&] { return odbc_.num_result_cols(statement.get(), &count); }))) {
    return failed();
  }
  StatementInfo info;
  arrow::FieldVector columns;
  for (SQLSMALLINT i = 1; i <= count; ++i) {
    ARROW_ASSIGN_OR_RAISE(const ColumnInfo column,
                          describe_column(odbc_, statement, static_cast<SQLUSMALLINT>(i)));
    columns.push_back(plan_column(column, abilities_, options_.bound_limit).field);
  }
  if (count > 0) info.rows = arrow::schema(std::move(columns));

  arrow::FieldVector parameters;
  for (size_t i = 0; i < bound.order.size(); ++i) {
    ColumnInfo parameter;
    SQLSMALLINT nullable = 0;
    const bool known = abilities_.describes_params && SQL_SUCCEEDED(call.run(statement.get(), [&] {
                         return odbc_.describe_param(
                             statement.get(), static_cast<SQLUSMALLINT>(i + 1), &parameter.type,
                             &parameter.size, &parameter.digits, &nullable);
                       }));
    // Null where the driver does not tell.
    const auto type = known ? plan_column(parameter, abilities_, options_.bound_limit).field->type()
                            : arrow::null();
    const auto index = static_cast<size_t>(bound.order[i]);
    parameters.push_back(arrow::field(params.names.empty() ? "" : params.names[index], type));
  }
  if (call.interrupted()) return failed();
  info.parameters = arrow::schema(std::move(parameters));
  return info;
}

}  // namespace cenote::odbc
