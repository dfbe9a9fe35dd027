// Where a failed Status becomes a Python exception: nowhere but in unwrap().
#pragma once

#include <utility>

#include <nanobind/nanobind.h>

#include "cenote/error.h"

namespace cenote::python {

namespace nb = nanobind;

// The exception object of cenote._errors that says what `status` says. Needs the GIL.
nb::object exception_of(const Status& status);

[[noreturn]] void raise(const Status& status);

inline void unwrap(const Status& status) {
  if (!status.ok()) raise(status);
}

template <typename T>
T unwrap(Result<T> result) {
  if (!result.ok()) raise(result.status());
  return std::move(result).MoveValueUnsafe();
}

}  // namespace cenote::python
