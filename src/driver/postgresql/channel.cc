// Every wait of a session happens here.
#include "driver/postgresql/channel.h"

#include <cerrno>
#include <cstdlib>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "driver/postgresql/error.h"

namespace cenote::postgresql {
namespace {

// Who looks out for an answer while others wait takes the processor from those who bring theirs.
constexpr std::chrono::milliseconds kCalm{10};

// How many statements of this process wait for their server.
class Waiting {
 public:
  explicit Waiting(TimePoint now) : calm_(crowded.load(std::memory_order_relaxed) < now - kCalm) {
    if (waiting.fetch_add(1, std::memory_order_relaxed) == 0) return;
    // Written seldom, as all threads read it: ahead, so that it holds for 2 × kCalm.
    if (calm_) crowded.store(now + kCalm, std::memory_order_relaxed);
    calm_ = false;
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() { waiting.fetch_sub(1, std::memory_order_relaxed); }

  bool calm() const { return calm_; }

 private:
  static inline std::atomic<int> waiting{0};
  static inline std::atomic<TimePoint> crowded{TimePoint::min()};
  bool calm_;
};

}  // namespace

Signal::Signal() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
Signal::~Signal() {
  ::close(fd_);
}
void Signal::raise() noexcept {
  const uint64_t one = 1;
  raised_ = true;
  (void)!::write(fd_, &one, sizeof one);
}
void Signal::clear() noexcept {
  if (!raised_.exchange(false)) return;
  uint64_t value = 0;
  (void)!::read(fd_, &value, sizeof value);
}

bool wait_for(int socket, short events, int signal, Deadline until) {
  pollfd fds[2] = {{socket, events, 0}, {signal, POLLIN, 0}};
  while (true) {
    int timeout = -1;
    if (!until.is_never()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until.left()).count();
      timeout = static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000));
    }
    fds[0].revents = fds[1].revents = 0;
    const int ready = ::poll(fds, 2, timeout);
    if (ready < 0 && errno == EINTR) continue;
    if (fds[1].revents != 0) return false;
    // Asked for first: data may come faster than it is read, for ever.
    if (until.passed()) return false;
    if (ready > 0) return true;
  }
}

Channel::Channel(PgHandle conn, std::shared_ptr<Canceller> canceller)
    : conn_(std::move(conn)), canceller_(std::move(canceller)) {
  PQsetnonblocking(conn_.get(), 1);
}

Status Channel::start(const CallContext& context) {
  if (busy_) {
    return make_error(ErrorKind::kInterface,
                      "the connection still has an unread result; read or close it first");
  }
  if (!usable()) {
    lost_ = true;
    return lost_error(conn_.get(), Sent::kNo);
  }
  if (context.stop.stop_requested() || context.deadline.passed()) {
    ErrorDetail detail;
    detail.kind = context.stop.stop_requested() ? ErrorKind::kCancelled : ErrorKind::kQueryTimeout;
    detail.sent = Sent::kNo;
    return make_error(std::move(detail), "the statement was not sent: its time was already over");
  }
  {
    const Lock lock(mutex_);
    signal_.clear();
    running_ = true;
    cancelled_ = false;
  }
  busy_ = true;
  in_transaction_ = transaction() == PQTRANS_INTRANS;
  context_ = context;
  if (context_.stop.stop_possible()) {
    on_stop_.emplace(context_.stop, [this] { signal_.raise(); });
  }
  return Status::OK();
}

void Channel::finish() {
  on_stop_.reset();  // waits for a callback that runs
  context_ = {};
  busy_ = false;
  const Lock lock(mutex_);
  running_ = false;
}

void Channel::cancel() noexcept {
  const Lock lock(mutex_);
  if (!running_) return;
  cancelled_ = true;
  signal_.raise();
}

Status Channel::lost() {
  lost_ = true;
  Status status = lost_error(conn_.get(), Sent::kMaybe);
  finish();
  return status;
}

bool Channel::wait(short events) {
  return wait_for(PQsocket(conn_.get()), events, signal_.fd(), context_.deadline);
}

