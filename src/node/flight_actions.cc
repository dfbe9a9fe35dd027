// DoAction: prepared statements, transactions, savepoints, sessions, cancelling. Bodies of Flight
// SQL's actions are wrapped in an Any; those of sessions and CancelFlightInfo are not.
#include <utility>

#include <arrow/buffer.h>
#include <arrow/flight/types.h>
#include <arrow/ipc/writer.h>
#include <arrow/type.h>

#include "flight/errors.h"
#include "node/flight_server.h"

namespace cenote::node {
namespace {

namespace fl = arrow::flight;

constexpr std::string_view kSavepointSeparator = "/s/";

template <typename M>
Result<M> unwrap(std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(const flight::Any any, flight::decode<flight::Any>(body));
  if (any.name() != M::kName) {
    return make_error(ErrorKind::kInterface, "the action's body is '" + any.type_url + "', not a " +
                                                 std::string(M::kName));
  }
  return flight::decode<M>(any.value);
}

Result<flight::Bytes> schema_bytes(const std::shared_ptr<arrow::Schema>& schema) {
  if (schema == nullptr) return flight::Bytes();
  ARROW_ASSIGN_OR_RAISE(const auto buffer, arrow::ipc::SerializeSchema(*schema));
  return flight::Bytes(buffer->ToString());
}

// Where the database leaves a parameter's type open, text: the one type that JDBC can send anything
// as.
std::shared_ptr<arrow::Schema> settled(const std::shared_ptr<arrow::Schema>& schema) {
  if (schema == nullptr) return nullptr;
  arrow::FieldVector fields;
  for (const auto& field : schema->fields()) {
    fields.push_back(field->type()->id() == arrow::Type::NA ? field->WithType(arrow::utf8())
                                                            : field);
  }
  return arrow::schema(std::move(fields));
}

}  // namespace

Result<std::string> FlightServer::create_prepared(const Context& context, std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(const auto request,
                        unwrap<flight::ActionCreatePreparedStatementRequest>(body));
  std::stop_source stop;
  const CallWatch::Scope scope(watch_, context, stop);
  const std::string transaction = request.transaction_id.value_or(flight::Bytes());
  ARROW_ASSIGN_OR_RAISE(const Work work, work_for(context, transaction, "", stop));
  ARROW_ASSIGN_OR_RAISE(const Description description, describe(work, request.query));
  Prepared prepared;
  prepared.pool = work.pool;
  prepared.transaction = transaction;
  prepared.sql = request.query;
  prepared.gives_rows = description.gives_rows;
  flight::ActionCreatePreparedStatementResult result;
  result.is_update = !description.gives_rows;
  ARROW_ASSIGN_OR_RAISE(result.parameter_schema,
                        schema_bytes(settled(description.info.parameters)));
  if (description.gives_rows) {
    // JDBC takes an empty schema for "no rows", so there must be one even where it is unknown.
    auto rows = settled(description.info.rows);
    if (rows == nullptr) rows = arrow::schema({arrow::field("unknown", arrow::utf8())});
    ARROW_ASSIGN_OR_RAISE(result.dataset_schema, schema_bytes(rows));
  }
  ARROW_ASSIGN_OR_RAISE(std::string handle, sessions_.add(caller_of(context), std::move(prepared)));
  result.prepared_statement_handle = flight::Bytes(std::move(handle));
  return flight::encode_any(result);
}

Result<std::string> FlightServer::begin_transaction(const Context& context) {
  ARROW_ASSIGN_OR_RAISE(const Work work, work_for(context, "", "", {}));
  TransactionOptions options;
  options.read_only = work.caller->role == UserRole::kReader;
  flight::ActionBeginTransactionResult result;
  ARROW_ASSIGN_OR_RAISE(std::string handle,
                        sessions_.add(*work.caller, std::make_shared<HeldTransaction>(
                                                        work.pool, options, work.caller->user)));
  result.transaction_id = flight::Bytes(std::move(handle));
  return flight::encode_any(result);
}

Result<std::optional<std::string>> FlightServer::end_transaction(const Context& context,
                                                                 std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(const auto request, unwrap<flight::ActionEndTransactionRequest>(body));
  const bool commit = request.action == flight::EndTransaction::kCommit;
  if (!commit && request.action != flight::EndTransaction::kRollback) {
    return make_error(ErrorKind::kInterface, "EndTransaction must say commit or roll back");
  }
  const Caller& caller = caller_of(context);
  const auto transaction = sessions_.take_transaction(caller, request.transaction_id);
  if (transaction == nullptr) {
    // Rolling back what is gone has happened already.
    if (!commit) return std::nullopt;
    return sessions_.transaction(caller, request.transaction_id).status();
  }
  ARROW_RETURN_NOT_OK(transaction->end(commit));
  return std::nullopt;
}

Result<std::string> FlightServer::savepoint(const Context& context, std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(const auto request, unwrap<flight::ActionBeginSavepointRequest>(body));
  ARROW_ASSIGN_OR_RAISE(const auto transaction,
                        sessions_.transaction(caller_of(context), request.transaction_id));
  ARROW_ASSIGN_OR_RAISE(const HeldTransaction::Use use, transaction->use({}));
  ARROW_RETURN_NOT_OK(use->savepoint(request.name));
  flight::ActionBeginSavepointResult result;
  result.savepoint_id =
      flight::Bytes(request.transaction_id + std::string(kSavepointSeparator) + request.name);
  return flight::encode_any(result);
}

Result<std::optional<std::string>> FlightServer::end_savepoint(const Context& context,
                                                               std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(const auto request, unwrap<flight::ActionEndSavepointRequest>(body));
  const std::string& id = request.savepoint_id;
  const size_t at = id.find(kSavepointSeparator);
  if (at == std::string::npos) {
    return make_error(ErrorKind::kInterface, "the savepoint's id is none of this node's");
  }
  ARROW_ASSIGN_OR_RAISE(const auto transaction,
                        sessions_.transaction(caller_of(context), id.substr(0, at)));
  ARROW_ASSIGN_OR_RAISE(const HeldTransaction::Use use, transaction->use({}));
  const std::string name = id.substr(at + kSavepointSeparator.size());
  ARROW_RETURN_NOT_OK(request.action == flight::EndSavepoint::kRelease ? use->release(name)
                                                                       : use->rollback_to(name));
  return std::nullopt;
}

Result<std::string> FlightServer::cancel(const Context& context, std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(const auto request, fl::CancelFlightInfoRequest::Deserialize(body));
  fl::CancelFlightInfoResult result(fl::CancelStatus::kNotCancellable);
  for (const fl::FlightEndpoint& endpoint : request.info->endpoints()) {
    const auto any = flight::decode<flight::Any>(endpoint.ticket.ticket);
    if (!any.ok() || any->name() != flight::TicketStatementQuery::kName) continue;
    const auto ticket = flight::decode<flight::TicketStatementQuery>(any->value);
    if (!ticket.ok()) continue;
    const auto found = sessions_.take_result(caller_of(context), ticket->statement_handle);
    if (!found.ok()) continue;
    (void)(*found)->Close();
    result.status = fl::CancelStatus::kCancelled;
  }
  return result.SerializeToString();
}

Result<std::string> FlightServer::set_session(const Context& context, std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(const auto request, fl::SetSessionOptionsRequest::Deserialize(body));
  fl::SetSessionOptionsResult result;
  for (const auto& [name, value] : request.session_options) {
    const auto* catalog = std::get_if<std::string>(&value);
    const bool forget = std::holds_alternative<std::monostate>(value);
    if (name != "catalog") {
      result.errors[name] = {fl::SetSessionOptionErrorValue::kInvalidName};
    } else if (!forget && (catalog == nullptr || !pool_for(context, *catalog).ok())) {
      result.errors[name] = {fl::SetSessionOptionErrorValue::kInvalidValue};
    } else {
      ARROW_RETURN_NOT_OK(sessions_.set_pool_id(caller_of(context), forget ? "" : *catalog));
    }
  }
  return result.SerializeToString();
}

Result<std::string> FlightServer::get_session(const Context& context) {
  ARROW_ASSIGN_OR_RAISE(const auto pool, pool_for(context, ""));
  return fl::GetSessionOptionsResult({{"catalog", pool->id()}}).SerializeToString();
}

Result<std::optional<std::string>> FlightServer::act(const Context& context,
                                                     const std::string& type,
                                                     std::string_view body) {
  ARROW_RETURN_NOT_OK(check_size(body));
  if (type == "CreatePreparedStatement") return create_prepared(context, body);
  if (type == "ClosePreparedStatement") {
    ARROW_ASSIGN_OR_RAISE(const auto request,
                          unwrap<flight::ActionClosePreparedStatementRequest>(body));
    sessions_.remove_prepared(caller_of(context), request.prepared_statement_handle);
    return std::nullopt;
  }
  if (type == "BeginTransaction") return begin_transaction(context);
  if (type == "EndTransaction") return end_transaction(context, body);
  if (type == "BeginSavepoint") return savepoint(context, body);
  if (type == "EndSavepoint") return end_savepoint(context, body);
  if (type == fl::ActionType::kCancelFlightInfo.type) return cancel(context, body);
  if (type == fl::ActionType::kSetSessionOptions.type) return set_session(context, body);
  if (type == fl::ActionType::kGetSessionOptions.type) return get_session(context);
  if (type == fl::ActionType::kCloseSession.type) {
    sessions_.close(caller_of(context));
    fl::CloseSessionResult result;
    result.status = fl::CloseSessionStatus::kClosed;
    return result.SerializeToString();
  }
  return make_error(ErrorKind::kNotSupported, "this node does not know the action '" + type + "'");
}

Status FlightServer::DoAction(const Context& context, const fl::Action& action,
                              std::unique_ptr<fl::ResultStream>* result) {
  const std::string_view body =
      action.body == nullptr ? std::string_view() : std::string_view(*action.body);
  Result<std::optional<std::string>> answer = act(context, action.type, body);
  if (!answer.ok()) return flight::to_wire(answer.status(), node_id_);
  std::vector<fl::Result> results;
  // An action without an answer ends without a message; an answer may be an empty message.
  if (*answer) results.emplace_back(arrow::Buffer::FromString(std::move(**answer)));
  *result = std::make_unique<fl::SimpleResultStream>(std::move(results));
  return Status::OK();
}

Status FlightServer::ListActions(const Context& /*context*/, std::vector<fl::ActionType>* actions) {
  *actions = {{"CreatePreparedStatement", "Prepare a statement; its parameters and columns."},
              {"ClosePreparedStatement", "Forget a prepared statement."},
              {"BeginTransaction", "Begin a transaction."},
              {"EndTransaction", "Commit or roll back."},
              {"BeginSavepoint", "Set a savepoint in a transaction."},
              {"EndSavepoint", "Release a savepoint or roll back to it."},
              fl::ActionType::kCancelFlightInfo,
              fl::ActionType::kSetSessionOptions,
              fl::ActionType::kGetSessionOptions,
              fl::ActionType::kCloseSession};
  return Status::OK();
}

}  // namespace cenote::node
