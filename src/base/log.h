// Log lines, handed to one sink for the whole process: standard error, or what an embedding program
// set (Python's logging).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace cenote {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

// Called from any thread, never under a lock of cenote's. `part` is the folder that speaks: "pool",
// "driver/postgresql".
using LogSink =
    std::function<void(LogLevel level, std::string_view part, std::string_view message)>;

// Null restores standard error. Lines below `least` are not made.
void set_log_sink(LogSink sink, LogLevel least = LogLevel::kInfo);
bool log_enabled(LogLevel level);
// The message holds no secrets and no parameter values.
void log(LogLevel level, std::string_view part, std::string_view message);

}  // namespace cenote
