// Converts between the two encodings, with a short way for ASCII.
#include "driver/odbc/unicode.h"

#include <cstring>

namespace cenote::odbc {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// The code point at `at`, which moves behind it. Overlong forms, surrogates and cut sequences give
// the replacement for one byte.
char32_t next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(at);
  const size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (length == 1) return byte(at++);
  char32_t point = lead & (0xFF >> (length + 1));
  bool good = lead >= 0xC2 && lead <= 0xF4 && at + length <= text.size();
  for (size_t i = 1; good && i < length; ++i) {
    good = (byte(at + i) & 0xC0) == 0x80;
    point = (point << 6) | (byte(at + i) & 0x3F);
  }
  const char32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
  if (!good || point < least || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) {
    ++at;
    return kReplacement;
  }
  at += length;
  return point;
}

}  // namespace

WideString to_wide(std::string_view text) {
  WideString wide;
  wide.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char32_t point = next_code_point(text, at);
    if (point < 0x10000) {
      wide += static_cast<char16_t>(point);
    } else {
      wide += static_cast<char16_t>(0xD800 + ((point - 0x10000) >> 10));
      wide += static_cast<char16_t>(0xDC00 + ((point - 0x10000) & 0x3FF));
    }
  }
  return wide;
}

size_t write_utf8(const char16_t* text, size_t size, char* out) {
  char* to = out;
  size_t at = 0;
  while (at < size) {
    // Four units at once while all are ASCII.
    while (at + 4 <= size) {
      uint64_t four = 0;
      std::memcpy(&four, text + at, sizeof four);
      if ((four & 0xFF80FF80FF80FF80U) != 0) break;
      for (size_t i = 0; i < 4; ++i) to[i] = static_cast<char>(text[at + i]);
      to += 4;
      at += 4;
    }
    if (at >= size) break;
    char32_t point = text[at++];
    if (point >= 0xD800 && point < 0xE000) {
      const bool paired = point < 0xDC00 && at < size && (text[at] & 0xFC00) == 0xDC00;
      point = paired ? 0x10000 + ((point - 0xD800) << 10) + (char32_t{text[at++]} - 0xDC00)
                     : kReplacement;
    }
    if (point < 0x80) {
      *to++ = static_cast<char>(point);
    } else if (point < 0x800) {
      *to++ = static_cast<char>(0xC0 | (point >> 6));
      *to++ = static_cast<char>(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
      *to++ = static_cast<char>(0xE0 | (point >> 12));
      *to++ = static_cast<char>(0x80 | ((point >> 6) & 0x3F));
      *to++ = static_cast<char>(0x80 | (point & 0x3F));
    } else {
      *to++ = static_cast<char>(0xF0 | (point >> 18));
      *to++ = static_cast<char>(0x80 | ((point >> 12) & 0x3F));
      *to++ = static_cast<char>(0x80 | ((point >> 6) & 0x3F));
      *to++ = static_cast<char>(0x80 | (point & 0x3F));
    }
  }
  return static_cast<size_t>(to - out);
}

void append_utf8(std::u16string_view text, std::string& out) {
  const size_t before = out.size();
  out.resize(before + 3 * text.size());
  out.resize(before + write_utf8(text.data(), text.size(), out.data() + before));
}

std::string to_utf8(std::u16string_view text) {
  std::string out;
  append_utf8(text, out);
  return out;
}

}  // namespace cenote::odbc
