// Crossing between Python and C++ while the interpreter may be ending. A thread that asks a
// finalizing interpreter for the GIL is killed there (Python up to 3.13 unwinds it through our
// frames, which aborts the process), so at the end no thread of ours may still have to ask.
#pragma once

#include <memory>
#include <optional>

#include <nanobind/nanobind.h>

#include "cenote/error.h"

namespace cenote::python {

namespace nb = nanobind;

// A thread of C++ enters Python: holds the GIL while it lives, unless the interpreter is ending:
// then it is false.
class Visit {
 public:
  Visit();
  ~Visit();
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  explicit operator bool() const { return gil_.has_value(); }

 private:
  std::optional<nb::gil_scoped_acquire> gil_;
};

// Whether this thread is one of C++ that entered.
bool visiting();

// A thread of Python leaves it: the GIL is free while it lives, unless the interpreter is ending
// and the thread is not its main one: then it is false and the GIL stays.
class Leave {
 public:
  Leave();
  ~Leave();
  Leave(const Leave&) = delete;
  Leave& operator=(const Leave&) = delete;

  explicit operator bool() const { return gil_.has_value(); }

 private:
  std::optional<nb::gil_scoped_release> gil_;
};

// The answer to a call that may not leave.
Status ending_error();

// Refuses further crossings and waits, for a bounded time, for those under way. Once, at the
// interpreter's exit, by its main thread, without the GIL.
void end_crossings();

// Remembers which thread is Python's main one: on import and after a fork.
void remember_main_thread();
bool on_main_thread();

// A Python object that C++ threads share; its last owner may be any thread.
std::shared_ptr<nb::object> shared_with_threads(nb::object object);

}  // namespace cenote::python
