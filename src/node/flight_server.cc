// Starting, stopping and the calls that read.
#include "node/flight_server.h"

#include <fstream>
#include <sstream>
#include <utility>

#include <arrow/flight/server_auth.h>
#include <arrow/flight/types.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <unistd.h>

#include "base/log.h"
#include "flight/errors.h"
#include "net/listen_address.h"
#include "node/answer_stream.h"
#include "node/metadata.h"
#include "node/sql_info.h"

namespace cenote::node {
namespace {

namespace fl = arrow::flight;

// A result of up to about this size is read to its end before the client hears of it, so that its
// connection does not wait for the client's next call.
constexpr int64_t kReadAhead = int64_t{4} << 20;
// Of one batch towards strangers: some refuse messages above 16 MiB, others above 4.
constexpr int64_t kStrangersBatch = int64_t{2} << 20;

Result<std::string> read_file(const std::string& path, std::string_view what) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return make_error(ErrorKind::kConfig,
                      "server.flight.tls: the " + std::string(what) + " '" + path +
                          "' cannot be read; check the path and its permissions");
  }
  return std::move(text).str();
}

Status check_safe(const ListenAddress& address, const ServerOptions& options) {
  if (address.loopback) return Status::OK();
  const bool tls = !options.flight.tls.certificate.empty();
  const bool users = !options.users.empty();
  if (tls && users) return Status::OK();
  const std::string missing = tls     ? "server.users"
                              : users ? "server.flight.tls"
                                      : "server.flight.tls and server.users";
  return make_error(ErrorKind::kConfig,
                    "server.flight.listen: " + address.host +
                        " can be reached from other machines, so the node starts there only with " +
                        missing + "; set them, or listen on 127.0.0.1");
}

Status check_times(const FlightServerOptions& options) {
  for (const Duration time : {options.transaction_idle, options.result_idle, options.stream_idle,
                              options.session_idle, options.token_lifetime}) {
    if (time > Duration::zero()) continue;
    return make_error(ErrorKind::kConfig,
                      "server.flight: transaction_idle, result_idle, stream_idle, session_idle and "
                      "token_lifetime must be longer than 0");
  }
  return Status::OK();
}

Status set_tls(const TlsFiles& files, fl::FlightServerOptions* options) {
  if (files.certificate.empty()) return Status::OK();
  fl::CertKeyPair pair;
  ARROW_ASSIGN_OR_RAISE(pair.pem_cert, read_file(files.certificate, "certificate"));
  ARROW_ASSIGN_OR_RAISE(pair.pem_key, read_file(files.key, "key"));
  options->tls_certificates.push_back(std::move(pair));
  if (files.client_ca.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(options->root_certificates, read_file(files.client_ca, "client_ca"));
  options->verify_client = true;
  return Status::OK();
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "node";
}

Result<fl::Location> make_location(const ListenAddress& address, bool tls) {
  const std::string host =
      address.host.find(':') == std::string::npos ? address.host : "[" + address.host + "]";
  return tls ? fl::Location::ForGrpcTls(host, address.port)
             : fl::Location::ForGrpcTcp(host, address.port);
}

}  // namespace

FlightServer::FlightServer(DistributedPoolManager& manager, const ServerOptions& options,
                           std::string node_id)
    : manager_(manager),
      options_(options),
      node_id_(std::move(node_id)),
      admission_(std::make_shared<AdmissionFactory>(
          std::make_shared<Authenticator>(options.users, options.secret,
                                          options.flight.token_lifetime),
          options.flight.max_calls, node_id_)),
      sessions_(options.flight, node_id_) {}

Result<std::unique_ptr<FlightServer>> FlightServer::start(DistributedPoolManager& manager,
                                                          const ServerOptions& options) {
  const auto parsed = parse_listen_address(options.flight.listen);
  if (!parsed.ok()) {
    return make_error(ErrorKind::kConfig, "server.flight.listen: " + parsed.status().message());
  }
  const ListenAddress& address = *parsed;
  ARROW_RETURN_NOT_OK(check_safe(address, options));
  ARROW_RETURN_NOT_OK(check_times(options.flight));
  const bool tls = !options.flight.tls.certificate.empty();
  ARROW_ASSIGN_OR_RAISE(const fl::Location location, make_location(address, tls));
  std::string node_id = options.node_id;
  if (node_id.empty()) node_id = host_name() + ":" + std::to_string(address.port);
  std::unique_ptr<FlightServer> server(new FlightServer(manager, options, std::move(node_id)));
  fl::FlightServerOptions flight(location);
  // Without a handler, Handshake is Unimplemented, and both ADBC and JDBC stop there. Who calls is
  // decided by the admission.
  flight.auth_handler = std::make_shared<fl::NoOpAuthHandler>();
  flight.middleware.emplace_back(kAdmission, server->admission_);
  ARROW_RETURN_NOT_OK(set_tls(options.flight.tls, &flight));
  const Status started = server->Init(flight);
  if (!started.ok()) {
    return make_error(ErrorKind::kConfig, "server.flight.listen: the node cannot listen on " +
                                              options.flight.listen + ": " + started.message());
  }
  return server;
}

