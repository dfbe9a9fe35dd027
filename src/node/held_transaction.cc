// Taking turns on one transaction.
#include "node/held_transaction.h"

#include <utility>

#include "node/result_reader.h"

namespace cenote::node {
namespace {

// A client that dropped a result half-read may begin its next statement before its cancellation has
// arrived here.
constexpr Duration kPatience = std::chrono::seconds(5);

}  // namespace

Status HeldTransaction::take() {
  const Deadline deadline = Deadline::in(kPatience);
  Lock lock(mutex_);
  while (used_ && !ended_) {
    if (free_.wait_until(lock, deadline.at()) == std::cv_status::timeout && used_) {
      return make_error(ErrorKind::kInterface,
                        "another call uses this transaction: read its result to the end or drop "
                        "it, and send one statement at a time");
    }
  }
  if (expired_) {
    return make_error(ErrorKind::kOperational,
                      "the transaction was rolled back, because it was idle for longer than the "
                      "node's transaction_idle; begin another and keep transactions short");
  }
  if (ended_) {
    return make_error(ErrorKind::kInterface, "the transaction has ended; begin another");
  }
  used_ = true;
  return Status::OK();
}

void HeldTransaction::give_back() {
  {
    const Lock lock(mutex_);
    used_ = false;
    begun_ = transaction_.has_value();
    last_use_ = Clock::now();
  }
  free_.notify_all();
}

Result<HeldTransaction::Use> HeldTransaction::use(const QueryOptions& options) {
  ARROW_RETURN_NOT_OK(take());
  Use use(shared_from_this());
  if (!transaction_) {
    QueryOptions begin = options;
    begin.tag = "transaction of a client" + (user_.empty() ? "" : " (" + user_ + ")");
    ARROW_ASSIGN_OR_RAISE(transaction_, pool_->begin(options_, begin));
  }
  return use;
}

void HeldTransaction::set_reader(const std::shared_ptr<ResultReader>& reader) {
  const Lock lock(mutex_);
  reader_ = reader;
}

Status HeldTransaction::end(bool commit, const QueryOptions& options) {
  std::shared_ptr<ResultReader> reader;
  {
    const Lock lock(mutex_);
    reader = reader_.lock();
  }
  if (reader != nullptr) (void)reader->Close();
  const Status taken = take();
  if (!taken.ok()) {
    const Lock lock(mutex_);
    return !commit && ended_ ? Status::OK() : taken;
  }
  Status status;
  if (transaction_) {
    status = commit ? transaction_->commit(options) : transaction_->rollback();
    transaction_.reset();
  }
  {
    const Lock lock(mutex_);
    ended_ = true;
  }
  give_back();
  return status;
}

bool HeldTransaction::holds_connection() const {
  const Lock lock(mutex_);
  return used_ || begun_;
}

bool HeldTransaction::expire(TimePoint before) {
  {
    const Lock lock(mutex_);
    if (ended_) return true;
    if (used_ || last_use_ >= before) return false;
    ended_ = expired_ = true;
    used_ = true;
  }
  // Nobody else can use it any more.
  if (transaction_) {
    (void)transaction_->rollback();
    transaction_.reset();
  }
  give_back();
  return true;
}

}  // namespace cenote::node
