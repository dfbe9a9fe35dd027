// The reader that owns its connection: returns it at the end, on error, on Close, on destruction,
// and when nobody reads for long.
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/mutex.h"
#include "base/watchdog.h"
#include "pool/local_pool_parts.h"

namespace cenote {
namespace {

class PoolStream final : public arrow::RecordBatchReader,
                         public std::enable_shared_from_this<PoolStream> {
 public:
  PoolStream(std::shared_ptr<LocalPool> pool, const LocalPool::Parts& parts, Lease lease,
             std::shared_ptr<arrow::RecordBatchReader> rows, TimePoint begin)
      : pool_(std::move(pool)),
        parts_(parts),
        schema_(rows->schema()),
        lease_(std::move(lease)),
        rows_(std::move(rows)),
        begin_(begin) {}

  ~PoolStream() override {
    idle_timer_.reset();
    const Lock lock(mutex_);
    (void)end(Status::OK());
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    idle_timer_.reset();
    batch->reset();
    {
      const Lock lock(mutex_);
      if (rows_ == nullptr) return after_end_;
      const Status status = rows_->ReadNext(batch);
      if (!status.ok()) {
        after_end_ =
            make_error(ErrorKind::kInterface, "the stream ended with an error; query again");
        return end(status);
      }
      if (*batch == nullptr) return end(Status::OK());
      count_ += (*batch)->num_rows();
    }
    watch_idle();
    return Status::OK();
  }

  Status Close() override {
    idle_timer_.reset();
    const Lock lock(mutex_);
    if (rows_ != nullptr) {
      after_end_ = make_error(ErrorKind::kInterface, "the stream is closed; query again");
    }
    return end(Status::OK());
  }

  void watch_idle() {
    const Duration limit = parts_.config.pool.stream_idle_limit;
    if (limit <= Duration::zero()) return;
    // The interrupt only hands over, since closing may block and takes the mutex.
    idle_timer_ =
        std::make_unique<InterruptGuard>(CallContext{Deadline::in(limit), {}},
                                         [weak = weak_from_this(), executor = parts_.executor] {
                                           executor->post([weak] {
                                             if (const auto self = weak.lock()) self->abandon();
                                           });
                                         });
  }

 private:
  void abandon() {
    const Lock lock(mutex_);
    if (rows_ == nullptr) return;
    after_end_ = make_error(
        ErrorKind::kOperational,
        "pool '" + parts_.config.id +
            "': nobody read this stream for stream_idle_limit, so its connection was taken "
            "back; read faster, or raise stream_idle_limit");
    (void)end(Status::OK());
  }

  // Closes the rows and returns the connection. Idempotent.
  Status end(const Status& status) CENOTE_REQUIRES(mutex_) {
    if (rows_ == nullptr) return status;
    const Status closed = rows_->Close();
    rows_.reset();
    const Status named = parts_.finish(status, begin_, count_);
    if (poisons_connection(status) || !closed.ok()) {
      lease_.discard();
    } else {
      lease_.give_back();
    }
    return named;
  }

  const std::shared_ptr<LocalPool> pool_;  // keeps parts_ alive
  const LocalPool::Parts& parts_;
  const std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<InterruptGuard> idle_timer_;  // of the reading thread
  // Guards the rest between the reading thread and the idle timer; held while reading, which the
  // timer waits for.
  Mutex mutex_;
  Lease lease_ CENOTE_GUARDED_BY(mutex_);
  std::shared_ptr<arrow::RecordBatchReader> rows_ CENOTE_GUARDED_BY(mutex_);  // null once ended
  Status after_end_ CENOTE_GUARDED_BY(mutex_);
  const TimePoint begin_;
  int64_t count_ CENOTE_GUARDED_BY(mutex_) = 0;
};

}  // namespace

Result<std::shared_ptr<arrow::RecordBatchReader>> open_stream(
    std::shared_ptr<LocalPool> pool, const LocalPool::Parts& parts, Lease lease, const Call& call,
    std::string_view sql, const Params& params, const BatchLimits& limits) {
  const TimePoint begin = Clock::now();
  Result<std::shared_ptr<arrow::RecordBatchReader>> rows =
      lease->query(call.context, sql, params, limits);
  if (!rows.ok()) {
    const Status status = parts.finish(rows.status(), begin, 0);
    if (poisons_connection(status)) lease.discard();
    return status;
  }
  auto stream = std::make_shared<PoolStream>(std::move(pool), parts, std::move(lease),
                                             std::move(*rows), begin);
  stream->watch_idle();
  return stream;
}

}  // namespace cenote
