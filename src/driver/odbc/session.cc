// Runs statements and keeps the session's state.
#include "driver/odbc/session.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <utility>

#include <arrow/array/array_base.h>
#include <arrow/array/util.h>
#include <arrow/table.h>

#include "driver/odbc/login.h"
#include "driver/odbc/parameter.h"
#include "driver/odbc/reader.h"
#include "driver/odbc/socket.h"

namespace cenote::odbc {
namespace {

constexpr std::chrono::seconds kDefaultLogin{30};
constexpr std::chrono::seconds kUndo{5};
constexpr int kSocketTries = 3;

SQLPOINTER number(uintptr_t value) {
  return reinterpret_cast<SQLPOINTER>(value);
}

Status too_late(const CallContext& context) {
  ErrorDetail detail;
  detail.kind = context.stop.stop_requested() ? ErrorKind::kCancelled : ErrorKind::kQueryTimeout;
  detail.sent = Sent::kNo;
  return make_error(std::move(detail), "the statement was not sent: its time was already over");
}

bool is_empty(std::string_view sql, const SqlDialect& lexer) {
  SqlScanner scanner(sql, lexer);
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (token != SqlToken::kSymbol || scanner.text() != ";") return false;
  }
  return true;
}

}  // namespace

Session::~Session() {
  if (connection_ == nullptr) return;
  if (connected_) {
    if (lost_) gate_.breaker().shut_down();
    Call call(gate_);
    if (in_transaction_ && !lost_ && dialect_.begin_sql().empty()) {
      call.run(nullptr,
               [this] { return odbc_.end_tran(SQL_HANDLE_DBC, connection_, SQL_ROLLBACK); });
    }
    call.run(nullptr, [this] { return odbc_.disconnect(connection_); });
  }
  odbc_.free_handle(SQL_HANDLE_DBC, connection_);
}

Status Session::open(const CallContext& context) {
  if (context.stop.stop_requested() || context.deadline.passed()) return too_late(context);
  if (!SQL_SUCCEEDED(odbc_.alloc_handle(SQL_HANDLE_DBC, odbc_.environment, &connection_))) {
    return make_error(ErrorKind::kInternal, "unixODBC gave no connection handle");
  }
  const auto left = std::min<Duration>(context.deadline.left(), kDefaultLogin);
  const auto seconds = std::max<int64_t>(1, std::chrono::ceil<std::chrono::seconds>(left).count());
  set_attribute(SQL_ATTR_LOGIN_TIMEOUT, static_cast<uintptr_t>(seconds));
  ARROW_RETURN_NOT_OK(log_in(seconds, context.stop));
  connected_ = true;
  abilities_ = dialect_.abilities(info_text(SQL_DRIVER_NAME));
  server_version_ = info_text(SQL_DBMS_VER);
  read_only_ = info_text(SQL_DATA_SOURCE_READ_ONLY) == "Y";
  return greet(context);
}

Status Session::log_in(int64_t seconds, const std::stop_token& stop) {
  const Call call(gate_, {});
  const auto result = odbc::log_in(odbc_, connection_, options_.connection_string, stop);
  if (!result) {
    connection_ = nullptr;  // the login's own now
    ErrorDetail detail;
    detail.kind = ErrorKind::kCancelled;
    detail.sent = Sent::kNo;
    return make_error(std::move(detail), "the login was cancelled by its caller");
  }
  if (SQL_SUCCEEDED(*result)) return Status::OK();
  Status failed = error(call, SQL_HANDLE_DBC, connection_, Sent::kNo);
  if (error_kind(failed) != ErrorKind::kQueryTimeout) return failed;
  ErrorDetail detail = *error_detail(failed);
  detail.kind = ErrorKind::kConnection;
  return make_error(std::move(detail), "the server did not let us in within " +
                                           std::to_string(seconds) + " s: " + failed.message());
}

std::string Session::info_text(SQLUSMALLINT type) const {
  std::array<char16_t, 256> text{};
  SQLSMALLINT bytes = 0;
  if (!SQL_SUCCEEDED(odbc_.get_info(connection_, type, text.data(), sizeof text, &bytes)))
    return {};
  return to_utf8({text.data(), static_cast<size_t>(std::clamp<int>(bytes / 2, 0, 255))});
}

