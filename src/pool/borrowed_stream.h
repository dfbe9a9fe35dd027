// The reader of a connection that its caller holds for longer: a transaction's or a held
// connection's.
#pragma once

#include <memory>

#include <arrow/record_batch.h>

#include "pool/local_pool_parts.h"

namespace cenote {

// Passes batches on while the connection is held. What comes after an error, or after the
// connection went away, is an error too: it must not look like the end of the rows.
class BorrowedStream final : public arrow::RecordBatchReader {
 public:
  // `pool` keeps `parts` alive, and whoever has the lease detaches this before it goes.
  BorrowedStream(std::shared_ptr<LocalPool> pool, const LocalPool::Parts& parts, const Lease& lease,
                 std::shared_ptr<arrow::RecordBatchReader> rows, TimePoint begin);
  ~BorrowedStream() override;

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override;
  Status Close() override;

  bool open() const { return rows_ != nullptr; }
  // The connection goes away under the reader.
  Status detach();

 private:
  const std::shared_ptr<LocalPool> pool_;
  const LocalPool::Parts& parts_;
  const Lease& lease_;  // used while there are rows
  std::shared_ptr<arrow::RecordBatchReader> rows_;
  const std::shared_ptr<arrow::Schema> schema_;
  const TimePoint begin_;
  int64_t count_ = 0;
  Status after_end_;
};

}  // namespace cenote
