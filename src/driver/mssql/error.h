// From SQL Server's error numbers to what cenote concludes from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cenote/error.h"

namespace cenote::mssql {

struct Verdict {
  ErrorKind kind;
  std::string_view sqlstate;  // empty: the driver's own

  bool operator==(const Verdict&) const = default;
};

// nullopt for numbers that say nothing special.
std::optional<Verdict> verdict(int32_t number);

}  // namespace cenote::mssql
