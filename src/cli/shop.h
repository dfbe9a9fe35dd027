// The sample shop: an SQLite database with 2,000 customers and 100,000 orders, always the same.
#pragma once

#include <string>

#include "cenote/error.h"

namespace cenote::cli {

// Makes the file, which must not be there yet.
Status make_shop(const std::string& file);

}  // namespace cenote::cli
