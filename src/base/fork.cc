// Counts the forks of this line of processes.
#include "base/fork.h"

#include <pthread.h>

namespace cenote::detail {

std::atomic<uint64_t> g_fork_generation{0};

namespace {
// A handler instead of comparing process ids: getpid() is a system call, and checkouts ask each
// time.
[[maybe_unused]] const int registered =
    pthread_atfork(nullptr, nullptr, [] { g_fork_generation.fetch_add(1); });
}  // namespace

}  // namespace cenote::detail
