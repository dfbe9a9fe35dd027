// When a breaker opens, for how long, and how it closes.
#include "route/breaker.h"

#include <gtest/gtest.h>

namespace cenote::route {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{seconds(1000)};
constexpr uint64_t kMiddle = uint64_t{1} << 63;  // no jitter

TEST(Breaker, opens_on_five_failures_in_a_row) {
  Breaker breaker;
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(breaker.failed(kStart, kMiddle));
  EXPECT_TRUE(breaker.failed(kStart, kMiddle));
  EXPECT_FALSE(breaker.allow(kStart));
}

TEST(Breaker, a_success_in_between_starts_the_count_again) {
  Breaker breaker;
  for (int i = 0; i < 4; ++i) breaker.failed(kStart, kMiddle);
  breaker.succeeded(kStart);
  EXPECT_FALSE(breaker.failed(kStart, kMiddle));
  EXPECT_TRUE(breaker.allow(kStart));
}

TEST(Breaker, opens_on_half_of_twenty_calls_within_ten_seconds) {
  Breaker breaker;
  bool opened = false;
  for (int i = 0; i < 10; ++i) {
    breaker.succeeded(kStart + milliseconds(100 * i));
    opened = breaker.failed(kStart + milliseconds(100 * i + 50), kMiddle);
    EXPECT_EQ(opened, i == 9);
  }
  Breaker slow;
  for (int i = 0; i < 30; ++i) {
    slow.succeeded(kStart + seconds(2 * i));
    EXPECT_FALSE(slow.failed(kStart + seconds(2 * i), kMiddle)) << "the window forgets";
  }
}

TEST(Breaker, half_open_lets_one_probe_at_a_time_through_and_closes_after_three) {
  Breaker breaker;
  for (int i = 0; i < 5; ++i) breaker.failed(kStart, kMiddle);
  TimePoint now = kStart + seconds(1);
  for (int probe = 0; probe < 3; ++probe) {
    EXPECT_TRUE(breaker.allow(now));
    EXPECT_FALSE(breaker.allow(now)) << "a second call slipped through";
    EXPECT_EQ(breaker.succeeded(now), probe == 2);
  }
  EXPECT_EQ(breaker.state(), Breaker::State::kClosed);
}

TEST(Breaker, a_failed_probe_opens_it_for_twice_as_long_up_to_thirty_seconds) {
  Breaker breaker;
  for (int i = 0; i < 5; ++i) breaker.failed(kStart, kMiddle);
  TimePoint now = kStart;
  for (const int expected : {1, 2, 4, 8, 16, 30, 30}) {
    EXPECT_EQ(breaker.open_until() - now, seconds(expected));
    now = breaker.open_until();
    EXPECT_TRUE(breaker.allow(now));
    breaker.failed(now, kMiddle);
  }
}

TEST(Breaker, healthy_minutes_shorten_the_next_opening) {
  Breaker breaker;
  for (int i = 0; i < 5; ++i) breaker.failed(kStart, kMiddle);
  TimePoint now = breaker.open_until();
  breaker.allow(now);
  breaker.failed(now, kMiddle);  // 2 s
  now += seconds(200);
  breaker.reset(now);
  for (int i = 0; i < 5; ++i) breaker.failed(now, kMiddle);
  EXPECT_EQ(breaker.open_until() - now, seconds(1));
}

TEST(Breaker, jitter_stays_within_a_fifth) {
  for (const uint64_t random : {uint64_t{0}, ~uint64_t{0}}) {
    Breaker breaker;
    for (int i = 0; i < 5; ++i) breaker.failed(kStart, random);
    const Duration open = breaker.open_until() - kStart;
    EXPECT_GE(open, milliseconds(800));
    EXPECT_LE(open, milliseconds(1200));
  }
}

}  // namespace
}  // namespace cenote::route
