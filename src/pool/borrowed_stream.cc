// Reading over a connection that is held.
#include "pool/borrowed_stream.h"

#include <utility>

namespace cenote {

BorrowedStream::BorrowedStream(std::shared_ptr<LocalPool> pool, const LocalPool::Parts& parts,
                               const Lease& lease, std::shared_ptr<arrow::RecordBatchReader> rows,
                               TimePoint begin)
    : pool_(std::move(pool)),
      parts_(parts),
      lease_(lease),
      rows_(std::move(rows)),
      schema_(rows_->schema()),
      begin_(begin) {}

BorrowedStream::~BorrowedStream() {
  if (parts_.inherited()) {
    // They speak with the parent's session: left as they are.
    (void)new std::shared_ptr<arrow::RecordBatchReader>(std::move(rows_));
  } else {
    (void)detach();
  }
}

Status BorrowedStream::ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) {
  batch->reset();
  if (parts_.inherited()) return parts_.inherited_error();
  if (rows_ == nullptr) return after_end_;
  const Status status = rows_->ReadNext(batch);
  if (status.ok() && *batch != nullptr) {
    count_ += (*batch)->num_rows();
    return Status::OK();
  }
  after_end_ = parts_.connection_pool->judge_kept(lease_, parts_.finish(status, begin_, count_));
  rows_.reset();
  return after_end_;
}

Status BorrowedStream::Close() {
  return parts_.inherited() ? Status::OK() : detach();
}

Status BorrowedStream::detach() {
  if (rows_ == nullptr) return Status::OK();
  after_end_ = make_error(ErrorKind::kInterface,
                          "the stream is closed, or its transaction has ended, or its connection "
                          "was given back; query again");
  const Status closed = std::exchange(rows_, nullptr)->Close();
  return parts_.finish(closed, begin_, count_);
}

}  // namespace cenote
