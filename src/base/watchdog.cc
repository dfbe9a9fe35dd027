// The watchdog's thread sleeps until the earliest deadline. It starts with the first deadline and,
// in a forked child, anew.
#include "base/watchdog.h"

#include <condition_variable>
#include <map>
#include <thread>
#include <utility>

#include <pthread.h>

#include "base/mutex.h"

namespace cenote {

struct InterruptGuard::Shared {
  Mutex mutex;
  std::function<void()> interrupt CENOTE_GUARDED_BY(mutex);  // empty once called or dismissed
  std::atomic<int> fired{-1};                                // an ErrorKind

  void fire(ErrorKind kind) {
    // Held during the call on purpose: the guard's destructor takes it and so waits for the
    // interrupt to end.
    const Lock lock(mutex);
    if (!interrupt) return;
    fired = static_cast<int>(kind);
    std::exchange(interrupt, nullptr)();
  }
};

namespace {

class Watchdog {
 public:
  using Action = std::function<void()>;

  static Watchdog& instance() {
    // Leaked: guards may outlive static destruction. A forked child has no thread, and gets a
    // watchdog of its own.
    static std::atomic<Watchdog*> current = new Watchdog;
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current = new Watchdog; });
    (void)registered;
    return *current;
  }

  uint64_t add(TimePoint at, Action action) {
    Lock lock(mutex_);
    const uint64_t id = ++last_id_;
    timers_.emplace(std::pair(at, id), std::move(action));
    // Timers are mostly removed long before their time: waking the thread for each that is the
    // earliest just then would cost a statement two context switches.
    const bool sooner = at < sleeps_until_;
    if (!started_) {
      started_ = true;
      std::thread([this] { run(); }).detach();  // lives as long as the process
    }
    lock.unlock();
    if (sooner) wake_.notify_one();
    return id;
  }

  void remove(TimePoint at, uint64_t id) {
    const Lock lock(mutex_);
    timers_.erase(std::pair(at, id));
  }

 private:
  void run() noexcept {
    Lock lock(mutex_);
    for (;;) {
      sleeps_until_ = TimePoint::min();  // it looks at the timers by itself
      if (timers_.empty()) {
        sleeps_until_ = TimePoint::max();
        wake_.wait(lock);
        continue;
      }
      const auto first = timers_.begin();
      const TimePoint at = first->first.first;
      if (Clock::now() < at) {
        sleeps_until_ = at;
        wake_.wait_until(lock, at);
        continue;
      }
      const Action action = std::move(first->second);
      timers_.erase(first);
      lock.unlock();
      action();
      lock.lock();
    }
  }

  Mutex mutex_;  // guards all below
  std::condition_variable_any wake_;
  std::map<std::pair<TimePoint, uint64_t>, Action> timers_ CENOTE_GUARDED_BY(mutex_);
  uint64_t last_id_ CENOTE_GUARDED_BY(mutex_) = 0;
  bool started_ CENOTE_GUARDED_BY(mutex_) = false;
  // Until when the thread waits, even if the timer of that time was removed.
  TimePoint sleeps_until_ CENOTE_GUARDED_BY(mutex_) = TimePoint::min();
};

}  // namespace

InterruptGuard::InterruptGuard(const CallContext& context, std::function<void()> interrupt)
    : shared_(std::make_shared<Shared>()), at_(context.deadline.at()) {
  {
    const Lock lock(shared_->mutex);
    shared_->interrupt = std::move(interrupt);
  }
  if (!context.deadline.is_never()) {
    timer_ = Watchdog::instance().add(
        at_, [shared = shared_] { shared->fire(ErrorKind::kQueryTimeout); });
  }
  if (context.stop.stop_possible()) {
    on_stop_.emplace(context.stop, [shared = shared_] { shared->fire(ErrorKind::kCancelled); });
  }
}

InterruptGuard::~InterruptGuard() {
  if (timer_ != 0) Watchdog::instance().remove(at_, timer_);
  on_stop_.reset();
  const Lock lock(shared_->mutex);
  shared_->interrupt = nullptr;
}

std::optional<ErrorKind> InterruptGuard::fired() const {
  const int kind = shared_->fired;
  if (kind < 0) return std::nullopt;
  return static_cast<ErrorKind>(kind);
}

}  // namespace cenote
