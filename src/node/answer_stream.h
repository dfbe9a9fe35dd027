// A result on its way to a client: batch by batch as the client takes them, with the call watched
// until the last.
#pragma once

#include <memory>
#include <string>

#include <arrow/flight/server.h>

#include "cenote/error.h"

#include "node/call_watch.h"

namespace cenote::node {

class AnswerStream final : public arrow::flight::FlightDataStream {
 public:
  // `first` rides on the first batch as application metadata; with it there is always a batch, if
  // need be an empty one. `stop` is requested when the client gives up.
  AnswerStream(std::shared_ptr<arrow::RecordBatchReader> rows, std::string node_id,
               CallWatch& watch, const arrow::flight::ServerCallContext& context,
               std::stop_source stop, std::shared_ptr<arrow::Buffer> first = nullptr);
  ~AnswerStream() override;

  std::shared_ptr<arrow::Schema> schema() override { return rows_->schema(); }
  arrow::Result<arrow::flight::FlightPayload> GetSchemaPayload() override;
  arrow::Result<arrow::flight::FlightPayload> Next() override;
  Status Close() override;

 private:
  const std::shared_ptr<arrow::RecordBatchReader> rows_;
  const std::string node_id_;
  std::shared_ptr<arrow::Buffer> first_;
  arrow::flight::RecordBatchStream stream_;
  CallWatch::Scope scope_;
};

}  // namespace cenote::node
