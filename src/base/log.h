// Log lines, for the sink of cenote/log.h.
#pragma once

#include <string_view>

#include "cenote/log.h"

namespace cenote {

bool log_enabled(LogLevel level);
// The message holds no secrets and no parameter values.
void log(LogLevel level, std::string_view part, std::string_view message);

}  // namespace cenote
