// Something that happens on another thread, waited for with a limit.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>

#include "cenote/deadline.h"

#include "base/mutex.h"

namespace cenote {

class Shared {
 public:
  explicit Shared(Duration most) : most_(most) {}

  void change(const std::function<void()>& how) {
    const Lock lock(mutex_);
    how();
    changed_.notify_all();
  }
  bool wait(const std::function<bool()>& until) {
    const TimePoint end = Clock::now() + most_;
    Lock lock(mutex_);
    while (!until()) {
      if (changed_.wait_until(lock, end) == std::cv_status::timeout) return until();
    }
    return true;
  }

 private:
  const Duration most_;
  Mutex mutex_;
  std::condition_variable_any changed_;
};

}  // namespace cenote
