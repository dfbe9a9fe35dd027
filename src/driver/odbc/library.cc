// Finds unixODBC's driver manager.
#include "driver/odbc/library.h"

#include <memory>

#include <dlfcn.h>

namespace cenote::odbc {
namespace {

Result<const Library*> load() {
  static_assert(sizeof(SQLWCHAR) == 2, "unixODBC's wide characters are UTF-16");
  void* handle = nullptr;
  auto found = std::make_unique<Library>();
  for (const char* name : {"libodbc.so.2", "libodbc.so.1", "libodbc.so", "libodbc.2.dylib"}) {
    handle = ::dlopen(name, RTLD_NOW | RTLD_GLOBAL);
    found->path = name;
    if (handle != nullptr) break;
  }
  if (handle == nullptr) {
    return make_error(ErrorKind::kNotSupported,
                      "the ODBC driver manager unixODBC (libodbc.so.2) is not installed; on Debian "
                      "and Ubuntu: apt-get install unixodbc, on Fedora and Red Hat: dnf install "
                      "unixODBC");
  }
#define CENOTE_ODBC_LOOK_UP(member, function)                                                  \
  found->member = reinterpret_cast<decltype(&::function)>(::dlsym(handle, #function));         \
  if (found->member == nullptr) {                                                              \
    return make_error(ErrorKind::kNotSupported,                                                \
                      found->path + " has no " #function "; unixODBC 2.3 or newer is needed"); \
  }
  CENOTE_ODBC_FUNCTIONS(CENOTE_ODBC_LOOK_UP)
#undef CENOTE_ODBC_LOOK_UP
  if (!SQL_SUCCEEDED(found->alloc_handle(SQL_HANDLE_ENV, nullptr, &found->environment)) ||
      !SQL_SUCCEEDED(found->set_env_attr(found->environment, SQL_ATTR_ODBC_VERSION,
                                         reinterpret_cast<SQLPOINTER>(intptr_t{SQL_OV_ODBC3_80}),
                                         0))) {
    return make_error(ErrorKind::kInternal, found->path + " gave no environment for ODBC 3.80");
  }
  return found.release();
}

}  // namespace

Result<const Library*> library() {
  static const Result<const Library*> loaded = load();
  return loaded;
}

}  // namespace cenote::odbc
