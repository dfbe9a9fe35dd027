// What the client's view takes and what it refuses.
#include "cluster/view.h"

#include <string>

#include <gtest/gtest.h>

namespace cenote::cluster {
namespace {

using std::chrono::seconds;

constexpr TimePoint kNow{seconds(1000)};

Node node(const std::string& id) {
  Node made;
  made.about.node_id = id;
  made.about.location = "grpc://" + id + ":1";
  made.about.pools = {{.pool_id = "main_db", .type = "sqlite", .max = 10}};
  return made;
}

Snapshot list(uint64_t term, uint64_t revision, std::vector<Node> nodes) {
  return {"test", term, revision, false, std::move(nodes)};
}

TEST(View, an_empty_answer_never_empties_it) {
  View view({});
  view.apply(kNow, list(1, 5, {node("a"), node("b")}));
  view.apply(kNow, list(2, 9, {}));
  EXPECT_EQ(view.nodes().size(), 2u);
  EXPECT_NE(view.alarm(), "");
}

TEST(View, an_older_term_and_an_older_revision_are_dropped) {
  View view({});
  view.apply(kNow, list(3, 5, {node("a"), node("b")}));
  view.apply(kNow, list(2, 9, {node("a")}));
  view.apply(kNow, list(3, 4, {node("a")}));
  EXPECT_EQ(view.nodes().size(), 2u);
  EXPECT_EQ(view.term(), 3u);
}

TEST(View, another_cluster_is_refused) {
  View view({});
  view.apply(kNow, list(1, 5, {node("a")}));
  Snapshot foreign = list(9, 9, {node("x")});
  foreign.cluster = "other";
  view.apply(kNow, foreign);
  EXPECT_TRUE(view.nodes().contains("a"));
  EXPECT_NE(view.alarm().find("other"), std::string::npos);
}

TEST(View, a_provisional_list_adds_but_never_removes) {
  View view({});
  view.apply(kNow, list(1, 5, {node("a"), node("b")}));
  Snapshot young = list(2, 1, {node("c")});
  young.provisional = true;
  view.apply(kNow, young);
  EXPECT_EQ(view.nodes().size(), 3u);
  view.apply(kNow, list(2, 2, {node("c")}));
  EXPECT_EQ(view.nodes().size(), 1u);
}

TEST(View, a_node_that_does_not_see_itself_distrusts_the_list) {
  View view({});
  view.apply(kNow, list(1, 5, {node("me"), node("b")}), "me");
  view.apply(kNow, list(1, 6, {node("b")}), "me");
  EXPECT_TRUE(view.nodes().contains("me"));
}

TEST(View, changes_apply_in_order_and_a_gap_asks_for_a_list) {
  View view({});
  EXPECT_EQ(view.apply(kNow, "test", 1, {1, "a", node("a")}), View::Next::kList);
  view.apply(kNow, list(1, 5, {node("a")}));
  EXPECT_EQ(view.apply(kNow, "test", 1, {6, "b", node("b")}), View::Next::kGoOn);
  EXPECT_EQ(view.apply(kNow, "test", 1, {6, "b", std::nullopt}), View::Next::kGoOn);
  EXPECT_TRUE(view.nodes().contains("b")) << "a repeated change was applied twice";
  EXPECT_EQ(view.apply(kNow, "test", 1, {8, "c", node("c")}), View::Next::kList);
  EXPECT_EQ(view.apply(kNow, "test", 2, {9, "c", node("c")}), View::Next::kList);
  EXPECT_EQ(view.apply(kNow, "test", 1, {7, "a", std::nullopt}), View::Next::kGoOn);
  EXPECT_FALSE(view.nodes().contains("a"));
}

TEST(View, a_bookmark_that_differs_and_a_long_silence_ask_for_a_list) {
  View view({});
  EXPECT_EQ(view.tick(kNow), View::Next::kList);
  view.apply(kNow, list(1, 5, {node("a")}));
  EXPECT_EQ(view.bookmark(kNow + seconds(5), "test", 1, 5), View::Next::kGoOn);
  EXPECT_EQ(view.bookmark(kNow + seconds(5), "test", 1, 6), View::Next::kList);
  EXPECT_EQ(view.tick(kNow + seconds(16)), View::Next::kGoOn);
  EXPECT_EQ(view.tick(kNow + seconds(17)), View::Next::kList);
  EXPECT_EQ(*view.age(kNow + seconds(8)), seconds(3));
}

TEST(View, even_a_talking_watch_is_checked_by_a_list_now_and_then) {
  View view({});
  view.apply(kNow, list(1, 5, {node("a")}));
  for (int i = 1; i < 13; ++i) view.bookmark(kNow + seconds(5 * i), "test", 1, 5);
  EXPECT_EQ(view.tick(kNow + seconds(61)), View::Next::kList);
}

TEST(View, instances_are_those_of_one_pool) {
  View view({});
  Node other = node("b");
  other.about.pools[0].pool_id = "reports";
  view.apply(kNow, list(1, 5, {node("a"), other}));
  ASSERT_EQ(view.instances("reports").size(), 1u);
  EXPECT_EQ(view.instances("reports")[0].node_id, "b");
}

}  // namespace
}  // namespace cenote::cluster
