// The reader that owns its connection: returns it at the end, on error, on Close, on destruction,
// and when nobody reads for long.
#include <condition_variable>
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
    if (parts_.inherited()) {
      leave_to_parent();
      return;
    }
    idle_timer_.reset();
    if (seize()) (void)end(Status::OK());
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    batch->reset();
    if (parts_.inherited()) return parts_.inherited_error();
    idle_timer_.reset();
    if (!seize()) return after_end();
    const Status status = rows_->ReadNext(batch);
    if (!status.ok()) {
      set_after_end(
          make_error(ErrorKind::kInterface, "the stream ended with an error; query again"));
      return end(status);
    }
    if (*batch == nullptr) return end(Status::OK());
    count_ += (*batch)->num_rows();
    set_turn(Turn::kFree);
    watch_idle();
    return Status::OK();
  }

  Status Close() override {
    if (parts_.inherited()) return Status::OK();
    idle_timer_.reset();
    if (!seize()) return Status::OK();
    set_after_end(make_error(ErrorKind::kInterface, "the stream is closed; query again"));
    return end(Status::OK());
  }

  void watch_idle() {
    const Duration limit = parts_.config.pool.stream_idle_limit;
    if (limit <= Duration::zero()) return;
    // The interrupt only hands over, since closing may block.
    idle_timer_ =
        std::make_unique<InterruptGuard>(CallContext{Deadline::in(limit), {}},
                                         [weak = weak_from_this(), executor = parts_.executor] {
                                           executor->post([weak] {
                                             if (const auto self = weak.lock()) self->abandon();
                                           });
                                         });
  }

 private:
  // Who may use the rows and the lease: no one yet, the thread that seized them, or no one again.
  enum class Turn : uint8_t { kFree, kTaken, kEnded };

  // Waits for another thread's turn to end. False: the stream has ended.
  bool seize() {
    Lock lock(mutex_);
    while (turn_ == Turn::kTaken) turn_free_.wait(lock);
    if (turn_ == Turn::kEnded) return false;
    turn_ = Turn::kTaken;
    return true;
  }
  void set_turn(Turn turn) {
    const Lock lock(mutex_);
    turn_ = turn;
    turn_free_.notify_all();
  }
  Status after_end() const {
    const Lock lock(mutex_);
    return after_end_;
  }
  void set_after_end(Status status) {
    const Lock lock(mutex_);
    after_end_ = std::move(status);
  }

  void abandon() {
    if (!seize()) return;
    set_after_end(make_error(
        ErrorKind::kOperational,
        "pool '" + parts_.config.id +
            "': nobody read this stream for stream_idle_limit, so its connection was taken "
            "back; read faster, or raise stream_idle_limit"));
    (void)end(Status::OK());
  }

  // Closes the rows and returns the connection; ends the turn of whoever calls it.
  Status end(const Status& status) {
    const Status closed = rows_->Close();
    rows_.reset();
    const Status named = parts_.finish(status, begin_, count_);
    if (poisons_connection(status) || !closed.ok()) {
      lease_.discard();
    } else {
      lease_.give_back();
    }
    set_turn(Turn::kEnded);
    return named;
  }

  // In a forked child: the rows speak with the parent's session, and the timer is of its watchdog.
  void leave_to_parent() {
    (void)new std::shared_ptr<arrow::RecordBatchReader>(std::move(rows_));
    (void)idle_timer_.release();
  }

  const std::shared_ptr<LocalPool> pool_;  // keeps parts_ alive
  const LocalPool::Parts& parts_;
  const std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<InterruptGuard> idle_timer_;  // of the reading thread
  // Of the thread whose turn it is:
  Lease lease_;
  std::shared_ptr<arrow::RecordBatchReader> rows_;
  const TimePoint begin_;
  int64_t count_ = 0;

  mutable Mutex mutex_;  // guards the turn and what is said after the end; not held while reading
  std::condition_variable_any turn_free_;
  Turn turn_ CENOTE_GUARDED_BY(mutex_) = Turn::kFree;
  Status after_end_ CENOTE_GUARDED_BY(mutex_);
};

}  // namespace

Result<std::shared_ptr<arrow::RecordBatchReader>> open_stream(
    std::shared_ptr<LocalPool> pool, const LocalPool::Parts& parts, Lease lease, const Call& call,
    std::string_view sql, const Params& params, const BatchLimits& limits) {
  const TimePoint begin = Clock::now();
  Result<std::shared_ptr<arrow::RecordBatchReader>> rows =
      lease->query(call.context, sql, params, limits);
  if (!rows.ok()) {
    const Status status = parts.finish(rows.status(), begin, -1);
    if (poisons_connection(status)) lease.discard();
    return status;
  }
  auto stream = std::make_shared<PoolStream>(std::move(pool), parts, std::move(lease),
                                             std::move(*rows), begin);
  stream->watch_idle();
  return stream;
}

}  // namespace cenote
