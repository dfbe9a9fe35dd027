// The `config:` of an SQLite pool: the table of its keys and what they say once checked.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cenote/driver.h"

namespace cenote::sqlite {

struct Options {
  std::string database;
  bool memory = false;
  bool read_only = false;
  bool create = true;
  std::chrono::milliseconds busy_timeout{5000};
  std::string journal_mode;
  // What every session is told after it was opened: name and value, from checked text alone.
  std::vector<std::pair<std::string, std::string>> pragmas;
};

std::span<const OptionSpec> option_specs();
Result<Options> parse_options(const DriverConfig& config);

}  // namespace cenote::sqlite
