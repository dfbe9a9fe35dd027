// Which configuration is meant: its number, and what is in it, because a store that was wiped or
// restored gives a number to another content than before.
#pragma once

#include <cstdint>
#include <string>

namespace cenote::cluster {

struct ConfigId {
  uint64_t version = 0;  // 0: none
  std::string hash{};    // SHA-256 of the content; empty where an older peer says numbers only

  bool operator==(const ConfigId&) const = default;
};

// Whether both may mean the same configuration, as far as both say.
inline bool same(const ConfigId& a, const ConfigId& b) {
  return a.version == b.version && (a.hash.empty() || b.hash.empty() || a.hash == b.hash);
}

}  // namespace cenote::cluster
