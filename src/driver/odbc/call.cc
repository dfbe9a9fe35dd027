// The steps from a passed deadline to a broken connection.
#include "driver/odbc/call.h"

#include <array>
#include <system_error>
#include <utility>

namespace cenote::odbc {
namespace {

using std::chrono::milliseconds;

// How long a server may take to acknowledge a cancel, or to end what is being closed.
constexpr milliseconds kMostWait{5000};
// SQLCancel does nothing when it comes before the driver has sent the statement, so it is repeated.
constexpr std::array kPauses = {milliseconds(100), milliseconds(400), milliseconds(1500),
                                kMostWait};

}  // namespace

void Gate::begin(bool closing) {
  const Lock lock(mutex_);
  active_ = true;
  closing_ = closing;
  interrupted_ = cancelled_ = broken_ = false;
  if (closing) arm_breaker();
}

void Gate::end() {
  std::thread canceller;
  std::unique_ptr<InterruptGuard> breaking;
  {
    const Lock lock(mutex_);
    active_ = false;
    canceller.swap(canceller_);
    breaking.swap(breaking_);
  }
  changed_.notify_all();
  // Outside of the lock, which both of them take.
  if (canceller.joinable()) canceller.join();
  breaking.reset();
}

bool Gate::busy() const {
  const Lock lock(mutex_);
  return active_;
}

bool Gate::enter(SQLHSTMT statement) {
  const Lock lock(mutex_);
  if (interrupted_) return false;
  inside_ = true;
  running_ = statement;
  return true;
}

void Gate::leave() {
  Lock lock(mutex_);
  inside_ = false;
  running_ = nullptr;
  // What follows may free the statement.
  while (cancelling_) changed_.wait(lock);
}

void Gate::cancel() noexcept {
  {
    const Lock lock(mutex_);
    if (!active_ || interrupted_ || closing_) return;
    cancelled_ = true;
  }
  interrupt();
}

void Gate::interrupt() noexcept {
  const Lock lock(mutex_);
  if (!active_ || interrupted_) return;
  interrupted_ = true;
  if (!inside_) return;
  arm_breaker();
  if (running_ == nullptr) return;
  try {
    canceller_ = std::thread([this] { cancel_until_left(); });
  } catch (const std::system_error&) {  // no thread to be had
    broken_ = true;
    breaker_.shut_down();
  }
}

void Gate::arm_breaker() {
  const CallContext later{Deadline::in(kMostWait), {}};
  breaking_ = std::make_unique<InterruptGuard>(later, [this] {
    const Lock lock(mutex_);
    if (!active_ || !(inside_ || closing_)) return;
    broken_ = true;
    breaker_.shut_down();
  });
}

void Gate::cancel_until_left() noexcept {
  Lock lock(mutex_);
  for (const milliseconds pause : kPauses) {
    if (!active_ || !inside_) return;
    SQLHSTMT const statement = running_;
    cancelling_ = true;
    lock.unlock();
    odbc_.cancel(statement);
    lock.lock();
    cancelling_ = false;
    changed_.notify_all();
    const TimePoint until = Clock::now() + pause;
    while (active_ && inside_ && Clock::now() < until) changed_.wait_until(lock, until);
  }
}

Call::Call(Gate& gate, const CallContext& context) : gate_(gate) {
  gate_.begin(false);
  guard_.emplace(context, [&gate] { gate.interrupt(); });
}

Call::Call(Gate& gate) : gate_(gate) {
  gate_.begin(true);
}

Call::~Call() {
  guard_.reset();
  gate_.end();
}

std::optional<ErrorKind> Call::interrupted() const {
  const Lock lock(gate_.mutex_);
  if (!gate_.interrupted_) return std::nullopt;
  if (gate_.cancelled_ || !guard_) return ErrorKind::kCancelled;
  return guard_->fired().value_or(ErrorKind::kCancelled);
}

bool Call::broken() const {
  const Lock lock(gate_.mutex_);
  return gate_.broken_;
}

}  // namespace cenote::odbc
