// DoPut: updates, parameters of prepared statements, ingests.
#include <algorithm>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/flight/client.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/util/align_util.h>
#include <arrow/util/byte_size.h>

#include "flight/errors.h"
#include "node/flight_server.h"

namespace cenote::node {
namespace {

namespace fl = arrow::flight;

// The client's batches, each within the bound of a message. libarrow_flight takes messages of any
// size from gRPC, so a batch is refused only once it is here.
class BoundedReader final : public arrow::RecordBatchReader {
 public:
  BoundedReader(fl::FlightMessageReader& reader, std::shared_ptr<arrow::Schema> schema,
                int64_t most)
      : reader_(reader), schema_(std::move(schema)), most_(most) {}

  static Result<std::shared_ptr<BoundedReader>> open(fl::FlightMessageReader& reader,
                                                     int64_t most) {
    ARROW_ASSIGN_OR_RAISE(auto schema, reader.GetSchema());
    return std::make_shared<BoundedReader>(reader, std::move(schema), most);
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    for (;;) {
      ARROW_ASSIGN_OR_RAISE(fl::FlightStreamChunk chunk, reader_.Next());
      if (chunk.data == nullptr && chunk.app_metadata != nullptr) continue;
      if (chunk.data != nullptr && arrow::util::TotalBufferSize(*chunk.data) > most_) {
        return make_error(ErrorKind::kData,
                          "a batch is larger than the node takes in one message (" +
                              std::to_string(most_ >> 20) +
                              " MiB, max_message): send smaller batches");
      }
      *batch = std::move(chunk.data);
      if (*batch == nullptr) return Status::OK();
      // gRPC puts a message's bytes wherever they fall.
      ARROW_ASSIGN_OR_RAISE(
          *batch, arrow::util::EnsureAlignment(std::move(*batch), arrow::util::kValueAlignment,
                                               arrow::default_memory_pool()));
      return Status::OK();
    }
  }

 private:
  fl::FlightMessageReader& reader_;
  const std::shared_ptr<arrow::Schema> schema_;
  const int64_t most_;
};

IngestMode mode_of(const flight::CommandStatementIngest& command) {
  const auto options = command.table_definition_options.value_or(flight::TableDefinitionOptions());
  const bool create = options.if_not_exist == flight::TableNotExist::kCreate;
  switch (options.if_exists) {
    case flight::TableExists::kReplace:
      return IngestMode::kReplace;
    case flight::TableExists::kAppend:
      return create ? IngestMode::kCreateAppend : IngestMode::kAppend;
    default:
      return create ? IngestMode::kCreate : IngestMode::kAppend;
  }
}

// Never "unknown": JDBC takes -1 for "it was a query" and runs the statement once more.
Status send_count(fl::FlightMetadataWriter& writer, int64_t count) {
  flight::DoPutUpdateResult result;
  result.record_count = std::max<int64_t>(count, 0);
  return writer.WriteMetadata(*arrow::Buffer::FromString(flight::encode(result)));
}

}  // namespace

Status FlightServer::put_parameters(const Context& context, std::string_view handle,
                                    fl::FlightMessageReader& reader) {
  ARROW_ASSIGN_OR_RAISE(const auto rows,
                        BoundedReader::open(reader, options_.flight.max_message_bytes));
  Params params;
  int64_t count = 0;
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows->ReadNext(&batch));
    if (batch == nullptr) break;
    count += batch->num_rows();
    if (count > 1) {
      return make_error(ErrorKind::kNotSupported,
                        "a query takes one row of parameters; run it once for each");
    }
    if (batch->num_rows() == 1) {
      ARROW_RETURN_NOT_OK(batch->ValidateFull());
      ARROW_ASSIGN_OR_RAISE(params, flight::params_of(*batch, 0));
    }
  }
  return sessions_.bind(caller_of(context), handle, std::move(params));
}

Result<int64_t> FlightServer::put_prepared_update(const Context& context, std::string_view handle,
                                                  fl::FlightMessageReader& reader) {
  const Caller& caller = caller_of(context);
  ARROW_ASSIGN_OR_RAISE(const Prepared prepared, sessions_.prepared(caller, handle));
  std::stop_source stop;
  const CallWatch::Scope scope(watch_, context, stop);
  ARROW_ASSIGN_OR_RAISE(const Work work,
                        work_for(context, prepared.transaction, prepared.pool->id(), stop));
  std::vector<Params> all;
  int64_t bytes = 0;
  ARROW_ASSIGN_OR_RAISE(const auto rows,
                        BoundedReader::open(reader, options_.flight.max_message_bytes));
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows->ReadNext(&batch));
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(batch->ValidateFull());
    bytes += arrow::util::TotalBufferSize(*batch);
    if (bytes > options_.flight.max_message_bytes) {
      return make_error(ErrorKind::kData,
                        "the parameters are larger than max_message together: execute fewer rows "
                        "at once, or ingest them");
    }
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      ARROW_ASSIGN_OR_RAISE(Params params, flight::params_of(*batch, row));
      all.push_back(std::move(params));
    }
  }
  return run_many(work, prepared.sql, all);
}

