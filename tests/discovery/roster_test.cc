// What lists of a store mean: who left, who is dead, and when a list is not to be believed.
#include "discovery/roster.h"

#include <gtest/gtest.h>

namespace cenote::discovery {
namespace {

using cluster::NodeState;
using std::chrono::seconds;

Entry entry(const std::string& id, uint64_t incarnation = 1) {
  Entry made;
  made.about.node_id = id;
  made.about.incarnation = incarnation;
  made.about.location = "grpc://127.0.0.1:1";
  made.about.pools = {{.pool_id = "main_db", .type = "sqlite", .max = 1}};
  return made;
}

class Rosters : public testing::Test {
 protected:
  std::string shown(const Listing& listing, Duration later = seconds(1)) {
    now_ += later;
    const auto snapshot = roster_.apply(now_, listing);
    if (!snapshot.ok()) return snapshot.status().message();
    revision_ = snapshot->revision;
    std::string text;
    for (const cluster::Node& node : snapshot->nodes) {
      text +=
          (text.empty() ? "" : " ") + node.about.node_id + "=" + std::string(to_string(node.state));
    }
    return text;
  }
  static Listing all(std::vector<Entry> entries) { return {7, std::move(entries)}; }

  TimePoint now_ = TimePoint(std::chrono::hours(1));
  Roster roster_{"c", "", now_};
  uint64_t revision_ = 0;
};

TEST_F(Rosters, one_of_three_that_is_missing_is_dead_and_gone_after_a_minute) {
  EXPECT_EQ(shown(all({entry("a"), entry("b"), entry("c")})), "a=up b=up c=up");
  EXPECT_EQ(shown(all({entry("a"), entry("b")})), "a=up b=up c=dead");
  EXPECT_EQ(shown(all({entry("a"), entry("b")}), seconds(59)), "a=up b=up c=dead");
  EXPECT_EQ(shown(all({entry("a"), entry("b")}), seconds(2)), "a=up b=up");
  EXPECT_EQ(shown(all({entry("a"), entry("b"), entry("c")})), "a=up b=up c=up");
}

TEST_F(Rosters, a_wiped_store_freezes_all_and_empties_nothing) {
  shown(all({entry("a"), entry("b"), entry("c")}));
  EXPECT_EQ(shown(all({})), "a=frozen b=frozen c=frozen");
  EXPECT_EQ(shown(all({}), seconds(40)), "a=frozen b=frozen c=frozen");
  EXPECT_EQ(shown(all({entry("b")})), "a=frozen b=up c=frozen") << "they come back one by one";
  EXPECT_EQ(shown(all({entry("b"), entry("a"), entry("c")})), "a=up b=up c=up");
}

TEST_F(Rosters, most_at_once_are_frozen_for_a_minute_and_then_dead) {
  shown(all({entry("a"), entry("b"), entry("c"), entry("d")}));
  EXPECT_EQ(shown(all({entry("a")})), "a=up b=frozen c=frozen d=frozen");
  EXPECT_EQ(shown(all({entry("a")}), seconds(61)), "a=up b=dead c=dead d=dead");
}

TEST_F(Rosters, who_said_goodbye_is_gone_at_once_even_all) {
  Entry leaving = entry("a");
  leaving.draining = true;
  EXPECT_EQ(shown(all({leaving, entry("b")})), "a=draining b=up");
  EXPECT_EQ(shown(all({entry("b")})), "b=up");
}

TEST_F(Rosters, a_lapsed_check_counts_as_missing) {
  Entry lapsed = entry("c");
  shown(all({entry("a"), entry("b"), lapsed}));
  lapsed.alive = false;
  EXPECT_EQ(shown(all({entry("a"), entry("b"), lapsed})), "a=up b=up c=dead");
}

TEST_F(Rosters, a_first_look_at_a_store_where_all_have_lapsed_takes_all) {
  Entry a = entry("a");
  Entry b = entry("b");
  a.alive = b.alive = false;
  EXPECT_EQ(shown(all({a, b})), "a=up b=up");
  EXPECT_EQ(shown(all({a, b})), "a=frozen b=frozen");
}

TEST_F(Rosters, only_a_newer_process_takes_a_nodes_place) {
  Entry second = entry("a", 2);
  second.about.location = "grpc://127.0.0.1:2";
  shown(all({second}));
  now_ += seconds(1);
  const auto after = *roster_.apply(now_, all({entry("a", 1)}));
  EXPECT_EQ(after.nodes.at(0).about.location, "grpc://127.0.0.1:2");
  Entry third = entry("a", 3);
  third.about.location = "grpc://127.0.0.1:3";
  now_ += seconds(1);
  EXPECT_EQ(roster_.apply(now_, all({third}))->nodes.at(0).about.location, "grpc://127.0.0.1:3");
}

TEST_F(Rosters, the_revision_grows_with_changes_only) {
  shown(all({entry("a")}));
  const uint64_t before = revision_;
  shown(all({entry("a")}));
  EXPECT_EQ(revision_, before);
  Entry ill = entry("a");
  ill.about.pools[0].healthy = false;
  shown(all({ill}));
  EXPECT_GT(revision_, before);
}

TEST_F(Rosters, a_list_without_this_node_is_not_believed_once_it_was_in_one) {
  Roster own("c", "b", now_);
  now_ += seconds(1);
  EXPECT_EQ(own.apply(now_, all({entry("a")}))->nodes.size(), 1U) << "it has not registered yet";
  now_ += seconds(1);
  EXPECT_EQ(own.apply(now_, all({entry("a"), entry("b")}))->nodes.size(), 2U);
  now_ += seconds(1);
  const auto doubted = own.apply(now_, all({entry("a")}));
  ASSERT_FALSE(doubted.ok());
  EXPECT_NE(doubted.status().message().find("'b'"), std::string::npos) << doubted.status();
  now_ += seconds(1);
  EXPECT_FALSE(own.apply(now_, all({})).ok());
  now_ += seconds(1);
  const auto after = own.apply(now_, all({entry("a"), entry("b")}));
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->nodes.at(0).state, NodeState::kUp);
}

TEST(DirectoryTexts, are_read_as_they_were_written) {
  Entry full = entry("a", 9007199254740993U);
  full.about.zone = "z\u00fcrich \"quoted\"";
  full.sequence = 4;
  full.draining = true;
  full.config_version = 5;
  full.config_hash = "a";
  full.config_rejected = 6;
  full.config_rejected_hash = "b";
  full.config_reason = "no such host";
  const std::string text = entry_text(full);
  for (const char c : text) EXPECT_LT(static_cast<unsigned char>(c), 0x80) << text;
  const auto read = entry_from(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, full);
  EXPECT_FALSE(entry_from("{}").ok());
  const auto config = config_from(config_text({7, "deployment:\n  \u00fc: 1\n", "now", "me"}));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->content, "deployment:\n  \u00fc: 1\n");
  const cluster::ConfigId head = *head_from(head_text({8, "a", "now", "me"}));
  EXPECT_EQ(head.version, 8U);
  EXPECT_EQ(head.hash, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb");
  EXPECT_EQ(*head_from(R"({"version":8})"), cluster::ConfigId{8}) << "as it was written before";
}

}  // namespace
}  // namespace cenote::discovery
