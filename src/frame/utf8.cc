// Code points, escapes for terminals and display widths. Widths are the C library's (wcwidth in
// C.UTF-8), which follow Unicode's East Asian Width.
#include "frame/utf8.h"

#include <algorithm>
#include <array>
#include <clocale>
#include <cstdint>
#include <cstdio>
#include <cwchar>

namespace cenote {
namespace {

// The calling thread's locale while this lives; the process's own locale is not ours to set.
class Utf8Locale {
 public:
  Utf8Locale() {
    static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (utf8 != nullptr) before_ = ::uselocale(utf8);
  }
  ~Utf8Locale() {
    if (before_ != nullptr) ::uselocale(before_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t before_ = nullptr;
};

bool steers_direction(char32_t c) {
  return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E || c == 0x200F;
}

size_t width_of(char32_t c) {
  if (c < 0x7F) return 1;
  const int width = ::wcwidth(static_cast<wchar_t>(c));
  return width < 0 ? 1 : static_cast<size_t>(width);
}

void append_escape(char32_t c, std::string* out) {
  switch (c) {
    case '\n':
      *out += "\\n";
      return;
    case '\r':
      *out += "\\r";
      return;
    case '\t':
      *out += "\\t";
      return;
    default: {
      std::array<char, 16> text{};
      std::snprintf(text.data(), text.size(), c <= 0xFF ? "\\x%02x" : "\\u%04x",
                    static_cast<unsigned>(c));
      *out += text.data();
    }
  }
}

}  // namespace

char32_t next_code_point(std::string_view text, size_t* position) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const size_t at = (*position)++;
  const uint8_t lead = byte(at);
  if (lead < 0x80) return lead;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || at + length > text.size()) return kBadCodePoint;
  auto value = static_cast<char32_t>(lead & (0xFF >> (length + 1)));
  for (size_t i = at + 1; i < at + length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kBadCodePoint;
    value = (value << 6) | (byte(i) & 0x3F);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return kBadCodePoint;
  *position = at + length;
  return value;
}

void append_utf8(char32_t c, std::string* out) {
  const auto push = [out](char32_t byte) { *out += static_cast<char>(byte); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0 | (c >> 6));
    push(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    push(0xE0 | (c >> 12));
    push(0x80 | ((c >> 6) & 0x3F));
    push(0x80 | (c & 0x3F));
  } else {
    push(0xF0 | (c >> 18));
    push(0x80 | ((c >> 12) & 0x3F));
    push(0x80 | ((c >> 6) & 0x3F));
    push(0x80 | (c & 0x3F));
  }
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t c = next_code_point(text, &at);
    if (c == kBadCodePoint) {
      append_escape(static_cast<uint8_t>(text[begin]), &out);
    } else if (c < 0x20 || (c >= 0x7F && c < 0xA0) || steers_direction(c)) {
      append_escape(c, &out);
    } else {
      out += text.substr(begin, at - begin);
    }
  }
  return out;
}

size_t display_width(std::string_view text) {
  const Utf8Locale locale;
  size_t width = 0;
  for (size_t at = 0; at < text.size();) width += width_of(next_code_point(text, &at));
  return width;
}

std::string fitted(std::string_view text, size_t width) {
  const Utf8Locale locale;
  size_t used = 0;
  size_t kept = 0;  // bytes that leave room for the mark
  for (size_t at = 0; at < text.size();) {
    used += width_of(next_code_point(text, &at));
    if (used > width) return std::string(text.substr(0, kept)) + (width > 0 ? "…" : "");
    if (used < width) kept = at;
  }
  return std::string(text);
}

}  // namespace cenote
