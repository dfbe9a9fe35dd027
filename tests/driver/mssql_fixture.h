// The suites that only SQL Server has run over both of its ODBC drivers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/api.h>

#include "driver/drivers.h"

namespace cenote {

inline std::vector<DriverCase> mssql_cases() {
  std::vector<DriverCase> cases;
  for (const DriverCase& row : driver_cases()) {
    if (row.type == "mssql") cases.push_back(row);
  }
  return cases;
}

class MssqlTest : public DriverTest {
 protected:
  bool microsoft() const { return GetParam().name == "mssql_microsoft"; }

  static DriverConfig settings() { return GetParam().config(std::getenv(GetParam().variable)); }
  // A connection with other settings than the fixture's.
  static Result<std::unique_ptr<Connection>> connect_with(const DriverConfig& config) {
    ARROW_ASSIGN_OR_RAISE(const Driver* driver, find_driver("mssql"));
    ARROW_ASSIGN_OR_RAISE(auto database, driver->open(config));
    return database->connect({Deadline::in(std::chrono::seconds(10)), {}}, {});
  }
  // A cell as text, bytes as hexadecimal digits.
  static std::string cell(const arrow::Table& table, const std::string& column, int64_t row) {
    const auto found = table.GetColumnByName(column);
    if (!found) return "no column " + column;
    const auto scalar = *found->GetScalar(row);
    const auto type = scalar->type->id();
    if (scalar->is_valid &&
        (type == arrow::Type::BINARY || type == arrow::Type::FIXED_SIZE_BINARY)) {
      return static_cast<const arrow::BaseBinaryScalar&>(*scalar).value->ToHexString();
    }
    return scalar->ToString();
  }
};

}  // namespace cenote
