// Tells a forked child from its parent: threads, locks and sessions of a parent are not the
// child's.
#pragma once

#include <atomic>
#include <cstdint>

namespace cenote {
namespace detail {
extern std::atomic<uint64_t> g_fork_generation;
}

// How many forks lie between the first process and this one. An object that remembers it from its
// birth knows, for the price of one load, whether it was inherited.
inline uint64_t fork_generation() {
  return detail::g_fork_generation.load(std::memory_order_relaxed);
}

}  // namespace cenote
