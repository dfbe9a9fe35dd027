// The steps from a passed deadline to a broken connection.
#include "driver/odbc/call.h"

#include <array>
#include <utility>

namespace cenote::odbc {
namespace {

using std::chrono::milliseconds;

// After the first SQLCancel: when the next steps come. It is repeated because it does nothing when
// it arrives before the driver has sent the statement; the last step shuts the socket down, 5 s
// after the first.
constexpr std::array kPauses = {milliseconds(100), milliseconds(400), milliseconds(1500),
                                milliseconds(3000)};

}  // namespace

void Gate::begin() {
  const Lock lock(mutex_);
  active_ = true;
  interrupted_ = cancelled_ = broken_ = false;
}

void Gate::end() {
  std::vector<std::unique_ptr<InterruptGuard>> timers;
  {
    const Lock lock(mutex_);
    active_ = false;
    timers.swap(timers_);
  }
  // Outside of the lock: a timer's destructor waits for its step, which takes it.
  timers.clear();
}

bool Gate::busy() const {
  const Lock lock(mutex_);
  return active_;
}

void Gate::cancel() noexcept {
  {
    const Lock lock(mutex_);
    if (!active_ || interrupted_) return;
    cancelled_ = true;
  }
  interrupt();
}

void Gate::interrupt() noexcept {
  const Lock lock(mutex_);
  if (!active_ || interrupted_) return;
  interrupted_ = true;
  if (running_ != nullptr) odbc_.cancel(running_);
  schedule(0);
}

void Gate::step(size_t number) noexcept {
  const Lock lock(mutex_);
  if (!active_) return;
  if (number + 1 < kPauses.size()) {
    if (running_ != nullptr) odbc_.cancel(running_);
    schedule(number + 1);
  } else if (inside_) {
    broken_ = true;
    breaker_.shut_down();
  }
}

void Gate::schedule(size_t number) {
  const CallContext later{Deadline::in(kPauses.at(number)), {}};
  timers_.push_back(std::make_unique<InterruptGuard>(later, [this, number] { step(number); }));
}

Call::Call(Gate& gate, const CallContext& context) : gate_(gate), closing_(false) {
  gate_.begin();
  guard_.emplace(context, [&gate] { gate.interrupt(); });
}

Call::Call(Gate& gate) : gate_(gate), closing_(true) {
  gate_.begin();
  gate_.interrupt();
}

Call::~Call() {
  guard_.reset();
  gate_.end();
}

bool Call::enter(SQLHSTMT statement) {
  const Lock lock(gate_.mutex_);
  if (gate_.interrupted_ && !closing_) return false;
  gate_.inside_ = true;
  gate_.running_ = statement;
  return true;
}

void Call::leave() {
  const Lock lock(gate_.mutex_);
  gate_.inside_ = false;
  gate_.running_ = nullptr;
}

std::optional<ErrorKind> Call::interrupted() const {
  const Lock lock(gate_.mutex_);
  if (!gate_.interrupted_) return std::nullopt;
  if (gate_.cancelled_) return ErrorKind::kCancelled;
  if (!guard_) return ErrorKind::kCancelled;
  return guard_->fired().value_or(ErrorKind::kCancelled);
}

bool Call::broken() const {
  const Lock lock(gate_.mutex_);
  return gate_.broken_;
}

}  // namespace cenote::odbc
