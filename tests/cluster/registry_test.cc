// The registry and its health monitor: who is listed as what, and what watchers are told.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/service_registry.h"

namespace cenote::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A registry, its time, and nodes that beat unless told to be silent.
class World {
 public:
  explicit World(std::vector<NodeRecord> restored = {})
      : registry_("test", 1, {}, now_, restored) {}

  static Registration registration(const std::string& id, uint64_t incarnation = 1) {
    Registration about;
    about.node_id = id;
    about.incarnation = incarnation;
    about.location = "grpc://" + id + ":1";
    about.pools = {{.pool_id = "main_db", .type = "sqlite", .max = 10}};
    return about;
  }
  NodeRecord join(const std::string& id, uint64_t incarnation = 1) {
    const Result<NodeRecord> record = registry_.register_node(now_, registration(id, incarnation));
    EXPECT_TRUE(record.ok()) << record.status();
    beating_[id] = *record;
    return *record;
  }
  Status beat(const std::string& id) {
    const NodeRecord& record = beating_.at(id);
    Heartbeat beat;
    beat.node_id = id;
    beat.incarnation = record.about.incarnation;
    beat.lease = record.lease;
    beat.seq = ++seq_;
    beat.pools = record.about.pools;
    return registry_.heartbeat(now_, beat);
  }
  void silence(const std::string& id) { silent_.insert(id); }
  void speak(const std::string& id) { silent_.erase(id); }
  void pass(Duration time) {
    for (const TimePoint end = now_ + time; now_ < end;) {
      now_ += milliseconds(500);
      for (const auto& [id, record] : beating_) {
        if (!silent_.contains(id)) (void)beat(id);
      }
      registry_.tick(now_);
    }
  }
  void jump(Duration time) { now_ += time; }
  std::string state(const std::string& id) const {
    const Node* node = registry_.find(id);
    return node == nullptr ? "gone" : std::string(to_string(node->state));
  }

  TimePoint now_{seconds(1000)};
  ServiceRegistry registry_;

 private:
  std::map<std::string, NodeRecord> beating_;
  std::set<std::string> silent_;
  uint64_t seq_ = 0;
};

TEST(Registry, a_silent_node_is_suspect_then_dead_then_gone) {
  World world;
  for (const char* id : {"a", "b", "c"}) world.join(id);
  world.pass(seconds(12));
  world.silence("b");
  world.pass(seconds(3));
  EXPECT_EQ(world.state("b"), "suspect");
  world.pass(seconds(2));
  EXPECT_EQ(world.state("b"), "dead");
  world.pass(seconds(61));
  EXPECT_EQ(world.state("b"), "gone");
  EXPECT_EQ(world.state("a"), "up");
}

TEST(Registry, a_node_that_speaks_again_is_up_again) {
  World world;
  for (const char* id : {"a", "b", "c"}) world.join(id);
  world.pass(seconds(12));
  world.silence("b");
  world.pass(seconds(4));
  world.speak("b");
  world.pass(seconds(1));
  EXPECT_EQ(world.state("b"), "up");
}

TEST(Registry, too_many_silent_at_once_are_frozen_and_stay_listed) {
  World world;
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) world.join(id);
  world.pass(seconds(12));
  for (const char* id : {"a", "b", "c"}) world.silence(id);
  world.pass(seconds(20));
  for (const char* id : {"a", "b", "c"}) EXPECT_EQ(world.state(id), "frozen") << id;
  EXPECT_TRUE(world.registry_.preserving());
  for (const char* id : {"a", "b", "c"}) world.speak(id);
  world.pass(seconds(1));
  EXPECT_EQ(world.state("a"), "up");
  EXPECT_FALSE(world.registry_.preserving());
}

TEST(Registry, frozen_nodes_that_nobody_hears_of_die_after_a_minute) {
  World world;
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) world.join(id);
  world.pass(seconds(12));
  for (const char* id : {"a", "b", "c"}) world.silence(id);
  world.pass(seconds(5 + 61));
  EXPECT_EQ(world.state("a"), "dead");
  world.pass(seconds(2));
  EXPECT_FALSE(world.registry_.preserving()) << "preservation must end (Eureka's does not)";
}

