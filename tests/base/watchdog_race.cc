// Interrupts come from other threads; none may arrive after the guard is gone.
#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/watchdog.h"

namespace cenote {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(InterruptGuard, a_deadline_interrupts_and_says_so) {
  std::atomic<bool> interrupted = false;
  const InterruptGuard guard({Deadline::in(milliseconds(1)), {}}, [&] { interrupted = true; });
  while (!interrupted) std::this_thread::yield();
  while (!guard.fired()) std::this_thread::yield();
  EXPECT_EQ(guard.fired(), ErrorKind::kQueryTimeout);
}

TEST(InterruptGuard, a_stop_interrupts_even_if_it_was_requested_before) {
  std::stop_source source;
  source.request_stop();
  std::atomic<int> calls = 0;
  const InterruptGuard guard({Deadline(), source.get_token()}, [&] { ++calls; });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(guard.fired(), ErrorKind::kCancelled);
}

TEST(InterruptGuard, nothing_is_interrupted_after_the_guard_is_gone) {
  std::vector<std::thread> threads;
  std::atomic<int> late = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&late] {
      for (int i = 0; i < 500; ++i) {
        std::stop_source source;
        auto alive = std::make_unique<std::atomic<bool>>(true);
        {
          std::thread stopper([&source] { source.request_stop(); });
          const InterruptGuard guard({Deadline::in(microseconds(50)), source.get_token()},
                                     [&] { late += alive->load() ? 0 : 1; });
          stopper.join();
        }
        *alive = false;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(late, 0);
}

}  // namespace
}  // namespace cenote
