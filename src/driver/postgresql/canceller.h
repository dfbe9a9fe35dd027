// Sends cancel requests. libpq's PQcancel opens a connection of its own and blocks, without a
// deadline, so one thread of the database's owns that wait; callers wait for it only so long.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>
#include <thread>

#include <libpq-fe.h>
#include <sys/types.h>

#include "cenote/deadline.h"

#include "base/mutex.h"

namespace cenote::postgresql {

struct CancelFreer {
  void operator()(PGcancel* cancel) const { PQfreeCancel(cancel); }
};
using CancelHandle = std::unique_ptr<PGcancel, CancelFreer>;

// Thread-safe. Its thread starts with the first request and ends with it: the destructor drops
// what waits and joins, at most for one request in flight (bounded by the connection's
// tcp_user_timeout).
class Canceller {
 public:
  Canceller() = default;
  ~Canceller();
  Canceller(const Canceller&) = delete;
  Canceller& operator=(const Canceller&) = delete;

  // True once the server has taken the request: it can then hit no later statement. False if that
  // did not happen by `until`.
  bool send(CancelHandle handle, Deadline until);

 private:
  struct Request {
    CancelHandle handle;
    Deadline until;
    std::optional<bool> sent;
  };
  void run(const std::stop_token& stop);

  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::shared_ptr<Request>> waiting_ CENOTE_GUARDED_BY(mutex_);
  pid_t process_ CENOTE_GUARDED_BY(mutex_) = 0;  // in which the thread runs
  std::jthread thread_;
};

}  // namespace cenote::postgresql