TEST(Registry, silence_alone_never_empties_it) {
  World world;
  world.join("only");
  world.pass(seconds(12));
  world.silence("only");
  world.pass(seconds(300));
  EXPECT_EQ(world.state("only"), "frozen");
}

TEST(Registry, a_refused_connection_is_death_at_once_and_lowers_what_is_expected) {
  World world;
  for (const char* id : {"a", "b", "c"}) world.join(id);
  world.pass(seconds(12));
  for (const char* id : {"a", "b"}) {
    world.silence(id);
    world.registry_.refused(id);
  }
  world.pass(milliseconds(500));
  EXPECT_EQ(world.state("a"), "dead");
  EXPECT_EQ(world.state("b"), "dead");
  EXPECT_FALSE(world.registry_.preserving());
}

TEST(Registry, three_peers_that_agree_confirm_a_death) {
  HealthMonitor monitor({}, TimePoint(seconds(1000)));
  TimePoint now(seconds(1020));
  for (const char* id : {"a", "b", "c", "d"}) monitor.heard(now, id);
  monitor.tick(now);
  for (const char* peer : {"b", "c"}) monitor.peer_says(now, "a", peer, false);
  for (int i = 0; i < 25; ++i) monitor.tick(now += milliseconds(500));  // past the pause's grace
  for (const char* id : {"a", "b", "c", "d"}) monitor.heard(now, id);
  monitor.tick(now);
  for (const char* peer : {"b", "c"}) monitor.peer_says(now, "a", peer, false);
  monitor.tick(now += milliseconds(500));
  EXPECT_EQ(monitor.state("a"), NodeState::kUp);
  monitor.peer_says(now, "a", "d", false);
  monitor.tick(now += milliseconds(500));
  EXPECT_EQ(monitor.state("a"), NodeState::kDead);
}

TEST(Registry, after_a_pause_of_its_own_it_judges_nobody_for_ten_seconds) {
  World world;
  for (const char* id : {"a", "b", "c"}) world.join(id);
  world.pass(seconds(12));
  world.silence("a");
  world.jump(seconds(30));
  world.pass(seconds(9));
  EXPECT_EQ(world.state("a"), "up");
  world.pass(seconds(3));
  EXPECT_EQ(world.state("a"), "dead");
}

TEST(Registry, restored_nodes_keep_their_leases_and_have_the_grace_to_be_heard) {
  World before;
  const NodeRecord record = before.join("a");
  World world({record});
  EXPECT_TRUE(world.registry_.snapshot(world.now_).provisional);
  world.pass(seconds(9));
  EXPECT_EQ(world.state("a"), "up");
  Heartbeat beat;
  beat.node_id = "a";
  beat.incarnation = 1;
  beat.lease = record.lease;
  beat.seq = 1;
  beat.pools = record.about.pools;
  EXPECT_TRUE(world.registry_.heartbeat(world.now_, beat).ok());
  world.pass(seconds(2));
  EXPECT_FALSE(world.registry_.snapshot(world.now_).provisional);
}

TEST(Registry, registering_again_is_idempotent_and_an_older_incarnation_is_refused) {
  World world;
  const NodeRecord first = world.join("a", 2);
  const uint64_t revision = world.registry_.revision();
  EXPECT_EQ(world.join("a", 2).lease, first.lease);
  EXPECT_EQ(world.registry_.revision(), revision) << "nothing changed, nobody is told";
  EXPECT_FALSE(world.registry_.register_node(world.now_, World::registration("a", 1)).ok());
  const NodeRecord second = world.join("a", 3);
  EXPECT_NE(second.lease, first.lease);
}

TEST(Registry, the_lease_of_an_older_incarnation_no_longer_beats) {
  World world;
  const NodeRecord old = world.join("a", 1);
  world.join("a", 2);
  Heartbeat beat;
  beat.node_id = "a";
  beat.incarnation = 1;
  beat.lease = old.lease;
  beat.seq = 100;
  EXPECT_FALSE(world.registry_.heartbeat(world.now_, beat).ok());
}

