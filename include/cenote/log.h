// Where cenote's log lines go: one sink for the whole process, standard error unless a program sets
// its own.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace cenote {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

// Called from any thread, never under a lock of cenote's. `part` is the folder that speaks: "pool",
// "driver/postgresql". It must be quick, since leases are kept and databases watched by the threads
// that call it, and must not destroy pools or managers, whose threads these are. A line holds no
// secrets and no parameter values.
using LogSink =
    std::function<void(LogLevel level, std::string_view part, std::string_view message)>;

// Null restores standard error. Lines below `least` are not made.
void set_log_sink(LogSink sink, LogLevel least = LogLevel::kInfo);

}  // namespace cenote
