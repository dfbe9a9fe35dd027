// Failed Status → exception object, by cenote._errors.from_status.
#include "error.h"

#include <string>

namespace cenote::python {

nb::object exception_of(const Status& status) {
  const ErrorDetail* detail = error_detail(status);
  const std::string_view kind = to_string(error_kind(status));
  const std::string& message = status.message();
  // Looked up each time: errors are rare, and a cached object would have to die before the
  // interpreter.
  return nb::module_::import_("cenote._errors")
      .attr("from_status")(nb::str(kind.data(), kind.size()),
                           nb::str(message.data(), message.size()),
                           detail ? detail->sqlstate.c_str() : "", detail ? detail->vendor_code : 0,
                           detail ? detail->pool.c_str() : "",
                           detail ? detail->endpoint.c_str() : "", retryable(status));
}

void raise(const Status& status) {
  nb::object error = exception_of(status);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
  throw nb::python_error();
}

}  // namespace cenote::python
