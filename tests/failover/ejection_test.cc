// Who of a balanced group gets calls.
#include "failover/ejection.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace cenote::failover {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{seconds(1000)};
constexpr uint64_t kMiddle = uint64_t{1} << 63;  // no jitter

Sight well(bool writable = true) {
  return {Sight::Condition::kWell, writable, writable, {}, ""};
}
Sight dead() {
  return {Sight::Condition::kDead, false, false, {}, "refused"};
}

Ejection group(int size) {
  std::vector<Ejection::Member> members;
  for (int i = 0; i < size; ++i) members.push_back({std::string(1, static_cast<char>('a' + i))});
  Ejection ejection(members, LoadBalanceAlgorithm::kRoundRobin, 0, {});
  for (int i = 0; i < size; ++i) ejection.saw(static_cast<size_t>(i), well(), kStart);
  return ejection;
}

std::vector<Event> fail_calls(Ejection& ejection, size_t member, TimePoint now = kStart) {
  std::vector<Event> all;
  for (int i = 0; i < 5; ++i) {
    for (Event& event : ejection.failed(member, "reset", now, kMiddle)) all.push_back(event);
  }
  return all;
}

std::map<size_t, int> shares(Ejection& ejection, TimePoint now, bool write = false) {
  std::map<size_t, int> count;
  for (uint64_t i = 0; i < 300; ++i) ++count[ejection.choose(write, {}, now, i << 40)];
  return count;
}

TEST(Ejection, a_member_whose_calls_fail_gets_none_until_its_time_is_over) {
  Ejection ejection = group(3);
  const auto events = fail_calls(ejection, 1);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, Event::Kind::kEjected);
  EXPECT_EQ(events[0].from, "b");
  EXPECT_EQ(shares(ejection, kStart).count(1), 0u);
}

TEST(Ejection, then_three_single_probes_bring_it_back_slowly) {
  Ejection ejection = group(3);
  fail_calls(ejection, 1);
  const TimePoint later = kStart + seconds(2);
  for (int probe = 0; probe < 3; ++probe) {
    EXPECT_TRUE(ejection.ejected(1));
    EXPECT_EQ(ejection.choose(false, {}, later, 1), 1u);
    EXPECT_NE(ejection.choose(false, {}, later, 1), 1u) << "one probe at a time";
    const auto events = ejection.succeeded(1, later);
    EXPECT_EQ(events.size(), probe == 2 ? 1u : 0u);
  }
  EXPECT_FALSE(ejection.ejected(1));
  EXPECT_NEAR(ejection.load(1).share(later), 0.1, 0.01);
  EXPECT_NEAR(ejection.load(1).share(later + seconds(15)), 0.5, 0.01);
  EXPECT_EQ(ejection.load(1).share(later + seconds(30)), 1.0);
}

TEST(Ejection, at_most_half_of_a_group_is_ejected_and_the_rest_is_told) {
  for (const int size : {1, 2, 3, 4, 5, 9}) {
    Ejection ejection = group(size);
    int ejected = 0;
    int kept = 0;
    for (int i = 0; i < size; ++i) {
      for (int round = 0; round < 3; ++round) {
        for (const Event& event : fail_calls(ejection, static_cast<size_t>(i))) {
          kept += event.kind == Event::Kind::kKept ? 1 : 0;
        }
      }
      ejected += ejection.ejected(static_cast<size_t>(i)) ? 1 : 0;
    }
    EXPECT_EQ(ejected, size / 2) << size;
    EXPECT_EQ(kept, size - size / 2) << "once each";
  }
}

TEST(Ejection, the_last_that_is_well_is_never_ejected) {
  Ejection ejection = group(4);
  for (const size_t member : {0, 1, 2}) {
    for (int i = 0; i < 3; ++i) ejection.saw(member, dead(), kStart);
  }
  fail_calls(ejection, 3);
  EXPECT_FALSE(ejection.ejected(3));
}

TEST(Ejection, three_failed_checks_take_a_member_out_and_two_good_ones_bring_it_back) {
  Ejection ejection = group(3);
  ejection.saw(0, dead(), kStart);
  ejection.saw(0, dead(), kStart);
  EXPECT_EQ(shares(ejection, kStart).size(), 3u);
  ejection.saw(0, dead(), kStart);
  EXPECT_TRUE(ejection.down(0));
  EXPECT_EQ(shares(ejection, kStart).count(0), 0u);
  ejection.saw(0, well(), kStart);
  EXPECT_TRUE(ejection.down(0));
  const auto events = ejection.saw(0, well(), kStart);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, Event::Kind::kReturned);
  EXPECT_NEAR(ejection.load(0).share(kStart), 0.1, 0.01);
}

