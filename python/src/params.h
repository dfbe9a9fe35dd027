// Python values → Params.
#pragma once

#include <nanobind/nanobind.h>

#include "cenote/params.h"

namespace cenote::python {

namespace nb = nanobind;

// None, a dict (names), a list or tuple (positions). Raises cenote.InterfaceError for what has no
// Arrow type.
Params params_from(nb::handle values);

}  // namespace cenote::python
