// When a node that says nothing, or refuses, is noticed, without a node.
#include "manager/node_links.h"

#include <gtest/gtest.h>

#include "manager/router.h"

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

TEST_F(Silence, a_target_without_a_sign_of_life_is_asked_by_no_call_until_something_comes) {
  gate_.lost();
  EXPECT_TRUE(gate_.is_silent(start_)) << "though nobody waits";
  EXPECT_FALSE(gate_.is_to_ask(start_));
  gate_.heard(start_);
  EXPECT_FALSE(gate_.is_silent(start_));
  EXPECT_TRUE(gate_.is_to_ask(start_));
}

class Outcome : public testing::Test {
 protected:
  static Status never_sent(ErrorKind kind) {
    ErrorDetail detail;
    detail.kind = kind;
    detail.sent = Sent::kNo;
    return make_error(std::move(detail), "its time was already over");
  }
  void call_ends(const Status& status) { InFlight(gate_).ended(status, "grpc://n1:1"); }

  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>(std::make_shared<route::Load>());
  const TimePoint start_ = Clock::now();
};

TEST_F(Outcome, what_a_process_did_not_send_says_nothing_of_the_target) {
  gate_->refused(start_);
  gate_->lost();
  for (const ErrorKind kind :
       {ErrorKind::kQueryTimeout, ErrorKind::kCancelled, ErrorKind::kInterface}) {
    call_ends(never_sent(kind));
    EXPECT_FALSE(gate_->allow(start_ + std::chrono::seconds(1))) << to_string(kind);
    EXPECT_TRUE(gate_->is_lost()) << to_string(kind);
  }
  call_ends(make_error(ErrorKind::kProgramming, "no such table"));
  EXPECT_TRUE(gate_->allow(start_ + std::chrono::seconds(1))) << "the node's own words do";
}

TEST_F(Outcome, what_a_process_did_not_send_closes_no_breaker) {
  ErrorDetail detail;
  detail.kind = ErrorKind::kConnection;
  detail.endpoint = "grpc://n1:1";
  detail.sent = Sent::kMaybe;
  for (int i = 0; i < 5; ++i) call_ends(make_error(detail, "reset"));
  TimePoint later = start_ + std::chrono::seconds(10);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(gate_->allow(later)) << "a probe";
    call_ends(never_sent(ErrorKind::kQueryTimeout));
    EXPECT_FALSE(gate_->allow(start_)) << "closed by a call that never went out";
    later += std::chrono::minutes(1);
  }
}

}  // namespace
}  // namespace cenote
