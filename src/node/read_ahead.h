// Reads a long result ahead on a thread of its own: the database makes rows while those before them
// are on their way to the client.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <thread>

#include <arrow/record_batch.h>

#include "cenote/error.h"

#include "base/mutex.h"

namespace cenote::node {

// One thread reads it. `rows` must bear Close() by another thread than reads them.
class ReadAhead final : public arrow::RecordBatchReader {
 public:
  explicit ReadAhead(std::shared_ptr<arrow::RecordBatchReader> rows);
  ~ReadAhead() override { (void)Close(); }

  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override;
  // Ends the thread too.
  Status Close() override;

 private:
  bool begin();
  void run();

  const std::shared_ptr<arrow::RecordBatchReader> rows_;
  int read_ = 0;  // batches, before there is a thread

  Mutex mutex_;  // guards what the thread and its reader share; not held while reading
  std::condition_variable_any changed_;
  std::deque<std::shared_ptr<arrow::RecordBatch>> ahead_ CENOTE_GUARDED_BY(mutex_);
  bool closed_ CENOTE_GUARDED_BY(mutex_) = false;
  bool ended_ CENOTE_GUARDED_BY(mutex_) = false;  // the thread reads no more
  Status end_ CENOTE_GUARDED_BY(mutex_);          // with this
  std::thread thread_;
};

}  // namespace cenote::node