FlightServer::~FlightServer() {
  drain(Deadline(Clock::now()));
}

std::string FlightServer::location_uri() const {
  const std::string scheme = options_.flight.tls.certificate.empty() ? "grpc://" : "grpc+tls://";
  if (!options_.flight.advertise.empty()) return scheme + options_.flight.advertise;
  const std::string& listen = options_.flight.listen;
  return scheme + listen.substr(0, listen.rfind(':')) + ":" + std::to_string(port());
}

void FlightServer::drain(Deadline deadline) {
  draining_.store(true);
  const auto idle = [this] { return admission_->calls() == 0 && !sessions_.has_unfinished(); };
  while (!deadline.passed() && !idle()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  if (stopped_.exchange(true)) return;
  // What is left is cancelled by gRPC, and its handlers end by that.
  const auto now = std::chrono::system_clock::now();
  (void)Shutdown(&now);
  (void)Wait();
  // Their handlers have returned by now; this also tells so to who checks the order of our memory
  // accesses (libarrow_flight's own locks are not seen by ThreadSanitizer).
  while (admission_->calls() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  sessions_.close_all();
}

const Admission& FlightServer::admission_of(const Context& context) {
  return *static_cast<const Admission*>(context.GetMiddleware(kAdmission));
}

Status FlightServer::check_size(std::string_view message) const {
  const int64_t most = options_.flight.max_message_bytes;
  if (static_cast<int64_t>(message.size()) <= most) return Status::OK();
  return make_error(
      ErrorKind::kData,
      "the call is larger than the node takes in one message (" + std::to_string(most >> 20) +
          " MiB, max_message): ingest values instead of writing them into a statement");
}

Result<flight::Any> FlightServer::unwrapped(std::string_view bytes) const {
  ARROW_RETURN_NOT_OK(check_size(bytes));
  return flight::decode<flight::Any>(bytes);
}

Status FlightServer::check_new_work(const Context& context) const {
  if (admission_of(context).beyond()) return admission_->refusal();
  if (!draining()) return Status::OK();
  return make_error(ErrorKind::kPoolClosed,
                    "node '" + node_id_ + "' is draining and takes no new work; use another node");
}

Result<std::shared_ptr<const ServedPool>> FlightServer::pool_for(const Context& context,
                                                                 std::string_view name) const {
  const Caller& caller = caller_of(context);
  std::string id(name);
  if (id.empty()) {
    const auto header = context.incoming_headers().find("x-cenote-pool");
    if (header != context.incoming_headers().end()) id = header->second;
  }
  if (id.empty()) id = sessions_.pool_id(caller);
  const auto allowed = [&](const std::string& pool) {
    return caller.pools.empty() ||
           std::find(caller.pools.begin(), caller.pools.end(), pool) != caller.pools.end();
  };
  if (id.empty()) id = options_.default_pool;
  if (id.empty()) {
    for (const std::string& pool : manager_.list_pools()) {
      if (id.empty() && allowed(pool)) id = pool;
    }
  }
  if (!allowed(id)) {
    return make_error(ErrorKind::kUnknownPool,
                      "user '" + caller.user + "' may not use pool '" + id + "'");
  }
  return ServedPool::find(manager_, id);
}

Result<Work> FlightServer::work_for(const Context& context, std::string_view transaction,
                                    std::string_view pool_name, std::stop_source stop) {
  Work work;
  work.caller = &caller_of(context);
  if (transaction.empty()) {
    ARROW_RETURN_NOT_OK(check_new_work(context));
    ARROW_ASSIGN_OR_RAISE(work.pool, pool_for(context, pool_name));
  } else {
    ARROW_ASSIGN_OR_RAISE(work.transaction, sessions_.transaction(*work.caller, transaction));
    work.pool = work.transaction->pool();
  }
  work.stop = std::move(stop);
  work.options.stop = work.stop.get_token();
  work.options.limits.bytes = kStrangersBatch;
  return work;
}

// ---- GetFlightInfo: statements run here, and only here

Result<FlightServer::InfoPointer> FlightServer::result_info(const Context& context,
                                                            const Descriptor& request,
                                                            std::shared_ptr<ResultReader> result) {
  const std::shared_ptr<arrow::Schema> schema = result->schema();
  const int64_t total = result->total_rows();
  std::vector<fl::FlightEndpoint> endpoints;
  if (schema->num_fields() > 0) {
    flight::TicketStatementQuery ticket;
    ARROW_ASSIGN_OR_RAISE(std::string handle, sessions_.add(caller_of(context), std::move(result)));
    ticket.statement_handle = flight::Bytes(std::move(handle));
    endpoints.push_back({fl::Ticket(flight::encode_any(ticket)), {}, std::nullopt, ""});
  }
  const int64_t records = endpoints.empty() ? -1 : total;
  ARROW_ASSIGN_OR_RAISE(fl::FlightInfo info,
                        fl::FlightInfo::Make(*schema, request, endpoints, records, -1, true));
  return std::make_unique<fl::FlightInfo>(std::move(info));
}

Result<FlightServer::InfoPointer> FlightServer::query_info(
    const Context& context, const Descriptor& request, std::string_view sql, const Params& params,
    std::string_view transaction, std::string_view pool_name) {
  std::stop_source stop;
  const CallWatch::Scope scope(watch_, context, stop);
  ARROW_ASSIGN_OR_RAISE(const Work work, work_for(context, transaction, pool_name, stop));
  bool gives_rows = true;
  if (!only_reads(sql)) {
    ARROW_ASSIGN_OR_RAISE(const Description description, describe(work, sql));
    gives_rows = description.gives_rows;
  }
  if (!gives_rows) {
    // No endpoint: there is nothing to fetch, and a client that does not fetch loses nothing.
    ARROW_ASSIGN_OR_RAISE(const int64_t affected, run_execute(work, sql, params));
    ARROW_ASSIGN_OR_RAISE(fl::FlightInfo info, fl::FlightInfo::Make(*arrow::schema({}), request, {},
                                                                    affected, -1, true));
    return std::make_unique<fl::FlightInfo>(std::move(info));
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<ResultReader> result, run_query(work, sql, params));
  ARROW_RETURN_NOT_OK(result->read_ahead(kReadAhead));
  return result_info(context, request, std::move(result));
}

Result<FlightServer::InfoPointer> FlightServer::flight_info(const Context& context,
                                                            const Descriptor& request) {
  ARROW_ASSIGN_OR_RAISE(const flight::Any any, unwrapped(request.cmd));
  if (any.name() == flight::CommandStatementQuery::kName) {
    ARROW_ASSIGN_OR_RAISE(const auto command,
                          flight::decode<flight::CommandStatementQuery>(any.value));
    return query_info(context, request, command.query, {},
                      command.transaction_id.value_or(flight::Bytes()), "");
  }
  if (any.name() == flight::CommandPreparedStatementQuery::kName) {
    ARROW_ASSIGN_OR_RAISE(const auto command,
                          flight::decode<flight::CommandPreparedStatementQuery>(any.value));
    ARROW_ASSIGN_OR_RAISE(
        const Prepared prepared,
        sessions_.prepared(caller_of(context), command.prepared_statement_handle));
    return query_info(context, request, prepared.sql, prepared.params, prepared.transaction,
                      prepared.pool->id());
  }
  // Metadata is asked for again, and answered, in DoGet; the ticket is the command.
  ARROW_ASSIGN_OR_RAISE(const auto schema, metadata_schema(any));
  const std::vector<fl::FlightEndpoint> endpoints = {
      {fl::Ticket(request.cmd), {}, std::nullopt, ""}};
  ARROW_ASSIGN_OR_RAISE(fl::FlightInfo info,
                        fl::FlightInfo::Make(*schema, request, endpoints, -1, -1, false));
  return std::make_unique<fl::FlightInfo>(std::move(info));
}

Status FlightServer::GetFlightInfo(const Context& context, const Descriptor& request,
                                   InfoPointer* info) {
  return flight::to_wire(flight_info(context, request).Value(info), node_id_);
}

Result<std::shared_ptr<arrow::Schema>> FlightServer::schema_of(const Context& context,
                                                               const Descriptor& request) {
  ARROW_ASSIGN_OR_RAISE(const flight::Any any, unwrapped(request.cmd));
  std::string sql;
  std::string transaction;
  std::string pool_name;
  if (any.name() == flight::CommandStatementQuery::kName) {
    ARROW_ASSIGN_OR_RAISE(const auto command,
                          flight::decode<flight::CommandStatementQuery>(any.value));
    sql = command.query;
    transaction = command.transaction_id.value_or(flight::Bytes());
  } else if (any.name() == flight::CommandPreparedStatementQuery::kName) {
    ARROW_ASSIGN_OR_RAISE(const auto command,
                          flight::decode<flight::CommandPreparedStatementQuery>(any.value));
    ARROW_ASSIGN_OR_RAISE(
        const Prepared prepared,
        sessions_.prepared(caller_of(context), command.prepared_statement_handle));
    sql = prepared.sql;
    transaction = prepared.transaction;
    pool_name = prepared.pool->id();
  } else {
    return metadata_schema(any);
  }
  std::stop_source stop;
  const CallWatch::Scope scope(watch_, context, stop);
  ARROW_ASSIGN_OR_RAISE(const Work work, work_for(context, transaction, pool_name, stop));
  ARROW_ASSIGN_OR_RAISE(const Description description, describe(work, sql));
  if (!description.certain) {
    return make_error(ErrorKind::kNotSupported,
                      "this database does not tell a statement's columns before it runs");
  }
  return description.gives_rows ? description.info.rows : arrow::schema({});
}

Status FlightServer::GetSchema(const Context& context, const Descriptor& request,
                               std::unique_ptr<fl::SchemaResult>* result) {
  const Result<std::shared_ptr<arrow::Schema>> schema = schema_of(context, request);
  if (!schema.ok()) return flight::to_wire(schema.status(), node_id_);
  return fl::SchemaResult::Make(**schema).Value(result);
}

// ---- DoGet

Result<std::shared_ptr<arrow::RecordBatchReader>> FlightServer::metadata(
    const Context& context, const flight::Any& command) {
  const auto agent = context.incoming_headers().find("user-agent");
  MetadataRequest request;
  request.user_agent = agent == context.incoming_headers().end() ? "" : std::string(agent->second);
  const Caller& caller = caller_of(context);
  for (const std::string& pool : manager_.list_pools()) {
    if (caller.pools.empty() ||
        std::find(caller.pools.begin(), caller.pools.end(), pool) != caller.pools.end()) {
      request.catalogs.push_back(pool);
    }
  }
  request.pool = [&](std::string_view catalog) -> Result<std::shared_ptr<LocalPool>> {
    ARROW_ASSIGN_OR_RAISE(const auto served, pool_for(context, catalog));
    return served->local();
  };
  std::stop_source stop;
  const CallWatch::Scope scope(watch_, context, stop);
  request.options.stop = stop.get_token();
  ARROW_ASSIGN_OR_RAISE(const auto table, answer_metadata(command, request));
  return std::make_shared<arrow::TableBatchReader>(table);
}

Result<FlightServer::Stream> FlightServer::open_stream(const Context& context,
                                                       const std::string& ticket) {
  ARROW_ASSIGN_OR_RAISE(const flight::Any any, unwrapped(ticket));
  if (any.name() == flight::Call::kName) {
    ARROW_ASSIGN_OR_RAISE(const auto call, flight::decode<flight::Call>(any.value));
    return own_call(context, call);
  }
  std::stop_source stop;
  std::shared_ptr<arrow::RecordBatchReader> rows;
  if (any.name() == flight::TicketStatementQuery::kName) {
    ARROW_ASSIGN_OR_RAISE(const auto request,
                          flight::decode<flight::TicketStatementQuery>(any.value));
    ARROW_ASSIGN_OR_RAISE(auto result,
                          sessions_.take_result(caller_of(context), request.statement_handle));
    sessions_.watch(result);
    stop = result->stop();
    rows = std::move(result);
  } else {
    ARROW_ASSIGN_OR_RAISE(rows, metadata(context, any));
  }
  return std::make_unique<AnswerStream>(std::move(rows), node_id_, watch_, context, stop);
}

Status FlightServer::DoGet(const Context& context, const fl::Ticket& request, Stream* stream) {
  return flight::to_wire(open_stream(context, request.ticket).Value(stream), node_id_);
}

}  // namespace cenote::node
