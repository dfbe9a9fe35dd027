// JSON for people and their tools.
#pragma once

#include <string>

namespace cenote::cli {

// Indented, with a line break at the end; bytes that are no UTF-8 are replaced, not refused. For
// nlohmann's json and ordered_json.
template <typename JsonValue>
std::string pretty(const JsonValue& value) {
  return value.dump(2, ' ', false, JsonValue::error_handler_t::replace) + "\n";
}

}  // namespace cenote::cli
