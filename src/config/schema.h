// The one table of the configuration: what keys there are, of which type, with which default, bound
// to which field. The validator and the JSON Schema both read it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/config.h"

namespace cenote {

struct KeyRow {
  std::string_view name;
  OptionType type;
  std::string_view doc;
  // Parses and stores; the error says what is wrong with the value.
  std::function<Status(PoolConfig&, std::string_view)> set;
  // A key of the original's create_pool that means this one; or empty.
  std::string_view original;
};

std::span<const KeyRow> pool_keys();    // of `pool:`
std::span<const KeyRow> health_keys();  // of `health:`

const KeyRow* find_key(std::span<const KeyRow> rows, std::string_view name);
// By the name in the original's flat keys.
const KeyRow* find_original(std::string_view name);
// The original's keys that are accepted and mean nothing here, with the reason.
bool is_ignored_original(std::string_view name);

// Checks a driver's `config:` against its table: unknown keys, types, required ones.
Status check_driver_config(const DriverTraits& traits, const DriverConfig& config);

}  // namespace cenote
