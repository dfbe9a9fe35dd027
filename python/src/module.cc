// The extension module cenote._cenote: the parts that cenote's Python files are made of. Not for
// users.
#include <nanobind/nanobind.h>

#include "frame.h"
#include "interrupt.h"
#include "pool.h"

NB_MODULE(_cenote, module) {
  cenote::python::remember_main_thread();
  module.attr("__version__") = CENOTE_VERSION;
  cenote::python::bind_frame(module);
  cenote::python::bind_pool(module);
  cenote::python::bind_stream(module);
  cenote::python::bind_transaction(module);
  cenote::python::bind_manager(module);
  cenote::python::bind_log(module);
}