// One round trip that names the session and shows which socket is the driver's: the one by which
// just as many bytes went out.
Status Session::greet(const CallContext& context) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  for (int i = 0; i < kSocketTries && !gate_.breaker().found(); ++i) {
    const std::string padding(200 + random() % 1500, 'x');
    const std::string sql = std::string(dialect_.hello_sql()) + " /*" + padding + "*/";
    const std::vector<SocketCount> before = tcp_sockets();
    const auto reader = query(context, sql, Params(), BatchLimits());
    if (!reader.ok()) return reader.status();
    ARROW_ASSIGN_OR_RAISE(const auto table, (*reader)->ToTable());
    if (dialect_.hello_names_session() && table->num_columns() == 2 && table->num_rows() == 1) {
      ARROW_ASSIGN_OR_RAISE(const auto id, table->column(0)->GetScalar(0));
      ARROW_ASSIGN_OR_RAISE(const auto database, table->column(1)->GetScalar(0));
      session_id_ = id->ToString();
      database_ = database->ToString();
    }
    gate_.breaker().find(before, sql.size(), 2 * sql.size() + 400);
    if (before.empty()) break;
  }
  return Status::OK();
}

bool Session::set_attribute(SQLINTEGER attribute, uintptr_t value) {
  return SQL_SUCCEEDED(odbc_.set_connect_attr(connection_, attribute, number(value), 0));
}

Result<Statement> Session::allocate() {
  SQLHSTMT handle = nullptr;
  if (SQL_SUCCEEDED(odbc_.alloc_handle(SQL_HANDLE_STMT, connection_, &handle))) {
    return Statement(odbc_, handle);
  }
  ErrorDetail detail;
  detail.kind = ErrorKind::kConnection;
  detail.sent = Sent::kNo;
  detail.poisons_connection = true;
  lost_ = true;
  return make_error(std::move(detail),
                    "the driver gave no statement handle: " +
                        joined(read_diagnostics(odbc_, SQL_HANDLE_DBC, connection_)));
}

Status Session::error(const Call& call, SQLSMALLINT type, SQLHANDLE handle, Sent sent) {
  const std::vector<Diagnostic> records = read_diagnostics(odbc_, type, handle);
  ErrorDetail detail;
  detail.sent = sent;
  detail.kind = ErrorKind::kOperational;
  if (!records.empty()) {
    detail.kind = dialect_.kind(records.front());
    detail.sqlstate = dialect_.sqlstate(records.front());
    detail.vendor_code = records.front().native;
  }
  // The driver manager's "Can't open lib" is a mere warning in its own eyes.
  if (!connected_ && detail.sqlstate == "01000" && detail.vendor_code == 0) {
    detail.kind = ErrorKind::kConfig;
  }
  SQLUINTEGER dead = SQL_CD_FALSE;
  const bool asked = connected_ && SQL_SUCCEEDED(odbc_.get_connect_attr(
                                       connection_, SQL_ATTR_CONNECTION_DEAD, &dead, 0, nullptr));
  const bool gone = (asked && dead == SQL_CD_TRUE) || gate_.breaker().peer_is_gone();
  if (const auto why = call.interrupted()) {
    lost_ = lost_ || call.broken() || gone;
    detail.kind = *why;
    detail.poisons_connection = lost_;
    std::string message = *why == ErrorKind::kCancelled
                              ? "the statement was cancelled by its caller"
                              : "the statement did not end before its deadline and was cancelled";
    if (lost_) message += "; the server did not acknowledge it, so the connection was closed";
    return make_error(std::move(detail), std::move(message));
  }
  std::string message = joined(records);
  if (gone || detail.kind == ErrorKind::kConnection) {
    detail.kind =
        connected_ || detail.kind == ErrorKind::kOperational ? ErrorKind::kConnection : detail.kind;
    detail.poisons_connection = true;
    if (connected_) {
      lost_ = true;
      if (detail.sent == Sent::kYes) detail.sent = Sent::kMaybe;
      message = "the connection was lost: " + message;
    }
  }
  if (message.empty()) message = "the ODBC driver failed without a word";
  return make_error(std::move(detail), std::move(message));
}

