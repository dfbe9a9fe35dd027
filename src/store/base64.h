// Base64 as JSON carries bytes (RFC 4648 §4, with padding).
#pragma once

#include <string>
#include <string_view>

#include "cenote/error.h"

namespace cenote::store {

std::string base64(std::string_view bytes);
// kData for anything but canonical base64.
Result<std::string> from_base64(std::string_view text);

}  // namespace cenote::store