bool Channel::wait_for_answer() {
  if (!std::exchange(fresh_, false)) return wait(POLLIN);
  const TimePoint now = Clock::now();
  const Waiting waiting(now);
  const auto came = [this] {
    return PQconsumeInput(conn_.get()) == 0 || PQisBusy(conn_.get()) == 0 || signal_.raised();
  };
  return (waiting.calm() && look_out_.until(came, now) && !signal_.raised()) || wait(POLLIN);
}

Status Channel::flush(int queued) {
  if (queued <= 0) return lost();
  while (true) {
    const int left = PQflush(conn_.get());
    if (left < 0) return lost();
    if (left == 0) {
      fresh_ = true;
      return Status::OK();
    }
    if (!wait(POLLIN | POLLOUT)) return interrupt();
    if (PQconsumeInput(conn_.get()) == 0) return lost();
  }
}

Result<PgResult> Channel::next(PgResult* failed) {
  while (PQisBusy(conn_.get()) != 0) {
    if (!wait_for_answer()) return interrupt();
    if (PQisBusy(conn_.get()) == 0) break;
    // What came with the end of a connection is read first: it may say why.
    if (PQconsumeInput(conn_.get()) == 0 && PQisBusy(conn_.get()) != 0) return lost();
  }
  PgResult result(PQgetResult(conn_.get()));
  if (!result || PQresultStatus(result.get()) != PGRES_FATAL_ERROR) return result;
  if (PQpipelineStatus(conn_.get()) != PQ_PIPELINE_OFF) return result;  // pipeline() sees to it
  while (true) {
    while (PQisBusy(conn_.get()) != 0) {
      if (!wait(POLLIN)) return interrupt();
      if (PQconsumeInput(conn_.get()) == 0) break;
    }
    if (!PgResult(PQgetResult(conn_.get()))) break;
  }
  Status status = result_error(result.get());
  if (cenote::poisons_connection(status) || PQstatus(conn_.get()) != CONNECTION_OK) lost_ = true;
  if (failed != nullptr && !lost_) {
    *failed = std::move(result);
    return PgResult();
  }
  finish();
  return status;
}

Status Channel::refuse(const PGresult* result) {
  const auto status = PQresultStatus(result);
  if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
    // Nothing is sent, which ends a COPY from the client. A cancel might come before the server has
    // read on to our sync: then that is answered too, and all later answers are off by one.
    const bool from_us = status == PGRES_COPY_IN;
    if (from_us && !run_out(Deadline::in(kCancelWait))) lost_ = true;
    if (!from_us) abandon();
    return make_error(ErrorKind::kNotSupported,
                      "COPY from or to the client is not done by statement: ingest() loads rows, "
                      "and a query returns them");
  }
  if (status == PGRES_EMPTY_QUERY) {
    if (!run_out(Deadline::in(kCancelWait))) lost_ = true;
    return make_error(ErrorKind::kProgramming, "the statement is empty");
  }
  return Status::OK();
}

Result<int64_t> Channel::drain() {
  int64_t affected = -1;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const PgResult result, next());
    if (!result) return affected;
    ARROW_RETURN_NOT_OK(refuse(result.get()));
    const char* count = PQcmdTuples(result.get());
    if (*count != '\0') affected = std::strtoll(count, nullptr, 10);
  }
}

Result<std::vector<PgResult>> Channel::pipeline(const std::vector<Sender>& senders,
                                                PgResult* failed) {
  if (PQenterPipelineMode(conn_.get()) == 0) return lost();
  for (const Sender& send : senders) {
    if (send(conn_.get()) == 0) return lost();
  }
  ARROW_RETURN_NOT_OK(flush(PQpipelineSync(conn_.get())));
  std::vector<PgResult> results;
  PgResult error;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(PgResult result, next());
    if (!result) {
      if (PQstatus(conn_.get()) != CONNECTION_OK) return lost();
      continue;
    }
    const auto status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC) break;
    if (status == PGRES_FATAL_ERROR) {
      if (!error) error = std::move(result);
      if (PQstatus(conn_.get()) != CONNECTION_OK) break;
    } else if (status != PGRES_PIPELINE_ABORTED) {
      results.push_back(std::move(result));
    }
  }
  // The end of the sync is told by a null, too.
  (void)PQexitPipelineMode(conn_.get());
  if (!error) return results;
  Status status = result_error(error.get());
  if (cenote::poisons_connection(status) || PQstatus(conn_.get()) != CONNECTION_OK) lost_ = true;
  if (failed != nullptr && !lost_) {
    *failed = std::move(error);
    return std::vector<PgResult>();
  }
  finish();
  return status;
}

