// The OpenAPI document of the API: docs/openapi.json, built into the program.
#pragma once

#include <string_view>

namespace cenote::coordinator {

std::string_view openapi_document();

}  // namespace cenote::coordinator
