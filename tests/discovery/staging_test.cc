// Roll-outs that every node follows for itself: the same order, the same end.
#include "discovery/staging.h"

#include <map>

#include <gtest/gtest.h>

namespace cenote::discovery {
namespace {

using std::chrono::seconds;

// Nodes that all read the same list and do what their own roll-out says.
struct Fleet {
  explicit Fleet(int count, cluster::Rollout::Options options = {}) : options(options) {
    for (int i = 0; i < count; ++i) add("n" + std::to_string(i), 1);
  }
  void add(const std::string& id, uint64_t version) {
    Entry entry;
    entry.about.node_id = id;
    entry.config_version = version;
    nodes.push_back(entry);
    staging.emplace(id, Staging(options));
  }
  // Everyone looks once at the same moment; who takes it has it at the next.
  void look(const ConfigVersion& head) {
    const std::vector<Entry> seen = nodes;
    for (Entry& node : nodes) {
      const std::string& id = node.about.node_id;
      const bool done = node.done_with(head.id());
      if (!node.alive || (done && !staging.at(id).is_under_way(head.id()))) continue;
      const Staging::Step step = staging.at(id).look(now, head, seen, id);
      if (!step.failed.empty()) failures[id] = step.failed;
      if (!step.failed.empty()) back_to = step.back_to.version;
      if (!step.take || done || !step.failed.empty()) continue;
      if (refusing.contains(id)) {
        node.config_rejected = head.version;
        node.config_rejected_hash = head.hash;
        node.config_reason = refusing.at(id);
      } else {
        node.config_version = head.version;
        node.config_hash = head.hash;
      }
    }
    now += seconds(1);
  }
  int with(uint64_t version) const {
    int count = 0;
    for (const Entry& node : nodes) count += node.config_version == version ? 1 : 0;
    return count;
  }

  cluster::Rollout::Options options;
  std::vector<Entry> nodes;
  std::map<std::string, Staging> staging;
  std::map<std::string, std::string> refusing;  // and why
  std::map<std::string, std::string> failures;  // what each saw
  uint64_t back_to = 0;                         // the last failure's
  TimePoint now = TimePoint() + seconds(1000);
};

ConfigVersion version(uint64_t number, const std::string& reason = "") {
  return {number, "content", "now", "me", reason};
}

TEST(Staging, one_node_is_first_then_a_quarter_then_all) {
  Fleet fleet(8);
  std::vector<int> counts;
  for (int i = 0; i < 60; ++i) {
    fleet.look(version(2));
    if (counts.empty() || counts.back() != fleet.with(2)) counts.push_back(fleet.with(2));
  }
  EXPECT_EQ(counts, (std::vector<int>{1, 2, 8}));
  EXPECT_TRUE(fleet.failures.empty());
  for (const auto& [id, staging] : fleet.staging) EXPECT_FALSE(staging.is_under_way({2})) << id;
}

TEST(Staging, a_refusal_of_the_first_keeps_it_from_all_others_and_all_see_why) {
  Fleet fleet(5);
  fleet.refusing["n0"] = "no such file";
  for (int i = 0; i < 60; ++i) fleet.look(version(2));
  EXPECT_EQ(fleet.with(2), 0);
  EXPECT_EQ(fleet.failures.size(), 5U);
  EXPECT_NE(fleet.failures["n4"].find("'n0' rejected it: no such file"), std::string::npos);
}

TEST(Staging, a_number_that_the_nodes_have_of_another_content_is_rolled_out_all_the_same) {
  Fleet fleet(4);
  for (Entry& node : fleet.nodes) {
    node.config_version = 2;
    node.config_hash = "of before";
  }
  ConfigVersion head = version(2);
  head.hash = "new";
  fleet.look(head);
  for (const Entry& node : fleet.nodes) {
    EXPECT_EQ(node.config_hash, node.about.node_id == "n0" ? "new" : "of before");
  }
  for (int i = 0; i < 60; ++i) fleet.look(head);
  for (const Entry& node : fleet.nodes) EXPECT_EQ(node.config_hash, "new");
}

TEST(Staging, a_version_that_overtook_another_on_its_way_goes_back_to_what_most_have) {
  Fleet fleet(5);
  fleet.look(version(2));
  ASSERT_EQ(fleet.with(2), 1);
  fleet.refusing["n0"] = "no such file";
  for (int i = 0; i < 60; ++i) fleet.look(version(3));
  EXPECT_EQ(fleet.failures.size(), 5U);
  EXPECT_EQ(fleet.back_to, 1U) << "no node but the first has proven 2";
}

TEST(Staging, going_back_is_for_all_at_once_and_never_goes_back_itself) {
  Fleet fleet(5);
  fleet.refusing["n0"] = "still not";
  for (int i = 0; i < 60; ++i) fleet.look(version(3, "back to version 1: it was refused"));
  EXPECT_EQ(fleet.with(3), 4);
  EXPECT_TRUE(fleet.failures.empty());
}

TEST(Staging, who_comes_when_it_is_over_takes_it_at_once_and_its_refusal_is_its_own_affair) {
  Fleet fleet(4);
  for (int i = 0; i < 60; ++i) fleet.look(version(2));
  fleet.add("late", 1);
  fleet.add("strange", 1);
  fleet.nodes.back().alive = false;
  fleet.look(version(2));
  EXPECT_EQ(fleet.with(2), 5);
  fleet.nodes.back().alive = true;
  fleet.refusing["strange"] = "not here";
  for (int i = 0; i < 60; ++i) fleet.look(version(2));
  EXPECT_EQ(fleet.with(2), 5);
  EXPECT_TRUE(fleet.failures.empty());
}

TEST(Staging, of_two_nodes_the_second_waits_though_the_first_has_it_when_it_looks) {
  Fleet fleet(2);
  Staging second({});
  fleet.look(version(2));
  ASSERT_EQ(fleet.with(2), 1);
  second.heard(fleet.now - seconds(2));
  second.heard(fleet.now);
  EXPECT_FALSE(second.look(fleet.now, version(2), fleet.nodes, "n1").take);
  EXPECT_TRUE(Staging({}).look(fleet.now, version(2), fleet.nodes, "n1").take) << "one that comes";
}

TEST(Staging, a_node_that_died_holds_nobody_up) {
  Fleet fleet(4);
  fleet.nodes[0].alive = false;
  for (int i = 0; i < 60; ++i) fleet.look(version(2));
  EXPECT_EQ(fleet.with(2), 3);
}

TEST(Staging, without_stages_all_take_it_at_once) {
  cluster::Rollout::Options options;
  options.staged = false;
  Fleet fleet(6, options);
  fleet.look(version(2));
  EXPECT_EQ(fleet.with(2), 6);
}

TEST(Staging, a_node_complains_when_its_errors_rise_with_a_version_and_only_then) {
  Fleet fleet(2);
  Staging& staging = fleet.staging.at("n0");
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(staging.judge(0.1, {1})) << "as always";
  fleet.look(version(2));
  EXPECT_FALSE(staging.judge(0.15, {2})) << "less than twice as many as always";
  const auto complaint = staging.judge(0.5, {2});
  ASSERT_TRUE(complaint);
  EXPECT_NE(complaint->find("errors rose from 0.09"), std::string::npos) << *complaint;
  for (int i = 0; i < 60; ++i) fleet.look(version(2));
  EXPECT_FALSE(staging.judge(0.5, {2})) << "the roll-out is over";
}

}  // namespace
}  // namespace cenote::discovery
