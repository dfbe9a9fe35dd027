// Log lines go to Python's logger "cenote" until the interpreter ends.
#include "base/log.h"

#include <nanobind/nanobind.h>

#include "pool.h"
#include "visit.h"

namespace cenote::python {

void bind_log(nb::module_& module) {
  // `line(level, part, message)`
  module.def("set_log", [](nb::object line) {
    const auto held = shared_with_threads(std::move(line));
    const Leave left;
    set_log_sink([held](LogLevel level, std::string_view part, std::string_view message) {
      const Visit visit;
      if (!visit) return;
      try {
        (*held)(static_cast<int>(level), nb::str(part.data(), part.size()),
                nb::str(message.data(), message.size()));
      } catch (nb::python_error& error) {
        error.discard_as_unraisable("cenote's log");
      }
    });
  });
}

}  // namespace cenote::python
