// The wire to one server: sends without blocking, waits in poll() for the socket, the deadline and
// the wish to stop, and cancels on the server. Knows nothing of what the statements mean.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <libpq-fe.h>

#include "cenote/driver.h"

#include "base/look_out.h"
#include "base/mutex.h"
#include "driver/postgresql/canceller.h"

namespace cenote::postgresql {

struct PgCloser {
  void operator()(PGconn* conn) const { PQfinish(conn); }
};
struct ResultCloser {
  void operator()(PGresult* result) const { PQclear(result); }
};
struct MemoryCloser {
  void operator()(char* memory) const { PQfreemem(memory); }
};
using PgHandle = std::unique_ptr<PGconn, PgCloser>;
using PgResult = std::unique_ptr<PGresult, ResultCloser>;
using PgMemory = std::unique_ptr<char, MemoryCloser>;

// How long a cancel may take to be acknowledged.
inline constexpr std::chrono::seconds kCancelWait{5};

// A descriptor that poll() waits for beside the socket.
class Signal {
 public:
  Signal();
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  void raise() noexcept;
  void clear() noexcept;
  int fd() const { return fd_; }
  bool raised() const { return raised_; }

 private:
  int fd_;
  std::atomic<bool> raised_ = false;
};

// Waits for `events` on the socket (none if it is -1); false once `until` passed or the signal was
// raised.
bool wait_for(int socket, short events, int signal, Deadline until);

// One message of a COPY to the client.
struct CopyMessage {
  PgMemory bytes;  // null at the end
  int size = 0;
};

// A call is the time between start() and finish(): one statement of the caller, with all that we
// send around it. Its context holds for every wait. Errors of the functions below have ended the
// call already: what was under way is cancelled and read away, or the connection is lost.
class Channel {
 public:
  Channel(PgHandle conn, std::shared_ptr<Canceller> canceller);

  PGconn* conn() const { return conn_.get(); }
  bool busy() const { return busy_; }
  bool usable() const { return !lost_ && PQstatus(conn_.get()) == CONNECTION_OK; }
  // As of the last message of the server: PQTRANS_ACTIVE while a statement runs.
  PGTransactionStatusType transaction() const { return PQtransactionStatus(conn_.get()); }
  // Whether the caller's statement runs in a transaction that was open when the call started.
  bool in_transaction() const { return in_transaction_; }

  Status start(const CallContext& context);
  void finish();
  // The call ends: what is left is read away for as long as `patience`, then cancelled on the
  // server, bounded.
  void abandon(Duration patience = Duration::zero());
  // The same, but the statement runs to its end; false if it did not by `until`.
  bool run_out(Deadline until);
  void give_up() { lost_ = true; }

  // Sends what is queued. `queued` is what a PQsend… function returned.
  Status flush(int queued);
  // The next result of the statement; null at its end. An error is read to the statement's end
  // and, but for `failed` (which gets the failed result then), ends the call.
  Result<PgResult> next(PgResult* failed = nullptr);
  // OK but for results that no call of ours expects (COPY from or to the client, an empty
  // statement), which end it.
  Status refuse(const PGresult* result);
  // Results to the end of the statement, thrown away; the rows affected, or -1.
  Result<int64_t> drain();
  // Sends all in one round trip; one result for each. At an error none after it was executed; as
  // next() does, it ends the call or is handed to `failed`.
  using Sender = std::function<int(PGconn*)>;
  Result<std::vector<PgResult>> pipeline(const std::vector<Sender>& senders, PgResult* failed);
  Result<CopyMessage> copy_next();

  // From any thread: the running call, if there is one, ends with kCancelled.
  void cancel() noexcept;

 private:
  bool wait(short events);
  // For the first bytes of an answer, which may come at once.
  bool wait_for_answer();
  Status interrupt();
  Status lost();
  bool cancel_on_server();
  bool read_away(Deadline until);
  bool read_copy_away(Deadline until);
  bool fill(Deadline until);

  PgHandle conn_;
  const std::shared_ptr<Canceller> canceller_;
  Signal signal_;
  Signal never_;
  CallContext context_;
  std::optional<std::stop_callback<std::function<void()>>> on_stop_;
  bool busy_ = false;
  bool in_transaction_ = false;
  bool lost_ = false;
  bool fresh_ = false;  // sent, and nothing was waited for yet
  LookOut look_out_;
  // Guards what cancel() and the end of a call both touch.
  Mutex mutex_;
  bool running_ CENOTE_GUARDED_BY(mutex_) = false;
  bool cancelled_ CENOTE_GUARDED_BY(mutex_) = false;
};

}  // namespace cenote::postgresql
