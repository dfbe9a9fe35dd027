// Deadlines and cancels over a library that blocks. ODBC's calls run on the caller's thread; when
// time is up, SQLCancel comes from another one, and where the server does not acknowledge it within
// 5 s the socket under the driver is shut down, which ends any call.
#pragma once

#include <condition_variable>
#include <memory>
#include <optional>
#include <thread>

#include "cenote/deadline.h"
#include "cenote/error.h"

#include "base/mutex.h"
#include "base/watchdog.h"
#include "driver/odbc/library.h"
#include "driver/odbc/socket.h"

namespace cenote::odbc {

// What a session and those who interrupt it share.
class Gate {
 public:
  explicit Gate(const Library& odbc) : odbc_(odbc) {}

  Breaker& breaker() { return breaker_; }
  const Breaker& breaker() const { return breaker_; }

  // From any thread: as a deadline would, but for the caller's own reason.
  void cancel() noexcept;
  bool busy() const;

 private:
  friend class Call;

  void begin(bool closing);
  void end();
  bool enter(SQLHSTMT statement);
  void leave();
  // Called by deadline and stop; once for each call.
  void interrupt() noexcept;
  void cancel_until_left() noexcept;
  void arm_breaker() CENOTE_REQUIRES(mutex_);

  const Library& odbc_;
  Breaker breaker_;
  mutable Mutex mutex_;  // guards all below; never held during a call of ODBC
  std::condition_variable_any changed_;
  bool active_ CENOTE_GUARDED_BY(mutex_) = false;
  bool closing_ CENOTE_GUARDED_BY(mutex_) = false;
  bool interrupted_ CENOTE_GUARDED_BY(mutex_) = false;
  bool cancelled_ CENOTE_GUARDED_BY(mutex_) = false;
  bool broken_ CENOTE_GUARDED_BY(mutex_) = false;
  bool inside_ CENOTE_GUARDED_BY(mutex_) = false;         // a function of ODBC runs
  SQLHSTMT running_ CENOTE_GUARDED_BY(mutex_) = nullptr;  // on this statement, or on none
  bool cancelling_ CENOTE_GUARDED_BY(mutex_) = false;     // SQLCancel runs
  // Sends SQLCancel: a thread of its own, since Microsoft's driver blocks in it until the cancelled
  // function returns.
  std::thread canceller_ CENOTE_GUARDED_BY(mutex_);
  std::unique_ptr<InterruptGuard> breaking_ CENOTE_GUARDED_BY(mutex_);
};

// The time in which one statement of the caller runs. One at a time for each gate.
class Call {
 public:
  Call(Gate& gate, const CallContext& context);
  // For what ends a statement or a connection: it has 5 s.
  explicit Call(Gate& gate);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Runs a function of ODBC that may wait for the server. Not run, and SQL_ERROR, once interrupted.
  // `statement` is what SQLCancel stops, or null.
  template <typename Function>
  SQLRETURN run(SQLHSTMT statement, const Function& function) {
    if (!gate_.enter(statement)) return SQL_ERROR;
    const SQLRETURN result = function();
    gate_.leave();
    return result;
  }

  // Why the call was interrupted, if it was.
  std::optional<ErrorKind> interrupted() const;
  // The server did not acknowledge in time, and the socket was shut down.
  bool broken() const;

 private:
  Gate& gate_;
  std::optional<InterruptGuard> guard_;
};

}  // namespace cenote::odbc
