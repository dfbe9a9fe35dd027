// From PostgreSQL's SQLSTATE to what cenote concludes from it.
#pragma once

#include <string>
#include <string_view>

#include "cenote/error.h"

namespace cenote::postgresql {

// `sqlstate` may be empty: the error is then libpq's own, and the connection is lost.
Status server_error(std::string_view sqlstate, std::string message, Sent sent = Sent::kYes);

}  // namespace cenote::postgresql
