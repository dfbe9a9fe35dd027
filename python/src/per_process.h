// State that a forked child must not inherit: the threads it speaks of are the parent's.
#pragma once

#include <atomic>

#include <pthread.h>

namespace cenote::python {

// The T of this process; a forked child gets a fresh one. Never freed, because threads may outlive
// static destruction.
template <typename T>
T& per_process() {
  static std::atomic<T*> current = new T;
  static const int registered = pthread_atfork(nullptr, nullptr, [] { current = new T; });
  (void)registered;
  return *current;
}

}  // namespace cenote::python
