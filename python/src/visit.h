// How a thread of C++ enters Python for a moment, and how the interpreter's end keeps it out: a
// thread that asks a finalized interpreter for the GIL is killed or hangs.
#pragma once

#include <memory>
#include <optional>

#include <nanobind/nanobind.h>

namespace cenote::python {

namespace nb = nanobind;

// Holds the GIL while it lives, unless the interpreter is ending: then it is false.
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

// Refuses further visits and waits for those that are inside. Once, at the interpreter's exit,
// without the GIL.
void end_visits();

// A Python object that C++ threads share; its last owner may be any thread.
std::shared_ptr<nb::object> shared_with_threads(nb::object object);

}  // namespace cenote::python
