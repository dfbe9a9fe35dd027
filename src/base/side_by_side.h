// The same work for several things at once, a thread for each but one; waits for all.
#pragma once

#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace cenote {

// Calls `work(i)` for each i below `count`; what it throws ends that one alone. Where no thread can
// be had, the calling one does what is left, one after another.
template <typename Work>
void side_by_side(size_t count, const Work& each) {
  const auto work = [&each](size_t i) noexcept {
    try {
      each(i);
    } catch (...) {  // NOLINT(bugprone-empty-catch): what it was to find is not found
    }
  };
  std::vector<std::jthread> threads;  // joined by their destructors
  threads.reserve(count);
  size_t next = 1;
  try {
    for (; next < count; ++next) threads.emplace_back([&work, next] { work(next); });
  } catch (const std::system_error&) {
    // `next` has none.
  }
  if (count > 0) work(0);
  for (; next < count; ++next) work(next);
}

}  // namespace cenote
