// How a configuration reaches the nodes, and when it goes back.
#include "cluster/rollout.h"

#include <gtest/gtest.h>

namespace cenote::cluster {
namespace {

using std::chrono::seconds;

constexpr TimePoint kStart{seconds(1000)};
const std::vector<std::string> kNodes = {"a", "b", "c", "d", "e", "f", "g", "h"};

int given(const Rollout& rollout) {
  int count = 0;
  for (const std::string& id : kNodes) count += rollout.wanted(id) == rollout.version() ? 1 : 0;
  return count;
}

// Every node that is to have a version says that it has.
void acknowledge(Rollout& rollout, TimePoint now, double error_rate = 0) {
  for (const std::string& id : kNodes) {
    rollout.report(now, id, {rollout.wanted(id), {}, "", error_rate});
  }
}

TEST(Rollout, goes_to_one_then_a_quarter_then_all) {
  Rollout rollout({}, {8}, {7}, kStart);
  rollout.members(kNodes);
  EXPECT_EQ(given(rollout), 1);
  TimePoint now = kStart;
  for (const int expected : {2, 8}) {
    acknowledge(rollout, now);
    EXPECT_FALSE(rollout.tick(now + seconds(14))) << "a stage is held for 15 s";
    EXPECT_TRUE(rollout.tick(now += seconds(15)));
    EXPECT_EQ(given(rollout), expected);
  }
  acknowledge(rollout, now);
  EXPECT_TRUE(rollout.tick(now + seconds(15)));
  EXPECT_EQ(rollout.stage(), Rollout::Stage::kDone);
}

TEST(Rollout, one_refusal_brings_the_old_version_back_everywhere) {
  Rollout rollout({}, {8}, {7}, kStart);
  rollout.members(kNodes);
  rollout.report(kStart, "a", {{7}, {8}, "no such file", 0});
  EXPECT_EQ(rollout.stage(), Rollout::Stage::kRolledBack);
  EXPECT_EQ(given(rollout), 0);
  EXPECT_NE(rollout.reason().find("no such file"), std::string::npos);
  EXPECT_EQ(rollout.acknowledgements().at("a"), "rejected: no such file");
}

TEST(Rollout, more_errors_than_before_bring_the_old_version_back) {
  Rollout rollout({}, {8}, {7}, kStart);
  for (const double before : {0.0, 0.2}) {
    Rollout each({}, {8}, {7}, kStart);
    each.members(kNodes);
    each.report(kStart, "a", {{7}, {}, "", before});
    each.report(kStart, "a", {{8}, {}, "", 0.009});
    EXPECT_EQ(each.stage(), Rollout::Stage::kCanary);
    each.report(kStart, "a", {{8}, {}, "", 0.5});
    EXPECT_EQ(each.stage(), Rollout::Stage::kRolledBack);
  }
}

TEST(Rollout, a_canary_that_never_answers_ends_it) {
  Rollout rollout({}, {8}, {7}, kStart);
  rollout.members(kNodes);
  EXPECT_FALSE(rollout.tick(kStart + seconds(29)));
  EXPECT_TRUE(rollout.tick(kStart + seconds(30)));
  EXPECT_EQ(rollout.stage(), Rollout::Stage::kRolledBack);
  EXPECT_NE(rollout.reason().find("a"), std::string::npos);
}

TEST(Rollout, a_node_that_leaves_holds_nothing_up_and_another_takes_its_place) {
  Rollout rollout({}, {8}, {7}, kStart);
  rollout.members(kNodes);
  rollout.members({"b", "c", "d", "e", "f", "g", "h"});
  EXPECT_EQ(rollout.wanted("b").version, 8u);
  acknowledge(rollout, kStart);
  EXPECT_TRUE(rollout.tick(kStart + seconds(15)));
}

TEST(Rollout, with_nobody_there_each_stage_keeps_its_time_and_it_ends) {
  Rollout rollout({}, {8}, {7}, kStart);
  rollout.members({});
  TimePoint now = kStart;
  EXPECT_FALSE(rollout.tick(now + seconds(14)));
  EXPECT_TRUE(rollout.tick(now += seconds(15)));
  rollout.members({"a"});
  EXPECT_EQ(rollout.wanted("a").version, 8u) << "who comes meanwhile is taken in";
  EXPECT_FALSE(rollout.tick(now + seconds(15))) << "and waited for";
  rollout.members({});
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(rollout.tick(now += seconds(15)));
  EXPECT_EQ(rollout.stage(), Rollout::Stage::kDone);
}

TEST(Rollout, without_stages_all_get_it_at_once) {
  Rollout rollout({.staged = false}, {8}, {7}, kStart);
  rollout.members(kNodes);
  EXPECT_EQ(given(rollout), 8);
  acknowledge(rollout, kStart);
  EXPECT_TRUE(rollout.tick(kStart));
  EXPECT_EQ(rollout.stage(), Rollout::Stage::kDone);
}

TEST(Rollout, the_same_number_of_another_content_is_neither_acknowledged_nor_refused) {
  Rollout rollout({}, {8, "new"}, {7, "old"}, kStart);
  rollout.members(kNodes);
  rollout.report(kStart, "a", {{8, "of before"}, {}, "", 1});
  rollout.report(kStart, "a", {{7}, {8, "of before"}, "no such file", 0});
  EXPECT_EQ(rollout.stage(), Rollout::Stage::kCanary);
  EXPECT_EQ(rollout.acknowledgements().at("a"), "waiting");
  EXPECT_FALSE(rollout.tick(kStart + seconds(15)));
  rollout.report(kStart, "a", {{8, "new"}, {}, "", 0});
  EXPECT_TRUE(rollout.tick(kStart + seconds(15)));
}

}  // namespace
}  // namespace cenote::cluster