TEST(Ejection, a_recovery_of_the_checks_ends_an_ejection_by_calls) {
  Ejection ejection = group(3);
  fail_calls(ejection, 0);
  ejection.saw(0, well(), kStart);
  ejection.saw(0, well(), kStart);
  EXPECT_TRUE(ejection.ejected(0)) << "its checks never failed, and still its calls do";
  ejection.saw(0, dead(), kStart);
  ejection.saw(0, well(), kStart);
  ejection.saw(0, well(), kStart);
  EXPECT_FALSE(ejection.ejected(0));
  EXPECT_GT(shares(ejection, kStart)[0], 0);
}

TEST(Ejection, with_less_than_half_left_all_get_calls) {
  Ejection ejection = group(4);
  bool panicked = false;
  for (const size_t member : {0, 1, 2}) {
    for (int i = 0; i < 3; ++i) {
      for (const Event& event : ejection.saw(member, dead(), kStart)) {
        panicked = panicked || event.kind == Event::Kind::kPanic;
      }
    }
    EXPECT_EQ(ejection.panic(), member == 2);
  }
  EXPECT_TRUE(panicked);
  EXPECT_EQ(shares(ejection, kStart).size(), 4u);
}

TEST(Ejection, overload_and_refused_credentials_take_nobody_out) {
  Ejection ejection = group(2);
  for (const auto condition : {Sight::Condition::kOverloaded, Sight::Condition::kUnauthorised}) {
    for (int i = 0; i < 10; ++i) ejection.saw(0, {condition, false, false, {}, "no"}, kStart);
    EXPECT_FALSE(ejection.down(0));
    EXPECT_GT(shares(ejection, kStart, true)[0], 0);
  }
}

TEST(Ejection, writes_go_only_to_members_that_take_them) {
  Ejection ejection = group(3);
  ejection.saw(0, well(false), kStart);
  ejection.saw(2, well(false), kStart);
  const auto writes = shares(ejection, kStart, true);
  EXPECT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes.begin()->first, 1u);
  EXPECT_EQ(shares(ejection, kStart).size(), 3u) << "reads go to all";
  ejection.saw(1, well(false), kStart);
  EXPECT_EQ(ejection.choose(true, {}, kStart, 0), ejection.size());
  EXPECT_NE(ejection.why(true).find("b takes no writes"), std::string::npos);
}

TEST(Ejection, who_failed_a_call_is_not_asked_again_for_it) {
  Ejection ejection = group(2);
  for (uint64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(ejection.choose(false, {true, false}, kStart, i << 40), 1u);
  }
  EXPECT_EQ(ejection.choose(false, {true, true}, kStart, 0), 2u);
}

TEST(Ejection, with_every_algorithm_who_comes_back_starts_with_a_small_share) {
  for (const auto algorithm :
       {LoadBalanceAlgorithm::kRoundRobin, LoadBalanceAlgorithm::kLeastConnections,
        LoadBalanceAlgorithm::kWeightedRoundRobin, LoadBalanceAlgorithm::kRandom,
        LoadBalanceAlgorithm::kP2cEwma}) {
    Ejection ejection({{"a"}, {"b"}}, algorithm, 0, {});
    for (int i = 0; i < 3; ++i) ejection.saw(1, dead(), kStart);
    for (int i = 0; i < 2; ++i) {
      ejection.saw(0, well(), kStart);
      ejection.saw(1, well(), kStart);
    }
    std::mt19937_64 random(7);
    // Each with as many calls at once as it has of them.
    const auto share = [&](TimePoint now) {
      int count = 0;
      for (int i = 0; i < 1000; ++i) {
        const size_t chosen = ejection.choose(false, {}, now, random());
        ejection.load(chosen).begin();
        count += chosen == 1 ? 1 : 0;
      }
      return count;
    };
    const int first = share(kStart + milliseconds(1));
    EXPECT_GT(first, 0) << static_cast<int>(algorithm);
    EXPECT_LT(first, 200) << static_cast<int>(algorithm);
  }
}

TEST(Ejection, after_half_a_minute_its_share_is_whole) {
  Ejection ejection = group(2);
  for (int i = 0; i < 3; ++i) ejection.saw(1, dead(), kStart);
  for (int i = 0; i < 2; ++i) ejection.saw(1, well(), kStart);
  EXPECT_EQ(shares(ejection, kStart + seconds(30)).at(1), 150);
}

}  // namespace
}  // namespace cenote::failover
