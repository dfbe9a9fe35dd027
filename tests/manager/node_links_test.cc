// When a node that says nothing, or refuses, is noticed, without a node.
#include "manager/node_links.h"

#include <gtest/gtest.h>

namespace cenote {
namespace {

using std::chrono::milliseconds;

constexpr Duration kLonger = Gate::kSilent + milliseconds(1);

class Silence : public testing::Test {
 protected:
  Gate gate_{std::make_shared<route::Load>()};
  const TimePoint start_ = Clock::now();
};

TEST_F(Silence, a_target_is_silent_once_calls_wait_for_long_and_nothing_comes) {
  EXPECT_FALSE(gate_.is_silent(start_ + kLonger)) << "nobody asked it anything";
  gate_.begin(start_ + kLonger);
  EXPECT_FALSE(gate_.is_silent(start_ + kLonger + milliseconds(1)));
  EXPECT_TRUE(gate_.is_silent(start_ + 2 * kLonger));
}

TEST_F(Silence, calls_that_begin_meanwhile_do_not_hide_it) {
  for (Duration at = Duration::zero(); at <= kLonger; at += milliseconds(50)) {
    gate_.begin(start_ + at);
  }
  EXPECT_TRUE(gate_.is_silent(start_ + kLonger));
}

TEST_F(Silence, anything_that_comes_ends_it_and_so_does_the_last_call) {
  gate_.begin(start_);
  gate_.begin(start_);
  gate_.heard(start_ + kLonger);
  EXPECT_FALSE(gate_.is_silent(start_ + kLonger + milliseconds(1)));
  EXPECT_TRUE(gate_.is_silent(start_ + 3 * kLonger));
  gate_.no_longer_waits();
  EXPECT_TRUE(gate_.is_silent(start_ + 3 * kLonger));
  gate_.no_longer_waits();
  EXPECT_FALSE(gate_.is_silent(start_ + 3 * kLonger));
}

TEST_F(Silence, one_caller_in_a_while_asks_for_a_sign_of_life) {
  EXPECT_TRUE(gate_.is_to_ask(start_));
  EXPECT_FALSE(gate_.is_to_ask(start_ + milliseconds(1)));
  EXPECT_TRUE(gate_.is_to_ask(start_ + kLonger));
}

TEST_F(Silence, where_a_port_refused_nothing_goes_for_a_while_unless_something_comes) {
  EXPECT_TRUE(gate_.allow(start_));
  gate_.refused(start_);
  EXPECT_FALSE(gate_.allow(start_ + std::chrono::seconds(5))) << "a breaker alone would try it";
  gate_.begin(start_);  // by a call that had nowhere else to go
  EXPECT_FALSE(gate_.allow(start_ + std::chrono::seconds(5)));
  EXPECT_TRUE(gate_.allow(start_ + Gate::kRefused));
  gate_.heard(start_);
  EXPECT_TRUE(gate_.allow(start_ + std::chrono::seconds(5)));
}

}  // namespace
}  // namespace cenote
