// A thread's work, kept running whatever it throws: an exception that leaves a thread ends the
// process, and what is out of memory or files now may have them in a second.
#pragma once

#include <chrono>
#include <exception>
#include <stop_token>
#include <string>
#include <string_view>

#include "cenote/deadline.h"

#include "base/log.h"
#include "base/pause.h"

namespace cenote {

// Calls `work` until it returns; what it throws is logged as of `part` and what it does, and after
// a pause it is called again unless `stop` was requested.
template <typename Work>
void keep_running(const std::stop_token& stop, std::string_view part, std::string_view what,
                  Work&& work, Duration pause = std::chrono::seconds(1)) noexcept {
  const auto tell = [&](const char* why) {
    try {
      log(LogLevel::kError, part, std::string(what) + " failed: " + why + "; it goes on");
    } catch (...) {  // NOLINT(bugprone-empty-catch): not even a line can be made
    }
  };
  for (;;) {
    try {
      work();
      return;
    } catch (const std::exception& error) {
      tell(error.what());
    } catch (...) {
      tell("an unknown exception");
    }
    if (!cenote::pause(stop, pause)) return;
  }
}

}  // namespace cenote
