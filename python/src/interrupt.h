// Ctrl-C during a blocking call on the main thread: asks the call to stop, then raises what
// Python's handler raises.
#pragma once

#include <stop_token>
#include <utility>

#include <nanobind/nanobind.h>

#include "error.h"

namespace cenote::python {

// Remembers which thread runs Python's signal handlers. Called once, on import.
void remember_main_thread();

// While it lives on the main thread, SIGINT requests `stop`. On other threads it does nothing.
class Interruptible {
 public:
  explicit Interruptible(const std::stop_source& stop);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  bool armed_ = false;
  bool installed_ = false;
  std::stop_source outer_{std::nostopstate};
};

// Runs `call`, which gives a Status or Result, without the GIL. A signal that came meanwhile wins
// over the result.
template <typename Call>
auto blocking(const std::stop_source& stop, Call&& call) {
  auto result = [&] {
    const Interruptible interruptible(stop);
    const nb::gil_scoped_release released;
    return std::forward<Call>(call)();
  }();
  if (PyErr_CheckSignals() != 0) {
    // What was made may need time to be unmade (a transaction rolls back).
    nb::gil_scoped_release released;
    [[maybe_unused]] const auto dropped = std::move(result);
    result = Status::Cancelled("interrupted");
  }
  if (PyErr_Occurred() != nullptr) throw nb::python_error();
  return unwrap(std::move(result));
}

template <typename Call>
auto blocking(Call&& call) {
  return blocking(std::stop_source(), std::forward<Call>(call));
}

}  // namespace cenote::python
