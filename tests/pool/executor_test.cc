// Work finds a thread, or is done without one.
#include "pool/executor.h"

#include <atomic>
#include <functional>
#include <semaphore>
#include <thread>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace cenote {
namespace {

using Done = std::binary_semaphore;

bool comes(Done& done) {
  return done.try_acquire_for(std::chrono::seconds(30));
}

// As a user who may have so many threads and no more: the limit does not bind root.
void live_with(rlim_t threads) {
  constexpr uid_t kNobodyElse = 54'321;  // has no other process
  const rlimit limit{threads, threads};
  if (::getuid() == 0 && ::setresuid(kNobodyElse, kNobodyElse, kNobodyElse) != 0) ::_exit(7);
  if (::setrlimit(RLIMIT_NPROC, &limit) != 0) ::_exit(8);
}

// In a process of its own, which keeps the limit.
void expect_in_a_child(const std::function<bool()>& holds) {
  EXPECT_EXIT(::_exit(holds() ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST(ExecutorDeathTest, without_any_thread_the_caller_does_the_work) {
  expect_in_a_child([] {
    live_with(1);
    Executor executor(4);
    std::thread::id by;
    executor.post([&] { by = std::this_thread::get_id(); });
    return by == std::this_thread::get_id();
  });
}

TEST(ExecutorDeathTest, where_no_second_thread_is_to_be_had_the_first_does_all) {
  expect_in_a_child([] {
    live_with(2);
    Executor executor(4);
    Done go{0};
    Done first{0};
    Done second{0};
    executor.post([&] {
      go.acquire();
      first.release();
    });
    executor.post([&] { second.release(); });
    go.release();
    return comes(first) && comes(second);
  });
}

}  // namespace
}  // namespace cenote
