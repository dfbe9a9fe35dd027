// The YAML reader on any bytes: an error with the file's name, or a configuration that is right.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cenote/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // A reference to a file would let the fuzzer read devices that never end or block.
  if (text.find("file:") != std::string_view::npos) return 0;
  const auto config = cenote::parse_config(text, "fuzz.yaml");
  if (!config.ok()) {
    const bool named = config.status().message().find("fuzz.yaml") == 0;
    if (!named || cenote::error_kind(config.status()) != cenote::ErrorKind::kConfig) std::abort();
    return 0;
  }
  for (const auto& pool : config->pools) {
    if (pool.id.empty() || pool.type.empty()) std::abort();
    if (pool.pool.min_connections > pool.pool.max_connections) std::abort();
  }
  return 0;
}
