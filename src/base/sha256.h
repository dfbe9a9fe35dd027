// SHA-256, as text.
#pragma once

#include <string>
#include <string_view>

namespace cenote {

// 64 characters of lower-case hexadecimal.
std::string sha256(std::string_view text);

}  // namespace cenote
