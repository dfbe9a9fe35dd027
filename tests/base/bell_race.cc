// A bell is never missed, however waiting and ringing meet.
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "base/bell.h"

namespace cenote {
namespace {

TEST(Bell, what_was_rung_before_the_wait_is_heard) {
  Bell bell;
  bell.ring(2);
  EXPECT_EQ(bell.wait(TimePoint::max()), 2U);
  bell.ring(1);
  EXPECT_EQ(bell.wait(TimePoint::max()), 3U);
  bell.clear(2);
  EXPECT_EQ(bell.wait(TimePoint::max()), 1U);
}

TEST(Bell, a_wait_ends_at_its_deadline) {
  Bell bell;
  EXPECT_EQ(bell.wait(Clock::now() - std::chrono::hours(1)), 0U);
  EXPECT_EQ(bell.wait(TimePoint::min()), 0U);
  const TimePoint until = Clock::now() + std::chrono::milliseconds(2);
  EXPECT_EQ(bell.wait(until), 0U);
  EXPECT_GE(Clock::now(), until);
}

TEST(Bell, the_waiter_sees_what_was_written_before_the_ring) {
  for (int i = 0; i < 2000; ++i) {
    auto bell = std::make_unique<Bell>();
    int written = 0;
    std::thread ringer([&written, at = bell.get(), i] {
      written = i + 1;
      at->ring(4);
    });
    EXPECT_EQ(bell->wait(TimePoint::max()), 4U);
    EXPECT_EQ(written, i + 1);
    ringer.join();
  }
}

TEST(Bell, no_ring_of_many_is_lost) {
  Bell ping;
  Bell pong;
  constexpr int kTurns = 20'000;
  std::thread other([&] {
    for (int i = 0; i < kTurns; ++i) {
      ping.wait(TimePoint::max());
      ping.clear(1);
      pong.ring(1);
    }
  });
  for (int i = 0; i < kTurns; ++i) {
    ping.ring(1);
    EXPECT_EQ(pong.wait(TimePoint::max()), 1U);
    pong.clear(1);
  }
  other.join();
}

}  // namespace
}  // namespace cenote
