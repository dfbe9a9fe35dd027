// The checks of an HTTP head on any bytes: a head that passes has one reading.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "net/http_head.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)cenote::refusal_of_part(bytes);
  const std::string head = std::string(bytes) + "\r\n\r\n";
  uint64_t body_length = 0;
  if (cenote::refusal_of_head(head, &body_length)) return 0;
  std::string lower = head;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const auto count = [&](std::string_view field) {
    size_t found = 0;
    for (size_t at = lower.find(field); at != std::string::npos; at = lower.find(field, at + 1)) {
      ++found;
    }
    return found;
  };
  if (count("\r\nhost:") > 1 || count("\r\ncontent-length:") > 1) std::abort();
  if (count("\r\ntransfer-encoding:") > 0 || count("\r\n ") > 0 || count("\r\n\t") > 0)
    std::abort();
  if (lower.find("\r\n\r\n") != lower.size() - 4) std::abort();
  return 0;
}