Status Session::ready(const CallContext& context) {
  if (gate_.busy()) {
    return make_error(ErrorKind::kInterface,
                      "a reader of this connection is still open: read it to its end or close it");
  }
  if (!usable()) {
    lost_ = true;
    ErrorDetail detail;
    detail.kind = ErrorKind::kConnection;
    detail.sent = Sent::kNo;
    detail.poisons_connection = true;
    return make_error(
        std::move(detail),
        "the connection is gone: the server has closed it, or an earlier failure has");
  }
  if (context.stop.stop_requested() || context.deadline.passed()) return too_late(context);
  return Status::OK();
}

Status Session::check_statement(std::string_view sql) const {
  if (transaction_gone_) {
    return make_error(ErrorKind::kOperational,
                      "the database has rolled this transaction back after an error: roll back and "
                      "begin a new one");
  }
  if (!is_empty(sql, dialect_.lexer())) return Status::OK();
  return make_error(ErrorKind::kProgramming, "there is no statement to run");
}

Status Session::send(Call& call, const Statement& statement, std::string_view sql,
                     const Params& params) {
  ARROW_ASSIGN_OR_RAISE(const BoundStatement bound,
                        bind_placeholders(sql, params, dialect_.lexer()));
  const WideString text = to_wide(bound.sql);
  std::vector<Parameter> parameters;
  bool untyped = false;
  for (const int index : bound.order) {
    const auto& value = params.values[static_cast<size_t>(index)];
    if (!value) return make_error(ErrorKind::kInterface, "a parameter is a null pointer");
    untyped = untyped || value->type->id() == arrow::Type::NA;
    ARROW_ASSIGN_OR_RAISE(Parameter parameter, Parameter::make(abilities_, *value->type));
    ARROW_ASSIGN_OR_RAISE(const auto array, arrow::MakeArrayFromScalar(*value, 1));
    ARROW_RETURN_NOT_OK(parameter.fill(*array, 0, 1, INT64_MAX).status());
    parameters.push_back(std::move(parameter));
  }
  // Only for nulls without a type is the database asked what the placeholders are: a round trip.
  bool prepared = false;
  if (untyped && abilities_.describes_params) {
    prepared = SQL_SUCCEEDED(call.run(statement.get(), [&] {
      return odbc_.prepare(statement.get(), sql_text(text), static_cast<SQLINTEGER>(text.size()));
    }));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto position = static_cast<SQLUSMALLINT>(i + 1);
    SQLSMALLINT type = 0;
    SQLULEN size = 0;
    SQLSMALLINT digits = 0;
    SQLSMALLINT nullable = 0;
    const auto& value = params.values[static_cast<size_t>(bound.order[i])];
    if (prepared && value->type->id() == arrow::Type::NA &&
        SQL_SUCCEEDED(call.run(statement.get(), [&] {
          return odbc_.describe_param(statement.get(), position, &type, &size, &digits, &nullable);
        }))) {
      parameters[i].take_type(type, size, digits);
    }
    if (!SQL_SUCCEEDED(parameters[i].bind(odbc_, statement, position))) {
      return error(call, SQL_HANDLE_STMT, statement.get(), Sent::kNo);
    }
  }
  const SQLRETURN result = call.run(statement.get(), [&] {
    return odbc_.exec_direct(statement.get(), sql_text(text), static_cast<SQLINTEGER>(text.size()));
  });
  if (SQL_SUCCEEDED(result) || result == SQL_NO_DATA) return Status::OK();
  return error(call, SQL_HANDLE_STMT, statement.get());
}

Result<bool> Session::next_rows(Call& call, const Statement& statement, int64_t* affected) {
  while (true) {
    SQLSMALLINT columns = 0;
    odbc_.num_result_cols(statement.get(), &columns);
    if (columns > 0) return true;
    SQLLEN count = -1;
    if (SQL_SUCCEEDED(odbc_.row_count(statement.get(), &count)) && count >= 0) {
      *affected = std::max<int64_t>(*affected, 0) + count;
    }
    const SQLRETURN result =
        call.run(statement.get(), [&] { return odbc_.more_results(statement.get()); });
    if (result == SQL_NO_DATA) return false;
    if (!SQL_SUCCEEDED(result)) return error(call, SQL_HANDLE_STMT, statement.get());
  }
}