TEST(Registry, load_is_no_change_but_health_is) {
  World world;
  const NodeRecord record = world.join("a");
  Heartbeat beat;
  beat.node_id = "a";
  beat.incarnation = 1;
  beat.lease = record.lease;
  beat.seq = 1;
  beat.pools = record.about.pools;
  beat.pools[0].active = 7;
  const uint64_t revision = world.registry_.revision();
  EXPECT_TRUE(world.registry_.heartbeat(world.now_, beat).ok());
  EXPECT_EQ(world.registry_.revision(), revision);
  EXPECT_EQ(world.registry_.find("a")->about.pools[0].active, 7);
  beat.seq = 2;
  beat.pools[0].healthy = false;
  EXPECT_TRUE(world.registry_.heartbeat(world.now_, beat).ok());
  EXPECT_EQ(world.registry_.revision(), revision + 1);
}

TEST(Registry, a_late_heartbeat_changes_nothing) {
  World world;
  const NodeRecord record = world.join("a");
  Heartbeat beat;
  beat.node_id = "a";
  beat.incarnation = 1;
  beat.lease = record.lease;
  beat.seq = 5;
  beat.pools = record.about.pools;
  EXPECT_TRUE(world.registry_.heartbeat(world.now_, beat).ok());
  beat.seq = 4;
  beat.pools[0].healthy = false;
  EXPECT_TRUE(world.registry_.heartbeat(world.now_, beat).ok());
  EXPECT_TRUE(world.registry_.find("a")->about.pools[0].healthy);
}

TEST(Registry, draining_is_published_and_outlasts_heartbeats) {
  World world;
  for (const char* id : {"a", "b"}) world.join(id);
  EXPECT_TRUE(world.registry_.drain("a", true).ok());
  world.pass(seconds(2));
  EXPECT_EQ(world.state("a"), "draining");
  EXPECT_TRUE(world.registry_.drain("a", false).ok());
  EXPECT_EQ(world.state("a"), "up");
  EXPECT_FALSE(world.registry_.drain("nobody", true).ok());
}

TEST(Registry, a_node_that_is_about_to_leave_is_published_as_draining_at_once) {
  World world;
  const NodeRecord record = world.join("n1");
  Heartbeat beat;
  beat.node_id = "n1";
  beat.incarnation = record.about.incarnation;
  beat.lease = record.lease;
  beat.seq = 1'000;
  beat.pools = record.about.pools;
  beat.draining = true;
  const uint64_t before = world.registry_.revision();
  ASSERT_TRUE(world.registry_.heartbeat(world.now_, beat).ok());
  EXPECT_EQ(world.state("n1"), "draining");
  EXPECT_EQ(world.registry_.revision(), before + 1);
  // An operator's undrain does not send work to a process that ends.
  ASSERT_TRUE(world.registry_.drain("n1", true).ok());
  ASSERT_TRUE(world.registry_.drain("n1", false).ok());
  EXPECT_EQ(world.state("n1"), "draining");
}

TEST(Registry, watchers_get_what_they_missed_or_are_told_to_list) {
  World world;
  world.join("a");
  const uint64_t seen = world.registry_.revision();
  world.join("b");
  world.registry_.remove("a");
  const auto missed = world.registry_.changes_after(seen);
  ASSERT_TRUE(missed.has_value());
  ASSERT_EQ(missed->size(), 2u);
  EXPECT_EQ((*missed)[0].node_id, "b");
  EXPECT_EQ((*missed)[1].node_id, "a");
  EXPECT_FALSE((*missed)[1].node.has_value());
  for (int i = 0; i < 10'001; ++i) world.join("c", static_cast<uint64_t>(i) + 1);
  EXPECT_FALSE(world.registry_.changes_after(seen).has_value());
  EXPECT_FALSE(world.registry_.changes_after(world.registry_.revision() + 1).has_value());
}

TEST(Registry, malformed_registrations_are_refused) {
  World world;
  Registration about = World::registration("a");
  about.node_id = "<script>";
  EXPECT_FALSE(world.registry_.register_node(world.now_, about).ok());
  about = World::registration("a");
  about.location = "http://a:1";
  EXPECT_FALSE(world.registry_.register_node(world.now_, about).ok());
  about = World::registration("a");
  about.weight = 0;
  EXPECT_FALSE(world.registry_.register_node(world.now_, about).ok());
}

}  // namespace
}  // namespace cenote::cluster
