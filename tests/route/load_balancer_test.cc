// The algorithms: shares, and what makes a target less wanted.
#include "route/load_balancer.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace cenote::route {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kNow{seconds(1000)};

Tier tier(std::vector<double> weights) {
  std::vector<Target> targets;
  for (const double weight : weights) {
    Target target;
    target.node_id = "n" + std::to_string(targets.size());
    target.weight = weight;
    target.capacity = 10;
    targets.push_back(target);
  }
  return Tier(std::move(targets));
}

std::map<size_t, int> shares(LoadBalancer& balancer, const Tier& tier, int calls) {
  std::mt19937_64 random(1);
  std::map<size_t, int> counts;
  for (int i = 0; i < calls; ++i) ++counts[balancer.choose(tier, kNow, random())];
  return counts;
}

TEST(LoadBalancer, round_robin_takes_every_target_in_turn) {
  const Tier all = tier({1, 1, 1});
  const auto balancer = round_robin(7);
  const auto counts = shares(*balancer, all, 300);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(counts.at(i), 100);
}

TEST(LoadBalancer, weighted_round_robin_gives_each_its_weight_even_in_short_runs) {
  const Tier all = tier({5, 3, 2});
  const auto balancer = weighted_round_robin(99);
  for (int run = 0; run < 20; ++run) {
    const auto counts = shares(*balancer, all, 100);
    EXPECT_NEAR(counts.at(0), 50, 3);
    EXPECT_NEAR(counts.at(1), 30, 3);
    EXPECT_NEAR(counts.at(2), 20, 3);
  }
}

TEST(LoadBalancer, random_follows_the_weights_in_the_long_run) {
  const Tier all = tier({3, 1});
  const auto balancer = random_choice();
  EXPECT_NEAR(shares(*balancer, all, 10'000).at(0), 7'500, 300);
}

TEST(LoadBalancer, least_connections_goes_where_most_room_is) {
  const Tier all = tier({1, 1, 1});
  for (int i = 0; i < 4; ++i) all.targets[0].load->begin();
  for (int i = 0; i < 2; ++i) all.targets[1].load->begin();
  const auto balancer = least_connections();
  std::mt19937_64 random(1);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(balancer->choose(all, kNow, random()), 2u);
}

TEST(LoadBalancer, least_connections_spreads_ties) {
  const Tier all = tier({1, 1, 1, 1});
  const auto balancer = least_connections();
  EXPECT_EQ(shares(*balancer, all, 400).size(), 4u);
}

TEST(LoadBalancer, p2c_ewma_prefers_the_fast_and_returns_to_the_slow_in_time) {
  const Tier all = tier({1, 1});
  for (int i = 0; i < 2; ++i) {
    all.targets[static_cast<size_t>(i)].load->begin();
    all.targets[static_cast<size_t>(i)].load->end(kNow, i == 0 ? milliseconds(50) : milliseconds(5),
                                                  false);
  }
  const auto balancer = p2c_ewma();
  EXPECT_EQ(balancer->choose(all, kNow, 12345), 1u);
  // The slow one's average decays while it gets no calls; the fast one's is kept fresh.
  const TimePoint later = kNow + seconds(40);
  all.targets[1].load->begin();
  all.targets[1].load->end(later, milliseconds(5), false);
  EXPECT_EQ(balancer->choose(all, later, 12345), 0u);
}

TEST(LoadBalancer, a_target_that_fails_fast_does_not_look_fast) {
  const Tier all = tier({1, 1});
  for (int i = 0; i < 5; ++i) {
    all.targets[0].load->begin();
    all.targets[0].load->end(kNow, milliseconds(4), true);
    all.targets[1].load->begin();
    all.targets[1].load->end(kNow, milliseconds(20), false);
  }
  const auto balancer = p2c_ewma();
  EXPECT_EQ(balancer->choose(all, kNow, 7), 1u);
}

TEST(LoadBalancer, a_target_that_just_came_back_gets_a_small_share) {
  const Tier all = tier({1, 1});
  for (const Target& target : all.targets) {
    target.load->begin();
    target.load->end(kNow, milliseconds(5), false);
  }
  all.targets[0].load->start_slowly(kNow);
  const auto balancer = p2c_ewma();
  int slow = 0;
  for (uint64_t i = 0; i < 100; ++i) slow += balancer->choose(all, kNow, i) == 0 ? 1 : 0;
  EXPECT_EQ(slow, 0);
  EXPECT_DOUBLE_EQ(all.targets[0].load->share(kNow + seconds(15)), 0.5);
  EXPECT_DOUBLE_EQ(all.targets[0].load->share(kNow + seconds(60)), 1.0);
}

}  // namespace
}  // namespace cenote::route
