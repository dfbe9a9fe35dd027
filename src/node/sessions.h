// What clients keep on the node between their calls: options of a session, prepared statements,
// transactions, results that wait to be fetched. Everything is bounded, bound to its user, and
// expires; what it holds goes back then.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cenote/pool.h"
#include "cenote/server.h"

#include "base/mutex.h"
#include "node/auth.h"
#include "node/held_transaction.h"
#include "node/result_reader.h"

namespace cenote::node {

struct Prepared {
  std::string user;
  std::string session;
  std::shared_ptr<const ServedPool> pool;
  std::string transaction;  // its handle, or empty
  std::string sql;
  bool gives_rows = true;
  Params params;  // as bound last
};

struct SessionCounts {
  size_t sessions = 0;
  size_t prepared = 0;
  size_t transactions = 0;
  size_t results = 0;
};

// Thread-safe. Handles name the node, so that a client that moved learns why they are unknown here.
class Sessions {
 public:
  Sessions(const FlightServerOptions& options, std::string node_id);
  ~Sessions();

  // The pool that the session chose by its catalog; empty: none.
  std::string pool_id(const Caller& caller) const;
  // Empty forgets the choice.
  Status set_pool_id(const Caller& caller, std::string pool_id);
  // Gives back everything the session holds.
  void close(const Caller& caller);

  Result<std::string> add(const Caller& caller, Prepared prepared);
  // ADBC runs a statement again that it prepared in a transaction which has ended since, and means
  // the transaction that the session has begun instead; or none if it has none.
  Result<Prepared> prepared(const Caller& caller, std::string_view handle);
  Status bind(const Caller& caller, std::string_view handle, Params params);
  void remove_prepared(const Caller& caller, std::string_view handle);

  Result<std::string> add(const Caller& caller, std::shared_ptr<HeldTransaction> transaction);
  Result<std::shared_ptr<HeldTransaction>> transaction(const Caller& caller,
                                                       std::string_view handle);
  // Forgets it; the caller ends it. Null if it is unknown.
  std::shared_ptr<HeldTransaction> take_transaction(const Caller& caller, std::string_view handle);

  Result<std::string> add(const Caller& caller, std::shared_ptr<ResultReader> result);
  // A result is fetched once.
  Result<std::shared_ptr<ResultReader>> take_result(const Caller& caller, std::string_view handle);
  // Streams under way, to be closed when their client does not read them.
  void watch(const std::shared_ptr<ResultReader>& reader);

  SessionCounts counts() const;
  // Whether a client has begun what it has not ended: a transaction with statements in it, a result
  // not yet fetched.
  bool has_unfinished() const;
  // Ends everything now: the node stops.
  void close_all();
  // Ends what is idle at `now`. The thread calls it every second.
  void expire(TimePoint now);

 private:
  template <typename T>
  struct Kept {
    std::string user;
    std::string session;
    T what;
    TimePoint last_use;
  };
  template <typename T>
  using Table = std::map<std::string, Kept<T>, std::less<>>;

  void run(const std::stop_token& stop);
  std::string new_handle(char kind) const;
  std::string newest_transaction(const Caller& caller) const CENOTE_REQUIRES(mutex_);
  Status unknown(std::string_view what, std::string_view handle) const;
  // Counts the caller's session in; kPoolExhausted when there are too many.
  Status touch(const Caller& caller) CENOTE_REQUIRES(mutex_);
  template <typename T>
  Result<std::string> put(Table<T>& table, size_t most, char kind, std::string_view what,
                          const Caller& caller, T thing) CENOTE_REQUIRES(mutex_);
  template <typename T>
  Kept<T>* find(Table<T>& table, const Caller& caller, std::string_view handle)
      CENOTE_REQUIRES(mutex_);

  const FlightServerOptions options_;
  const std::string node_id_;

  mutable Mutex mutex_;  // guards the tables; what leaves them is ended outside
  std::condition_variable_any wake_;
  Table<std::string> sessions_ CENOTE_GUARDED_BY(mutex_);  // by session: the pool's id
  Table<Prepared> prepared_ CENOTE_GUARDED_BY(mutex_);
  Table<std::shared_ptr<HeldTransaction>> transactions_ CENOTE_GUARDED_BY(mutex_);
  Table<std::shared_ptr<ResultReader>> results_ CENOTE_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<ResultReader>> streams_ CENOTE_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace cenote::node
