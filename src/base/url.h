// URLs in messages.
#pragma once

#include <string>
#include <string_view>

namespace cenote {

// The URL with *** in place of a user and password, which belong into no message. Whatever stands
// before the last '@' counts as theirs: a password may hold any character.
inline std::string without_user(std::string_view url) {
  const size_t scheme = url.find("://");
  const size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const size_t at = url.rfind('@');
  if (at == std::string_view::npos || at < begin) return std::string(url);
  return std::string(url.substr(0, begin)) + "***" + std::string(url.substr(at));
}

}  // namespace cenote
