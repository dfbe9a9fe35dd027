// How many threads this process has, for tests of who ends theirs.
#pragma once

#include <filesystem>
#include <iterator>

namespace cenote {

inline size_t threads_of_this_process() {
  using Tasks = std::filesystem::directory_iterator;
  return static_cast<size_t>(std::distance(Tasks("/proc/self/task"), Tasks()));
}

}  // namespace cenote
