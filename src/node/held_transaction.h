// A transaction that a client holds between its calls. It takes a connection with its first
// statement, not before: clients such as ADBC open one at connect and after every commit.
#pragma once

#include <condition_variable>
#include <memory>
#include <optional>
#include <string>

#include "cenote/pool.h"

#include "base/mutex.h"
#include "node/served_pool.h"

namespace cenote::node {

class ResultReader;

// Thread-safe; one call uses it at a time, others wait for it, bounded.
class HeldTransaction : public std::enable_shared_from_this<HeldTransaction> {
 public:
  HeldTransaction(std::shared_ptr<const ServedPool> pool, TransactionOptions options,
                  std::string user)
      : pool_(std::move(pool)), options_(options), user_(std::move(user)) {}

  const std::string& user() const { return user_; }
  const std::shared_ptr<const ServedPool>& pool() const { return pool_; }

  // The one that uses it now: given back when destroyed.
  class Use {
   public:
    Use(Use&& other) noexcept : held_(std::move(other.held_)) {}
    Use& operator=(Use&& other) noexcept {
      Use(std::move(other)).held_.swap(held_);
      return *this;
    }
    ~Use() {
      if (held_ != nullptr) held_->give_back();
    }
    Transaction& operator*() const { return *held_->transaction_; }
    Transaction* operator->() const { return &*held_->transaction_; }

   private:
    friend class HeldTransaction;
    explicit Use(std::shared_ptr<HeldTransaction> held) : held_(std::move(held)) {}
    std::shared_ptr<HeldTransaction> held_;
  };

  // Waits for the call before it, then begins if this is the first. kInterface if it has ended.
  Result<Use> use(const QueryOptions& options);
  // The reader that holds a Use, so that the end of the transaction can close it.
  void set_reader(const std::shared_ptr<ResultReader>& reader);
  // Commits or rolls back; a reader that is still open is closed first. Rolling back what has ended
  // already is no error, committing it is. `options` are of the commit.
  Status end(bool commit, const QueryOptions& options = {});
  // Whether it holds a connection, now or between its calls.
  bool holds_connection() const;
  // Rolls back if nobody used it since `before`; whether it did, or had ended anyway.
  bool expire(TimePoint before);

 private:
  Status take();
  void give_back();

  const std::shared_ptr<const ServedPool> pool_;
  const TransactionOptions options_;
  const std::string user_;

  mutable Mutex mutex_;  // guards who uses it; never held while a statement runs
  std::condition_variable_any free_;
  bool used_ CENOTE_GUARDED_BY(mutex_) = false;
  bool begun_ CENOTE_GUARDED_BY(mutex_) = false;
  bool ended_ CENOTE_GUARDED_BY(mutex_) = false;
  bool expired_ CENOTE_GUARDED_BY(mutex_) = false;
  TimePoint last_use_ CENOTE_GUARDED_BY(mutex_) = Clock::now();
  std::weak_ptr<ResultReader> reader_ CENOTE_GUARDED_BY(mutex_);
  std::optional<Transaction> transaction_;  // of the user; none before the first statement
};

}  // namespace cenote::node
