// RecordBatchStream with our errors and our metadata.
#include "node/answer_stream.h"

#include <utility>

#include <arrow/record_batch.h>

#include "flight/errors.h"
#include "node/read_ahead.h"

namespace cenote::node {
namespace {

// Gives one empty batch where there would be none.
class AtLeastOne final : public arrow::RecordBatchReader {
 public:
  explicit AtLeastOne(std::shared_ptr<arrow::RecordBatchReader> rows) : rows_(std::move(rows)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    ARROW_RETURN_NOT_OK(rows_->ReadNext(batch));
    if (*batch == nullptr && !any_) {
      ARROW_ASSIGN_OR_RAISE(*batch, arrow::RecordBatch::MakeEmpty(schema()));
    }
    any_ = true;
    return Status::OK();
  }
  Status Close() override { return rows_->Close(); }

 private:
  const std::shared_ptr<arrow::RecordBatchReader> rows_;
  bool any_ = false;
};

std::shared_ptr<arrow::RecordBatchReader> prepared(std::shared_ptr<arrow::RecordBatchReader> rows,
                                                   bool at_least_one) {
  rows = std::make_shared<ReadAhead>(std::move(rows));
  if (!at_least_one) return rows;
  return std::make_shared<AtLeastOne>(std::move(rows));
}

}  // namespace

AnswerStream::AnswerStream(std::shared_ptr<arrow::RecordBatchReader> rows, std::string node_id,
                           CallWatch& watch, const arrow::flight::ServerCallContext& context,
                           std::stop_source stop, std::shared_ptr<arrow::Buffer> first)
    : rows_(prepared(std::move(rows), first != nullptr)),
      node_id_(std::move(node_id)),
      first_(std::move(first)),
      stream_(rows_),
      scope_(watch, context, std::move(stop)) {}

AnswerStream::~AnswerStream() {
  (void)rows_->Close();
}

arrow::Result<arrow::flight::FlightPayload> AnswerStream::GetSchemaPayload() {
  return stream_.GetSchemaPayload();
}

arrow::Result<arrow::flight::FlightPayload> AnswerStream::Next() {
  arrow::Result<arrow::flight::FlightPayload> payload = stream_.Next();
  if (!payload.ok()) return flight::to_wire(payload.status(), node_id_);
  if (first_ != nullptr && payload->ipc_message.type == arrow::ipc::MessageType::RECORD_BATCH) {
    payload->app_metadata = std::move(first_);
    first_ = nullptr;
  }
  return payload;
}

Status AnswerStream::Close() {
  return rows_->Close();
}

}  // namespace cenote::node
