// A wait that a stop cuts short.
#pragma once

#include <condition_variable>
#include <stop_token>

#include "cenote/deadline.h"

#include "base/mutex.h"

namespace cenote {

// False if it was stopped.
inline bool pause(const std::stop_token& stop, Duration time) {
  Mutex mutex;
  std::condition_variable_any never;
  Lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace cenote
