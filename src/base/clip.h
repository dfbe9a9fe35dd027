// The beginning of a text, for messages and logs: never half a character, so that it stays UTF-8.
#pragma once

#include <cstddef>
#include <string_view>

namespace cenote {

constexpr std::string_view clipped(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0U) == 0x80U) --most;
  return text.substr(0, most);
}

}  // namespace cenote
