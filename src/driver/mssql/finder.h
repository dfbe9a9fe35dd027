// Finds an ODBC driver for SQL Server, so that nobody needs to configure one.
#pragma once

#include <string>
#include <string_view>

#include "cenote/error.h"

namespace cenote::mssql {

struct FoundDriver {
  std::string name;  // for `Driver=`: an installed driver's name, or a path
  bool freetds = false;
};

// `wanted`: config key `driver`: empty for the best there is, "microsoft", "freetds", the name of
// an installed driver or a path. kConfig says where it looked and what to install.
Result<FoundDriver> find_odbc_driver(std::string_view wanted);

}  // namespace cenote::mssql
