// A result between its execution and its delivery: owns what it is read from, gives it back at its
// end, and can be closed from another thread (expiry, the end of its transaction).
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <stop_token>

#include <arrow/record_batch.h>

#include "cenote/pool.h"

#include "base/mutex.h"
#include "node/held_transaction.h"

namespace cenote::node {

class ResultReader final : public arrow::RecordBatchReader {
 public:
  // What the rows come from and must be given back after them: a client's transaction, a
  // transaction of our own around one statement (it is rolled back: it only read), or neither.
  struct Source {
    std::shared_ptr<arrow::RecordBatchReader> rows;
    std::optional<HeldTransaction::Use> use;
    std::optional<Transaction> own;
  };

  ResultReader(Source source, std::stop_source stop);
  ~ResultReader() override;

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override;
  Status Close() override;

  // Reads ahead up to about so many bytes. A result that ends within them has given its connection
  // back.
  Status read_ahead(int64_t bytes);
  // The number of all rows, once the end is known; else -1.
  int64_t total_rows() const;
  // Closes it if nobody has read since `before`; whether it is closed.
  bool expire(TimePoint before);
  // Requested: the statement behind it is cancelled on the server.
  std::stop_source stop() const { return stop_; }

 private:
  Status read(std::shared_ptr<arrow::RecordBatch>* batch) CENOTE_REQUIRES(mutex_);
  void release() CENOTE_REQUIRES(mutex_);

  std::stop_source stop_;
  const std::shared_ptr<arrow::Schema> schema_;
  // Guards the rest between the reader, expiry and the end of the transaction. Held while reading;
  // whoever else wants it then requests the stop first or only tries.
  mutable Mutex mutex_;
  Source source_ CENOTE_GUARDED_BY(mutex_);  // empty once released
  std::deque<std::shared_ptr<arrow::RecordBatch>> ahead_ CENOTE_GUARDED_BY(mutex_);
  Status failure_ CENOTE_GUARDED_BY(mutex_);
  bool at_end_ CENOTE_GUARDED_BY(mutex_) = false;
  int64_t rows_ CENOTE_GUARDED_BY(mutex_) = 0;
  TimePoint last_read_ CENOTE_GUARDED_BY(mutex_) = Clock::now();
};

}  // namespace cenote::node
