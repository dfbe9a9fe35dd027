// UTF-8 and ODBC's UTF-16.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "driver/odbc/library.h"

namespace cenote::odbc {

using WideString = std::basic_string<char16_t>;

// Malformed bytes become U+FFFD.
WideString to_wide(std::string_view text);
// A surrogate without its pair becomes U+FFFD.
void append_utf8(std::u16string_view text, std::string& out);
std::string to_utf8(std::u16string_view text);

// Writes at most 3 * size bytes, returns how many.
size_t write_utf8(const char16_t* text, size_t size, char* out);

// ODBC's pointer to UTF-16; the functions do not write through it.
inline SQLWCHAR* sql_text(const WideString& text) {
  return reinterpret_cast<SQLWCHAR*>(const_cast<char16_t*>(text.data()));
}

}  // namespace cenote::odbc
