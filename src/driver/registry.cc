// The drivers of this build.
#include "driver/registry.h"

#include <algorithm>
#include <array>
#include <string>

namespace cenote {
namespace {

// Add a driver here, in the order of names.
const std::vector<const Driver*>& registry() {
  static const std::vector<const Driver*> all = {&mssql_driver(), &odbc_driver(),
                                                 &postgresql_driver(), &sqlite_driver()};
  return all;
}

}  // namespace

std::vector<const Driver*> drivers() {
  return registry();
}

Result<const Driver*> find_driver(std::string_view type) {
  std::string known;
  for (const Driver* driver : registry()) {
    if (driver->traits().name == type) return driver;
    known += (known.empty() ? "" : ", ") + std::string(driver->traits().name);
  }
  return make_error(ErrorKind::kConfig, "there is no database type '" + std::string(type) +
                                            "'; this build has: " + known);
}

}  // namespace cenote
