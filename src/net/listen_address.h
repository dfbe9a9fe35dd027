// Where a server listens, as configurations write it: "127.0.0.1:9464", "[::1]:0".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cenote/error.h"

namespace cenote {

struct ListenAddress {
  std::string host;   // an address, never a name
  uint16_t port = 0;  // 0: a free one
  bool loopback = false;
};

// kConfig says what to write. "localhost" means 127.0.0.1.
Result<ListenAddress> parse_listen_address(std::string_view text);

}  // namespace cenote
