// Each driver's one instance. registry.cc is the only place that lists them.
#pragma once

#include "cenote/driver.h"

namespace cenote {

const Driver& sqlite_driver();
const Driver& postgresql_driver();
const Driver& odbc_driver();
const Driver& mssql_driver();

}  // namespace cenote
