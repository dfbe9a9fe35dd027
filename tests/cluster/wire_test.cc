// What goes over the wire comes back the same, and what is not ours is refused.
#include "cluster/wire.h"

#include <gtest/gtest.h>

namespace cenote::cluster {
namespace {

Registration registration() {
  Registration about;
  about.node_id = "n1";
  about.incarnation = 18446744073709551615u;
  about.location = "grpc://127.0.0.1:1";
  about.zone = "z";
  about.weight = 2.5;
  about.labels = {{"rack", "7"}};
  about.pools = {
      {.pool_id = "main_db", .type = "sqlite", .max = 10, .lag = std::chrono::milliseconds(3)}};
  return about;
}

Result<Json> text(const std::string& json) {
  return parse_json(json);
}

TEST(Wire, a_registration_comes_back_the_same) {
  const auto back = registration_from(*text(to_json(registration()).dump()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, registration());
}

TEST(Wire, a_snapshot_with_all_states_comes_back_the_same) {
  Snapshot snapshot{"c", 7, 9, true, {}};
  for (const NodeState state : {NodeState::kUp, NodeState::kSuspect, NodeState::kFrozen,
                                NodeState::kDraining, NodeState::kDead}) {
    snapshot.nodes.push_back({registration(), state, 4});
  }
  const auto back = snapshot_from(*text(to_json(snapshot).dump()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->nodes, snapshot.nodes);
  EXPECT_EQ(back->term, 7u);
  EXPECT_TRUE(back->provisional);
}

TEST(Wire, changes_and_heartbeats_come_back_the_same) {
  const Change change{3, "n1", Node{registration(), NodeState::kUp, 1}};
  EXPECT_EQ(*change_from(*text(to_json(change).dump())), change);
  const Change gone{4, "n1", std::nullopt};
  EXPECT_EQ(*change_from(*text(to_json(gone).dump())), gone);
  Heartbeat beat;
  beat.node_id = "n1";
  beat.incarnation = 1;
  beat.lease = 2;
  beat.seq = 3;
  beat.pools = registration().pools;
  beat.config_scope = "eu";
  beat.config_version = 4;
  beat.config_rejected = 5;
  beat.config_hash = "a";
  beat.config_rejected_hash = "b";
  beat.config_reason = "why";
  beat.error_rate = 0.25;
  beat.peers = {{"n2", true}, {"n3", false}};
  const auto back = heartbeat_from(*text(to_json(beat).dump()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->peers, beat.peers);
  EXPECT_EQ(back->config_scope, "eu");
  EXPECT_EQ(back->applied(), beat.applied());
  EXPECT_EQ(back->rejected(), beat.rejected());
  EXPECT_EQ(back->config_reason, "why");
  EXPECT_EQ(back->error_rate, 0.25);
  EXPECT_EQ(back->pools, beat.pools);
}

TEST(Wire, an_unknown_key_is_refused_unless_the_peer_is_newer) {
  Json json = to_json(registration());
  json["colour"] = "red";
  const auto refused = registration_from(json);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("/colour"), std::string::npos);
  json["protocol"] = kProtocol + 1;
  EXPECT_TRUE(registration_from(json).ok());
}

TEST(Wire, an_answer_may_say_more_than_we_know) {
  Snapshot snapshot{"c", 7, 9, false, {{registration(), NodeState::kUp, 4}}};
  Json json = to_json(snapshot);
  json["more"] = json["nodes"][0]["more"] = json["nodes"][0]["pools"][0]["more"] = Json::object();
  const auto more = snapshot_from(json);
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_EQ(more->nodes, snapshot.nodes);
  json["nodes"][0]["state"] = "resting";
  const auto unknown = snapshot_from(json);
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  EXPECT_EQ(unknown->nodes[0].state, NodeState::kDraining) << "no new work for it";
}

TEST(Wire, json_that_may_mean_two_things_is_refused) {
  EXPECT_FALSE(text(R"({"a":1,"a":2})").ok());
  EXPECT_FALSE(text(std::string(40, '[') + std::string(40, ']')).ok());
  EXPECT_FALSE(text("{\"a\":\"\xff\"}").ok());
  EXPECT_FALSE(text(R"({"a":1} x)").ok());
  EXPECT_FALSE(text("").ok());
  EXPECT_TRUE(text(R"({"a":{"a":1}})").ok());
}

TEST(Wire, errors_say_where) {
  Json json = to_json(registration());
  json["pools"][0]["max"] = "many";
  const auto refused = registration_from(json);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("/pools/0/max"), std::string::npos);
  json = to_json(registration());
  json.erase("node_id");
  EXPECT_FALSE(registration_from(json).ok());
  EXPECT_FALSE(registration_from(Json::array()).ok());
}

}  // namespace
}  // namespace cenote::cluster
