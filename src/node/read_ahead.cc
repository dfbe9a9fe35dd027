// A bounded queue between two threads.
#include "node/read_ahead.h"

#include <system_error>
#include <utility>

namespace cenote::node {
namespace {

// A result that ends before needs no thread: starting one costs more than a point query.
constexpr int kBatchesWithout = 2;
constexpr size_t kMostAhead = 2;  // batches, and one in the making

}  // namespace

ReadAhead::ReadAhead(std::shared_ptr<arrow::RecordBatchReader> rows) : rows_(std::move(rows)) {}

bool ReadAhead::begin() {
  if (thread_.joinable()) return true;
  if (read_ < kBatchesWithout) {
    ++read_;
    return false;
  }
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    return false;  // the machine has no thread to give: then without one
  }
  return true;
}

void ReadAhead::run() {
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    const Status status = rows_->ReadNext(&batch);
    Lock lock(mutex_);
    ended_ = !status.ok() || batch == nullptr;
    end_ = status;
    if (!ended_) ahead_.push_back(std::move(batch));
    changed_.notify_all();
    while (!closed_ && ahead_.size() >= kMostAhead) changed_.wait(lock);
    if (closed_ || ended_) return;
  }
}

Status ReadAhead::ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) {
  batch->reset();
  if (!begin()) return rows_->ReadNext(batch);
  {
    Lock lock(mutex_);
    while (ahead_.empty() && !ended_) changed_.wait(lock);
    if (ahead_.empty()) return end_;
    *batch = std::move(ahead_.front());
    ahead_.pop_front();
  }
  changed_.notify_all();
  return Status::OK();
}

Status ReadAhead::Close() {
  {
    const Lock lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  const Status closed = rows_->Close();
  if (thread_.joinable()) thread_.join();
  return closed;
}

}  // namespace cenote::node
