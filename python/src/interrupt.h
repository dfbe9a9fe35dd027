// Blocking calls without the GIL, and signals during them. Python runs signal handlers on its main
// thread alone, so there the call goes to a worker and the main thread stays free: whatever handler
// is set (Ctrl-C's, the user's own, an alarm's) runs at once, and the call ends early only if the
// handler raises. It is Python's own rule for its system calls (PEP 475). Signal dispositions stay
// untouched: other libraries change them too (polars puts a handler of its own before Python's).
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <utility>

#include <nanobind/nanobind.h>

#include "error.h"
#include "visit.h"

namespace cenote::python {

// Runs `work` on a worker while this thread serves signals; calls `interrupt` once a handler
// raised, and returns when `work` has ended: false, or true with the handler's exception set. Needs
// the GIL.
bool serve_signals_during(const std::function<void()>& work,
                          const std::function<void()>& interrupt);

// Runs `call`, which gives a Result, without the GIL. A handler that raises wins over the result;
// `interrupt` makes the call end early.
template <typename Call>
auto blocking(const std::function<void()>& interrupt, Call&& call) {
  std::optional<decltype(call())> result;
  if (!on_main_thread()) {
    const Leave left;
    if (left) {
      result.emplace(call());
    } else {
      result.emplace(ending_error());
    }
  } else if (serve_signals_during([&] { result.emplace(call()); }, interrupt)) {
    {
      const Leave left;
      result.reset();  // what was made may need time to be unmade: a transaction rolls back
    }
    throw nb::python_error();
  }
  return unwrap(std::move(*result));
}

template <typename Call>
auto blocking(const std::stop_source& stop, Call&& call) {
  return blocking([stop]() mutable { stop.request_stop(); }, std::forward<Call>(call));
}

// A call too short to be interrupted.
template <typename Call>
auto unlocked(Call&& call) {
  auto result = [&] {
    const Leave left;
    return std::forward<Call>(call)();
  }();
  return unwrap(std::move(result));
}

inline Result<bool> done(const Status& status) {
  return status.ok() ? Result<bool>(true) : Result<bool>(status);
}

}  // namespace cenote::python