Status Session::drain(Call& call, const Statement& statement, int64_t* affected) {
  while (true) {
    const SQLRETURN result =
        call.run(statement.get(), [&] { return odbc_.more_results(statement.get()); });
    if (result == SQL_NO_DATA) return Status::OK();
    if (!SQL_SUCCEEDED(result)) return error(call, SQL_HANDLE_STMT, statement.get());
    ARROW_ASSIGN_OR_RAISE(const bool rows, next_rows(call, statement, affected));
    if (!rows) return Status::OK();
  }
}

void Session::abandon(Statement statement) {
  if (!statement) return;
  Call call(gate_);
  if (lost_) {
    gate_.breaker().shut_down();
  } else {
    call.run(statement.get(), [&] { return odbc_.cancel(statement.get()); });
  }
  call.run(statement.get(), [&] { return odbc_.free_stmt(statement.get(), SQL_CLOSE); });
  if (call.broken()) lost_ = true;
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Session::query(const CallContext& context,
                                                                 std::string_view sql,
                                                                 const Params& params,
                                                                 const BatchLimits& limits) {
  ARROW_RETURN_NOT_OK(ready(context));
  ARROW_RETURN_NOT_OK(check_statement(sql));
  auto call = std::make_unique<Call>(gate_, context);
  ARROW_ASSIGN_OR_RAISE(Statement statement, allocate());
  trace_ = std::max(trace_, dialect_.trace(sql));
  if (Status sent = send(*call, statement, sql, params); !sent.ok()) {
    call.reset();
    abandon(std::move(statement));
    check_transaction(sent);
    return sent;
  }
  auto reader = std::make_shared<Reader>(*this, std::move(call), std::move(statement), limits);
  ARROW_RETURN_NOT_OK(reader->start());
  return reader;
}

Result<int64_t> Session::execute(const CallContext& context, std::string_view sql,
                                 const Params& params) {
  ARROW_RETURN_NOT_OK(ready(context));
  ARROW_RETURN_NOT_OK(check_statement(sql));
  std::optional<Call> call(std::in_place, gate_, context);
  ARROW_ASSIGN_OR_RAISE(Statement statement, allocate());
  trace_ = std::max(trace_, dialect_.trace(sql));
  int64_t affected = -1;
  Status done = send(*call, statement, sql, params);
  if (done.ok()) {
    const Result<bool> rows = next_rows(*call, statement, &affected);
    done = rows.ok() && *rows ? drain(*call, statement, &affected) : rows.status();
  }
  call.reset();
  if (!done.ok()) {
    abandon(std::move(statement));
    check_transaction(done);
    return done;
  }
  return affected;
}

Status Session::run(const CallContext& context, std::string_view sql) {
  const Trace before = trace_;
  const Status status = execute(context, sql, Params()).status();
  trace_ = before;
  return status;
}

void Session::check_transaction(const Status& status) {
  const ErrorDetail* detail = error_detail(status);
  if (!in_transaction_ || transaction_gone_ || lost_ || detail == nullptr) return;
  if (detail->sent == Sent::kNo) return;
  if (detail->sqlstate.starts_with("40")) transaction_gone_ = true;
  if (transaction_gone_ || dialect_.transaction_count_sql().empty()) return;
  const CallContext bounded{Deadline::in(kUndo), {}};
  const auto reader = query(bounded, dialect_.transaction_count_sql(), Params(), BatchLimits());
  if (!reader.ok()) return;
  const auto table = (*reader)->ToTable();
  if (!table.ok() || (*table)->num_rows() != 1) return;
  const auto count = (*table)->column(0)->GetScalar(0);
  transaction_gone_ = count.ok() && (*count)->ToString() == "0";
}

Status Session::validate(const CallContext& context) {
  return run(context, dialect_.validate_sql());
}

}  // namespace cenote::odbc