Result<int64_t> FlightServer::put_ingest(const Context& context,
                                         const flight::CommandStatementIngest& command,
                                         fl::FlightMessageReader& reader) {
  if (command.temporary) {
    return make_error(ErrorKind::kNotSupported,
                      "a temporary table would vanish with the pooled connection; ingest into a "
                      "table");
  }
  std::stop_source stop;
  const CallWatch::Scope scope(watch_, context, stop);
  ARROW_ASSIGN_OR_RAISE(const Work work,
                        work_for(context, command.transaction_id.value_or(flight::Bytes()),
                                 command.catalog.value_or(""), stop));
  IngestTarget target;
  target.table =
      command.schema.value_or("").empty() ? command.table : *command.schema + "." + command.table;
  target.mode = mode_of(command);
  ARROW_ASSIGN_OR_RAISE(const auto rows,
                        BoundedReader::open(reader, options_.flight.max_message_bytes));
  return run_ingest(work, target, *rows);
}

Status FlightServer::put(const Context& context, fl::FlightMessageReader& reader,
                         fl::FlightMetadataWriter& writer) {
  ARROW_ASSIGN_OR_RAISE(const flight::Any any, unwrapped(reader.descriptor().cmd));
  if (any.name() == flight::CommandStatementUpdate::kName) {
    // ADBC sends the descriptor alone: no schema follows.
    ARROW_ASSIGN_OR_RAISE(const auto command,
                          flight::decode<flight::CommandStatementUpdate>(any.value));
    std::stop_source stop;
    const CallWatch::Scope scope(watch_, context, stop);
    ARROW_ASSIGN_OR_RAISE(
        const Work work,
        work_for(context, command.transaction_id.value_or(flight::Bytes()), "", stop));
    ARROW_ASSIGN_OR_RAISE(const int64_t count, run_execute(work, command.query, {}));
    return send_count(writer, count);
  }
  if (any.name() == flight::CommandPreparedStatementUpdate::kName) {
    ARROW_ASSIGN_OR_RAISE(const auto command,
                          flight::decode<flight::CommandPreparedStatementUpdate>(any.value));
    ARROW_ASSIGN_OR_RAISE(const int64_t count,
                          put_prepared_update(context, command.prepared_statement_handle, reader));
    return send_count(writer, count);
  }
  if (any.name() == flight::CommandPreparedStatementQuery::kName) {
    ARROW_ASSIGN_OR_RAISE(const auto command,
                          flight::decode<flight::CommandPreparedStatementQuery>(any.value));
    return put_parameters(context, command.prepared_statement_handle, reader);
  }
  if (any.name() == flight::CommandStatementIngest::kName) {
    ARROW_ASSIGN_OR_RAISE(const auto command,
                          flight::decode<flight::CommandStatementIngest>(any.value));
    ARROW_ASSIGN_OR_RAISE(const int64_t count, put_ingest(context, command, reader));
    return send_count(writer, count);
  }
  if (any.name() == flight::Call::kName) {
    ARROW_ASSIGN_OR_RAISE(const auto call, flight::decode<flight::Call>(any.value));
    ARROW_ASSIGN_OR_RAISE(const auto rows,
                          BoundedReader::open(reader, options_.flight.max_message_bytes));
    ARROW_ASSIGN_OR_RAISE(const flight::Answer answer, own_ingest(context, call, *rows));
    return writer.WriteMetadata(*arrow::Buffer::FromString(flight::encode(answer)));
  }
  return make_error(ErrorKind::kNotSupported,
                    "this node does not take '" + any.type_url + "' by DoPut");
}

Status FlightServer::DoPut(const Context& context, std::unique_ptr<fl::FlightMessageReader> reader,
                           std::unique_ptr<fl::FlightMetadataWriter> writer) {
  return flight::to_wire(put(context, *reader, *writer), node_id_);
}

}  // namespace cenote::node
