// Random identifiers, message authentication and the comparison that does not tell by its time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cenote/error.h"

namespace cenote::node {

// Bytes that nobody can guess, as base64url text (22 characters for 16 bytes).
std::string random_id(size_t bytes = 16);
// HMAC-SHA-256, 32 bytes.
std::string hmac(std::string_view key, std::string_view data);
bool equal_in_constant_time(std::string_view a, std::string_view b);

std::string base64url(std::string_view bytes);
// Takes standard base64 (with padding) as well; kInterface for anything else.
Result<std::string> from_base64(std::string_view text);

}  // namespace cenote::node
