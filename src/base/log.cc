// The process's log sink.
#include "base/log.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <utility>

#include <pthread.h>

#include "base/mutex.h"

namespace cenote {
namespace {

// Guards the sink's pointer only; the sink itself is called without it.
Mutex g_mutex;
std::shared_ptr<const LogSink> g_sink CENOTE_GUARDED_BY(g_mutex);
std::atomic<LogLevel> g_least = LogLevel::kInfo;

// A child forked while another thread logs would inherit a locked mutex.
[[maybe_unused]] const int registered =
    pthread_atfork([]() CENOTE_ANNOTATE(acquire_capability(g_mutex)) { g_mutex.lock(); },
                   []() CENOTE_ANNOTATE(release_capability(g_mutex)) { g_mutex.unlock(); },
                   []() CENOTE_ANNOTATE(release_capability(g_mutex)) { g_mutex.unlock(); });

void to_stderr(LogLevel level, std::string_view part, std::string_view message) {
  static constexpr std::array<const char*, 4> kNames = {"debug", "info", "warning", "error"};
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> stamp{};
  std::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  // One call, so that lines of several threads do not mix.
  std::fprintf(stderr, "%s %s %.*s: %.*s\n", stamp.data(), kNames.at(static_cast<size_t>(level)),
               static_cast<int>(part.size()), part.data(), static_cast<int>(message.size()),
               message.data());
}

}  // namespace

void set_log_sink(LogSink sink, LogLevel least) {
  auto next = sink ? std::make_shared<const LogSink>(std::move(sink)) : nullptr;
  const Lock lock(g_mutex);
  g_sink.swap(next);
  g_least = least;
}

bool log_enabled(LogLevel level) {
  return level >= g_least.load(std::memory_order_relaxed);
}

void log(LogLevel level, std::string_view part, std::string_view message) {
  if (!log_enabled(level)) return;
  std::shared_ptr<const LogSink> sink;
  {
    const Lock lock(g_mutex);
    sink = g_sink;
  }
  if (sink) {
    (*sink)(level, part, message);
  } else {
    to_stderr(level, part, message);
  }
}

}  // namespace cenote
