// UTF-8 as text of a result needs it: code points out of bytes that may be wrong, and how many
// columns of a terminal a text takes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cenote {

// Returned for bytes that are no UTF-8; one byte is consumed then.
inline constexpr char32_t kBadCodePoint = 0xFFFFFFFF;

// The code point at `*position`, which must be inside of `text`; moves `*position` behind it.
// Overlong forms, surrogates and values above U+10FFFF are bad.
char32_t next_code_point(std::string_view text, size_t* position);

void append_utf8(char32_t code_point, std::string* out);

// `text` as a terminal may get it: control characters, bytes that are no UTF-8 and marks that
// change the writing direction are written as escapes, so that data cannot steer the terminal.
std::string printable(std::string_view text);

// Columns that a printable text takes: 2 for wide characters, 0 for combining ones.
size_t display_width(std::string_view text);

// The text cut to `width` columns, the last one being "…" where something was cut.
std::string fitted(std::string_view text, size_t width);

}  // namespace cenote
