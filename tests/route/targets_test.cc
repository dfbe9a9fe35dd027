// Which targets a call may go to, and in what order of preference.
#include "route/targets.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace cenote::route {
namespace {

using cluster::NodeState;
using cluster::PoolInstance;
using std::chrono::seconds;

constexpr TimePoint kNow{seconds(1000)};

PoolInstance instance(const std::string& id, NodeState state = NodeState::kUp) {
  PoolInstance made;
  made.node_id = id;
  made.location = "grpc://" + id + ":1";
  made.state = state;
  made.pool = {.pool_id = "main_db", .type = "sqlite", .max = 10};
  return made;
}

std::set<std::string> chosen(const Targets& targets, Need need = Need::kRead) {
  const auto balancer = round_robin(0);
  std::mt19937_64 random(1);
  std::set<std::string> ids;
  for (int i = 0; i < 200; ++i) {
    const Targets::Choice choice = targets.choose(need, *balancer, kNow, random());
    ids.insert(choice.target == nullptr ? "none" : choice.target->node_id);
  }
  return ids;
}

TEST(Targets, draining_and_dead_nodes_get_no_calls) {
  const std::vector<PoolInstance> all = {instance("a"), instance("b", NodeState::kDraining),
                                         instance("c", NodeState::kDead)};
  EXPECT_EQ(chosen(*Targets::build(all, "", nullptr)), std::set<std::string>{"a"});
}

TEST(Targets, suspects_serve_only_when_nobody_is_up_and_frozen_ones_last_after_a_probe) {
  std::vector<PoolInstance> all = {instance("a"), instance("b", NodeState::kSuspect),
                                   instance("c", NodeState::kFrozen)};
  EXPECT_EQ(chosen(*Targets::build(all, "", nullptr)), std::set<std::string>{"a"});
  all[0].state = NodeState::kDead;
  EXPECT_EQ(chosen(*Targets::build(all, "", nullptr)), std::set<std::string>{"b"});
  all[1].state = NodeState::kDead;
  const auto targets = Targets::build(all, "", nullptr);
  const auto balancer = round_robin(0);
  const auto choice = targets->choose(Need::kRead, *balancer, kNow, 1);
  ASSERT_NE(choice.target, nullptr);
  EXPECT_EQ(choice.target->node_id, "c");
  EXPECT_TRUE(choice.probe_first);
}

TEST(Targets, writes_go_to_writable_instances_only) {
  std::vector<PoolInstance> all = {instance("a"), instance("b")};
  all[0].pool.writable = false;
  const auto targets = Targets::build(all, "", nullptr);
  EXPECT_EQ(chosen(*targets, Need::kWrite), std::set<std::string>{"b"});
  EXPECT_EQ(chosen(*targets, Need::kRead), (std::set<std::string>{"a", "b"}));
}

TEST(Targets, an_instance_whose_database_is_down_gets_no_calls) {
  std::vector<PoolInstance> all = {instance("a"), instance("b")};
  all[0].pool.healthy = false;
  EXPECT_EQ(chosen(*Targets::build(all, "", nullptr)), std::set<std::string>{"b"});
}

TEST(Targets, the_own_zone_comes_first) {
  std::vector<PoolInstance> all = {instance("a"), instance("b")};
  all[0].zone = "z1";
  all[1].zone = "z2";
  EXPECT_EQ(chosen(*Targets::build(all, "z2", nullptr)), std::set<std::string>{"b"});
  EXPECT_EQ(chosen(*Targets::build(all, "", nullptr)).size(), 2u);
}

TEST(Targets, those_tried_and_those_shut_are_passed_over) {
  const std::vector<PoolInstance> all = {instance("a"), instance("b"), instance("c"),
                                         instance("d")};
  const auto targets = Targets::build(all, "", nullptr);
  targets->find("a")->load->shut(kNow + seconds(1));
  EXPECT_EQ(chosen(*targets), (std::set<std::string>{"b", "c", "d"}));
  const auto balancer = round_robin(0);
  const Target* tried[] = {targets->find("b"), targets->find("c")};
  for (uint64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(targets->choose(Need::kRead, *balancer, kNow, i, tried).target->node_id, "d");
  }
}

TEST(Targets, below_half_open_all_are_used_and_the_last_is_never_lost) {
  const std::vector<PoolInstance> all = {instance("a"), instance("b"), instance("c")};
  const auto targets = Targets::build(all, "", nullptr);
  for (const char* id : {"a", "b", "c"}) targets->find(id)->load->shut(kNow + seconds(1));
  EXPECT_FALSE(chosen(*targets).contains("none"));
}

TEST(Targets, nothing_is_chosen_where_there_is_nothing) {
  const auto targets = Targets::build({}, "", nullptr);
  EXPECT_EQ(chosen(*targets), std::set<std::string>{"none"});
}

TEST(Targets, a_rebuilt_list_keeps_the_loads_of_those_that_stay) {
  std::vector<PoolInstance> all = {instance("a"), instance("b")};
  const auto before = Targets::build(all, "", nullptr);
  before->find("a")->load->begin();
  all[1].location = "grpc://elsewhere:1";
  const auto after = Targets::build(all, "", before.get());
  EXPECT_EQ(after->find("a")->load->in_flight(), 1);
  EXPECT_NE(after->find("b")->load, before->find("b")->load);
}

}  // namespace
}  // namespace cenote::route
