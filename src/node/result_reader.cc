// Reading, reading ahead, and giving back exactly once.
#include "node/result_reader.h"

#include <utility>

#include <arrow/util/byte_size.h>

namespace cenote::node {

ResultReader::ResultReader(Source source, std::stop_source stop)
    : stop_(std::move(stop)), schema_(source.rows->schema()), source_(std::move(source)) {}

ResultReader::~ResultReader() {
  (void)Close();
}

void ResultReader::release() {
  if (source_.rows != nullptr) (void)source_.rows->Close();
  source_.rows.reset();
  source_.own.reset();
  source_.use.reset();
}

Status ResultReader::read(std::shared_ptr<arrow::RecordBatch>* batch) {
  batch->reset();
  if (!failure_.ok()) return failure_;
  if (source_.rows == nullptr) return Status::OK();
  const Status status = source_.rows->ReadNext(batch);
  if (status.ok() && *batch != nullptr) {
    rows_ += (*batch)->num_rows();
    return status;
  }
  at_end_ = status.ok();
  failure_ = status;
  release();
  return status;
}

Status ResultReader::ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) {
  const Lock lock(mutex_);
  last_read_ = Clock::now();
  if (!ahead_.empty()) {
    *batch = std::move(ahead_.front());
    ahead_.pop_front();
    return Status::OK();
  }
  return read(batch);
}

Status ResultReader::read_ahead(int64_t bytes) {
  const Lock lock(mutex_);
  int64_t size = 0;
  while (size < bytes) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(read(&batch));
    if (batch == nullptr) return Status::OK();
    size += arrow::util::TotalBufferSize(*batch);
    ahead_.push_back(std::move(batch));
  }
  return Status::OK();
}

int64_t ResultReader::total_rows() const {
  const Lock lock(mutex_);
  return at_end_ ? rows_ : -1;
}

Status ResultReader::Close() {
  stop_.request_stop();
  const Lock lock(mutex_);
  ahead_.clear();
  if (source_.rows != nullptr) {
    failure_ = make_error(ErrorKind::kInterface,
                          "the result was closed, by its transaction's end or because nobody read "
                          "it for long; run the statement again");
  }
  release();
  return Status::OK();
}

bool ResultReader::expire(TimePoint before) {
  if (!mutex_.try_lock()) return false;  // it is being read
  const bool idle = last_read_ < before;
  mutex_.unlock();
  if (idle) (void)Close();
  return idle;
}

}  // namespace cenote::node
