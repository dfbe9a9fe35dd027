// What the programs of the benchmarks share: the end with a message on the first error, times, and
// results as lines of JSON.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <sys/resource.h>

#include "cenote/config.h"
#include "cenote/pool.h"

namespace cenote::bench {

[[noreturn]] inline void fail(const std::string& message) {
  std::fprintf(stderr, "bench: %s\n", message.c_str());
  std::exit(1);
}

inline void check(const Status& status) {
  if (!status.ok()) fail(status.ToString());
}

template <typename T>
T value(Result<T> result) {
  check(result.status());
  return std::move(result).ValueUnsafe();
}

inline double seconds_since(TimePoint start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Wall time of one call, in seconds.
template <typename Work>
double timed(Work&& work) {
  const TimePoint start = Clock::now();
  work();
  return seconds_since(start);
}

// Keeps the compiler from dropping what made `value`.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

// One result: {"bench":"sqlite","who":"cenote","seconds":0.61}. Printed when it goes.
class Line {
 public:
  Line(std::string_view bench, std::string_view who) {
    add("bench", bench);
    add("who", who);
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() {
    std::printf("{%s}\n", text_.c_str());
    std::fflush(stdout);
  }

  Line& add(std::string_view key, std::string_view word) {
    return raw(key, '"' + std::string(word) + '"');
  }
  Line& add(std::string_view key, double number) { return raw(key, std::to_string(number)); }
  Line& add(std::string_view key, int number) { return raw(key, std::to_string(number)); }

 private:
  Line& raw(std::string_view key, const std::string& json) {
    if (!text_.empty()) text_ += ',';
    text_ += '"' + std::string(key) + "\":" + json;
    return *this;
  }

  std::string text_;
};

// A pool of cenote's for a URL, with no health checker beside what is measured.
inline std::shared_ptr<LocalPool> open_pool(std::string_view url, int connections) {
  PoolConfig config = value(pool_from_url(url, "bench"));
  config.pool.max_connections = connections;
  config.health.interval = Duration::zero();
  return value(LocalPool::open(std::move(config)));
}

// An argument's number, or what holds where it was not given.
inline int number(int count, char** arguments, int index, int otherwise) {
  return index < count ? std::atoi(arguments[index]) : otherwise;
}

}  // namespace cenote::bench