Result<CopyMessage> Channel::copy_next() {
  CopyMessage message;
  while (true) {
    char* bytes = nullptr;
    message.size = PQgetCopyData(conn_.get(), &bytes, 1);
    if (message.size > 0) {
      message.bytes.reset(bytes);
      return message;
    }
    if (message.size < 0) return CopyMessage();  // the end; the next result tells which
    if (!wait(POLLIN)) return interrupt();
    if (PQconsumeInput(conn_.get()) == 0) return lost();
  }
}

Status Channel::interrupt() {
  ErrorDetail detail;
  bool asked = context_.stop.stop_requested();
  {
    const Lock lock(mutex_);
    asked = asked || cancelled_;
  }
  detail.kind = asked ? ErrorKind::kCancelled : ErrorKind::kQueryTimeout;
  detail.sqlstate = "57014";
  const bool acknowledged = cancel_on_server();
  lost_ = lost_ || !acknowledged;
  detail.poisons_connection = !acknowledged;
  finish();
  std::string message = asked
                            ? "the statement was cancelled by its caller"
                            : "the statement did not end before its deadline and was cancelled on "
                              "the server";
  if (!acknowledged) {
    message += "; the server did not confirm it within 5 s, so the connection is closed";
  }
  return make_error(std::move(detail), std::move(message));
}

void Channel::abandon(Duration patience) {
  if (!busy_) return;
  const bool ended = patience > Duration::zero() && read_away(Deadline::in(patience));
  if (!ended && !cancel_on_server()) lost_ = true;
  finish();
}

bool Channel::run_out(Deadline until) {
  if (!busy_) return usable();
  const bool ended = read_away(until);
  finish();
  return ended;
}

bool Channel::cancel_on_server() {
  const Deadline until = Deadline::in(kCancelWait);
  if (!canceller_->send(CancelHandle(PQgetCancel(conn_.get())), until)) return false;
  return read_away(until);
}

// Waits for input by `until`; false if none came.
bool Channel::fill(Deadline until) {
  if (PQflush(conn_.get()) < 0) return false;
  if (!wait_for(PQsocket(conn_.get()), POLLIN, never_.fd(), until)) return false;
  return PQconsumeInput(conn_.get()) != 0;
}

bool Channel::read_copy_away(Deadline until) {
  while (true) {
    char* bytes = nullptr;
    const int size = PQgetCopyData(conn_.get(), &bytes, 1);
    PQfreemem(bytes);
    if (size < 0) return true;
    if (size == 0 && !fill(until)) return false;
    if (until.passed()) return false;
  }
}

bool Channel::read_away(Deadline until) {
  while (true) {
    while (PQisBusy(conn_.get()) != 0) {
      if (!fill(until)) return false;
    }
    if (PQstatus(conn_.get()) != CONNECTION_OK) return false;
    const PgResult result(PQgetResult(conn_.get()));
    const bool in_pipeline = PQpipelineStatus(conn_.get()) != PQ_PIPELINE_OFF;
    if (!result) {
      if (!in_pipeline) return true;
      if (until.passed()) return false;
      continue;
    }
    switch (PQresultStatus(result.get())) {
      case PGRES_PIPELINE_SYNC:
        if (PQexitPipelineMode(conn_.get()) == 0) return false;
        break;
      case PGRES_COPY_IN:
        (void)PQputCopyEnd(conn_.get(), "cancelled");
        break;
      case PGRES_COPY_OUT:
        if (!read_copy_away(until)) return false;
        break;
      default:
        break;
    }
    if (until.passed()) return false;
  }
}

}  // namespace cenote::postgresql
