// The node's Arrow Flight SQL server over the pools of a manager: what strangers' clients call, and
// the one-trip calls of cenote's own client.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <arrow/flight/server.h>

#include "cenote/manager.h"
#include "cenote/server.h"

#include "flight/messages.h"
#include "flight/ticket.h"
#include "node/admission.h"
#include "node/call_watch.h"
#include "node/running_calls.h"
#include "node/sessions.h"
#include "node/statements.h"

namespace cenote::node {

class FlightServer final : public arrow::flight::FlightServerBase {
 public:
  // Starts to listen; kConfig where the options cannot be served safely or the address cannot be
  // bound. The manager must outlive the server.
  static Result<std::unique_ptr<FlightServer>> start(DistributedPoolManager& manager,
                                                     const ServerOptions& options);
  ~FlightServer() override;

  const std::string& node_id() const { return node_id_; }
  // "grpc://host:port" or "grpc+tls://host:port", as others reach it.
  std::string location_uri() const;

  // Refuses new work, lets what runs and what clients hold end until the deadline, then ends it.
  void drain(Deadline deadline);
  bool draining() const { return draining_.load() || refusing_.load(); }
  // Refuses new work, or takes it again, at an operator's wish; the server stays.
  void refuse_work(bool on) { refusing_.store(on); }

  void set_config_version(uint64_t version) { config_version_.store(version); }
  uint64_t config_version() const { return config_version_.load(); }
  SessionCounts counts() const { return sessions_.counts(); }
  int calls() const { return admission_->calls(); }

  // Of FlightServerBase, each on a thread of gRPC for as long as it takes.
  Status GetFlightInfo(const arrow::flight::ServerCallContext& context,
                       const arrow::flight::FlightDescriptor& request,
                       std::unique_ptr<arrow::flight::FlightInfo>* info) override;
  Status GetSchema(const arrow::flight::ServerCallContext& context,
                   const arrow::flight::FlightDescriptor& request,
                   std::unique_ptr<arrow::flight::SchemaResult>* schema) override;
  Status DoGet(const arrow::flight::ServerCallContext& context,
               const arrow::flight::Ticket& request,
               std::unique_ptr<arrow::flight::FlightDataStream>* stream) override;
  Status DoPut(const arrow::flight::ServerCallContext& context,
               std::unique_ptr<arrow::flight::FlightMessageReader> reader,
               std::unique_ptr<arrow::flight::FlightMetadataWriter> writer) override;
  Status DoAction(const arrow::flight::ServerCallContext& context,
                  const arrow::flight::Action& action,
                  std::unique_ptr<arrow::flight::ResultStream>* result) override;
  Status ListActions(const arrow::flight::ServerCallContext& context,
                     std::vector<arrow::flight::ActionType>* actions) override;

 private:
  using Context = arrow::flight::ServerCallContext;
  using Descriptor = arrow::flight::FlightDescriptor;
  using InfoPointer = std::unique_ptr<arrow::flight::FlightInfo>;
  using Stream = std::unique_ptr<arrow::flight::FlightDataStream>;

  FlightServer(DistributedPoolManager& manager, const ServerOptions& options, std::string node_id);

  static const Admission& admission_of(const Context& context);
  static const Caller& caller_of(const Context& context) { return admission_of(context).caller(); }
  // The pool by its name; without one by the header `x-cenote-pool`, the session's catalog, the
  // default, in this order.
  Result<std::shared_ptr<const ServedPool>> pool_for(const Context& context,
                                                     std::string_view name) const;
  // Everything a statement needs but its text. `transaction` is a handle, or empty.
  Result<Work> work_for(const Context& context, std::string_view transaction,
                        std::string_view pool_name, std::stop_source stop);
  // libarrow_flight takes messages of any size from gRPC, so they are refused only here.
  Status check_size(std::string_view message) const;
  // What a command or ticket wraps.
  Result<flight::Any> unwrapped(std::string_view bytes) const;
  // Of what is not inside a transaction that its client holds: not while the node drains, and not
  // beyond max_calls.
  Status check_new_work(const Context& context) const;

  // Commands of strangers.
  Result<InfoPointer> query_info(const Context& context, const Descriptor& request,
                                 std::string_view sql, const Params& params,
                                 std::string_view transaction, std::string_view pool_name);
  Result<InfoPointer> result_info(const Context& context, const Descriptor& request,
                                  std::shared_ptr<ResultReader> result);
  Result<InfoPointer> flight_info(const Context& context, const Descriptor& request);
  Result<std::shared_ptr<arrow::Schema>> schema_of(const Context& context,
                                                   const Descriptor& request);
  Result<Stream> open_stream(const Context& context, const std::string& ticket);
  Result<std::shared_ptr<arrow::RecordBatchReader>> metadata(const Context& context,
                                                             const flight::Any& command);

  Status put(const Context& context, arrow::flight::FlightMessageReader& reader,
             arrow::flight::FlightMetadataWriter& writer);
  Result<int64_t> put_prepared_update(const Context& context, std::string_view handle,
                                      arrow::flight::FlightMessageReader& reader);
  Status put_parameters(const Context& context, std::string_view handle,
                        arrow::flight::FlightMessageReader& reader);
  Result<int64_t> put_ingest(const Context& context, const flight::CommandStatementIngest& command,
                             arrow::flight::FlightMessageReader& reader);

  Result<std::optional<std::string>> act(const Context& context, const std::string& type,
                                         std::string_view body);
  Result<std::string> create_prepared(const Context& context, std::string_view body);
  Result<std::string> begin_transaction(const Context& context);
  Result<std::optional<std::string>> end_transaction(const Context& context, std::string_view body);
  Result<std::string> savepoint(const Context& context, std::string_view body);
  Result<std::optional<std::string>> end_savepoint(const Context& context, std::string_view body);
  Result<std::string> cancel(const Context& context, std::string_view body);
  Result<std::string> set_session(const Context& context, std::string_view body);
  Result<std::string> get_session(const Context& context);

  // cenote's own calls (own_calls.cc).
  Result<Stream> own_call(const Context& context, const flight::Call& call);
  Result<flight::Answer> own_ingest(const Context& context, const flight::Call& call,
                                    arrow::RecordBatchReader& rows);
  Result<Work> own_work(const Context& context, const flight::Call& call,
                        const std::stop_source& stop);
  Result<flight::Answer> own_answer(const Context& context, const flight::Call& call,
                                    const std::stop_source& stop);
  flight::Answer answer(const ServedPool* pool) const;

  DistributedPoolManager& manager_;
  const ServerOptions options_;
  const std::string node_id_;
  std::shared_ptr<AdmissionFactory> admission_;
  CallWatch watch_;
  RunningCalls running_;
  Sessions sessions_;
  std::atomic<bool> draining_ = false;  // it ends
  std::atomic<bool> refusing_ = false;
  std::atomic<bool> stopped_ = false;
  std::atomic<uint64_t> config_version_ = 0;
};

}  // namespace cenote::node
