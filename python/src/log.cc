// Log lines go to Python's logger "cenote" until the interpreter ends.
#include "base/log.h"

#include <nanobind/nanobind.h>

#include "pool.h"

namespace cenote::python {

void bind_log(nb::module_& module) {
  // `line(level, part, message)`; None restores standard error.
  module.def(
      "set_log",
      [](nb::object line) {
        if (line.is_none()) {
          const nb::gil_scoped_release released;
          set_log_sink(nullptr);
          return;
        }
        const std::shared_ptr<nb::object> held(new nb::object(std::move(line)),
                                               [](nb::object* object) {
                                                 const nb::gil_scoped_acquire gil;
                                                 delete object;
                                               });
        const nb::gil_scoped_release released;
        set_log_sink([held](LogLevel level, std::string_view part, std::string_view message) {
          const nb::gil_scoped_acquire gil;
          try {
            (*held)(static_cast<int>(level), nb::str(part.data(), part.size()),
                    nb::str(message.data(), message.size()));
          } catch (nb::python_error& error) {
            error.discard_as_unraisable("cenote's log");
          }
        });
      },
      nb::arg().none());
}

}  // namespace cenote::python
