// The extension module cenote._cenote: the parts that cenote's Python files are made of. Not for
// users.
#include <nanobind/nanobind.h>

#include "frame.h"
#include "interrupt.h"
#include "log.h"
#include "pool.h"
#include "visit.h"
#include "workers.h"

namespace cenote::python {
namespace {

// The interpreter is about to end: no thread of C++ may meet it any more.
void end_threads() {
  {
    const Leave left;
    stop_workers();
  }
  end_log();
  const Leave left;
  end_crossings();
}

}  // namespace
}  // namespace cenote::python

NB_MODULE(_cenote, module) {
  // At exit a daemon thread may still hold a pool: nothing that a user could do better.
  nanobind::set_leak_warnings(false);
  cenote::python::remember_main_thread();
  module.def("remember_main_thread", cenote::python::remember_main_thread);
  module.def("end_threads", cenote::python::end_threads);
  module.attr("__version__") = CENOTE_VERSION;
  cenote::python::bind_frame(module);
  cenote::python::bind_pool(module);
  cenote::python::bind_stream(module);
  cenote::python::bind_connection(module);
  cenote::python::bind_cluster(module);
  cenote::python::bind_manager(module);
  cenote::python::bind_log(module);
}
