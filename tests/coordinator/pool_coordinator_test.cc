// What operators and nodes are told, and what survives a restart.
#include "coordinator/pool_coordinator.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "coordinator/change_feed.h"
#include "coordinator/faulty_store.h"
#include "coordinator/sqlite_store.h"

namespace cenote::coordinator {
namespace {

class Coordinator : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("cenote-coordinator-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    restart();
  }
  void TearDown() override {
    coordinator_.reset();
    std::filesystem::remove_all(folder_);
  }
  void restart() {
    coordinator_.reset();
    auto store = open_sqlite_store(folder_ / "store.db");
    ASSERT_TRUE(store.ok()) << store.status();
    PoolCoordinator::Options options;
    options.rollout.hold = Duration::zero();
    options.validate = [](std::string_view content) {
      return content == "broken" ? make_error(ErrorKind::kConfig, "line 1: broken") : Status::OK();
    };
    auto opened =
        PoolCoordinator::open(options, std::make_unique<FaultyStore>(std::move(*store), &faults_));
    ASSERT_TRUE(opened.ok()) << opened.status();
    coordinator_ = std::move(*opened);
  }
  void judge() {
    coordinator_->tick();
    coordinator_->settle();
  }
  static Change change(const std::string& key = "", const std::string& hash = "h") {
    return {{"ada", "r1"}, key, hash};
  }
  cluster::Heartbeat join(const std::string& id) {
    cluster::Registration about;
    about.node_id = id;
    about.incarnation = 1;
    about.location = "grpc://127.0.0.1:1";
    about.pools = {{.pool_id = "main_db", .type = "sqlite", .max = 10}};
    const auto answer = coordinator_->register_node(about);
    EXPECT_TRUE(answer.ok()) << answer.status();
    cluster::Heartbeat beat;
    beat.node_id = id;
    beat.incarnation = 1;
    beat.lease = (*answer)["lease"].get<uint64_t>();
    beat.pools = about.pools;
    return beat;
  }
  // The version that a node is told to have.
  uint64_t told(cluster::Heartbeat& beat, const cluster::Rollout::Report& report = {}) {
    ++beat.seq;
    beat.config_version = report.applied.version;
    beat.config_hash = report.applied.hash;
    beat.config_rejected.reset();
    if (report.rejected.version != 0) beat.config_rejected = report.rejected.version;
    beat.config_rejected_hash = report.rejected.hash;
    beat.config_reason = report.reason;
    beat.error_rate = report.error_rate;
    const auto answer = coordinator_->heartbeat(beat);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? (*answer)["config_version"].get<uint64_t>() : 0;
  }
  template <typename T>
  static Refusal why(const Result<T>& result) {
    EXPECT_FALSE(result.ok());
    return refusal_of(result.status()).value_or(Refusal::kInvalid);
  }

  std::filesystem::path folder_;
  Faults faults_;  // none: the store only has more time than a coordinator gives it
  std::unique_ptr<PoolCoordinator> coordinator_;
};

TEST_F(Coordinator, a_configuration_needs_the_version_that_the_writer_saw) {
  EXPECT_EQ(why(coordinator_->put_config("default", "a", std::nullopt, change())),
            Refusal::kPreconditionRequired);
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  EXPECT_EQ(why(coordinator_->put_config("default", "b", 0, change())), Refusal::kStale);
  ASSERT_TRUE(coordinator_->put_config("default", "b", 1, change()).ok());
  EXPECT_EQ((*coordinator_->config("default", 0))["content"], "b");
  EXPECT_EQ((*coordinator_->config("default", 1))["content"], "a");
}

TEST_F(Coordinator, what_does_not_validate_is_not_stored) {
  EXPECT_EQ(why(coordinator_->put_config("default", "broken", 0, change())), Refusal::kInvalid);
  EXPECT_EQ(why(coordinator_->config("default", 0)), Refusal::kNotFound);
  EXPECT_EQ(why(coordinator_->put_config("../etc", "a", 0, change())), Refusal::kInvalid);
}

TEST_F(Coordinator, a_repeated_request_gets_the_first_answer_even_after_a_restart) {
  const auto first = coordinator_->put_config("default", "a", 0, change("k1"));
  ASSERT_TRUE(first.ok()) << first.status();
  restart();
  const auto again = coordinator_->put_config("default", "a", 0, change("k1"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, *first);
  EXPECT_EQ((*coordinator_->config_history("default"))["versions"].size(), 1u);
  EXPECT_EQ(why(coordinator_->put_config("default", "other", 1, change("k1", "h2"))),
            Refusal::kInvalid);
}

TEST_F(Coordinator, going_back_appends_the_old_content_as_a_new_version) {
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  EXPECT_EQ(why(coordinator_->rollback("default", 0, change())), Refusal::kConflict);
  ASSERT_TRUE(coordinator_->put_config("default", "b", 1, change()).ok());
  const auto back = coordinator_->rollback("default", 0, change());
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ((*back)["version"], 3);
  EXPECT_EQ((*coordinator_->config("default", 0))["content"], "a");
  EXPECT_EQ((*coordinator_->config("default", 2))["content"], "b");
}

TEST_F(Coordinator, going_back_reaches_all_nodes_at_once) {
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  ASSERT_TRUE(coordinator_->put_config("default", "b", 1, change()).ok());
  cluster::Heartbeat one = join("n1");
  cluster::Heartbeat two = join("n2");
  coordinator_->tick();
  ASSERT_TRUE(coordinator_->rollback("default", 1, change()).ok());
  EXPECT_EQ(told(one, {{2}, {}, "", 0}), 3u);
  EXPECT_EQ(told(two, {{2}, {}, "", 0}), 3u) << "no canary first";
  restart();
  EXPECT_EQ(told(one, {{2}, {}, "", 0}), 3u);
  EXPECT_EQ(told(two, {{2}, {}, "", 0}), 3u) << "nor from a coordinator that starts anew";
}

TEST_F(Coordinator, a_refusal_by_the_canary_rolls_back_by_itself) {
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  cluster::Heartbeat one = join("n1");
  cluster::Heartbeat two = join("n2");
  judge();
  EXPECT_EQ(told(one), 1u);
  for (int i = 0; i < 4; ++i) {
    told(one, {{1}, {}, "", 0});
    told(two, {{1}, {}, "", 0});
    judge();
  }
  EXPECT_EQ((*coordinator_->rollout("default"))["stage"], "done");
  ASSERT_TRUE(coordinator_->put_config("default", "b", 1, change()).ok());
  EXPECT_EQ(told(one, {{1}, {}, "", 0}), 2u);
  EXPECT_EQ(told(two, {{1}, {}, "", 0}), 1u) << "only the canary gets it at first";
  told(one, {{1}, {2}, "no such host", 0});
  judge();
  EXPECT_EQ((*coordinator_->config("default", 0))["content"], "a");
  EXPECT_EQ((*coordinator_->config("default", 0))["version"], 3);
  EXPECT_EQ(told(one, {{1}, {2}, "no such host", 0}), 3u);
  const Json history = *coordinator_->config_history("default");
  EXPECT_NE(history["versions"][0]["reason"].get<std::string>().find("no such host"),
            std::string::npos);
}

// The state was lost, or is that of an older backup: numbers are given again.
TEST_F(Coordinator, a_node_that_has_the_number_of_another_content_has_not_that_version) {
  cluster::Heartbeat one = join("n1");
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  const cluster::Rollout::Report before{{1, sha256("before")}, {}, "", 0};
  EXPECT_EQ(told(one, before), 1u);
  for (int i = 0; i < 4; ++i) judge();
  EXPECT_EQ((*coordinator_->rollout("default"))["stage"], "canary");
  told(one, {{}, {1, sha256("before")}, "no such host", 0});
  judge();
  EXPECT_EQ((*coordinator_->rollout("default"))["stage"], "canary") << "it refused another";
  restart();
  one = join("n1");
  for (int i = 0; i < 4; ++i) {
    told(one, before);
    judge();
  }
  EXPECT_EQ((*coordinator_->rollout("default"))["stage"], "canary") << "a restart knows it too";
  for (int i = 0; i < 4; ++i) {
    told(one, {{1, sha256("a")}, {}, "", 0});
    judge();
  }
  EXPECT_EQ((*coordinator_->rollout("default"))["stage"], "done");
}

TEST_F(Coordinator, nodes_and_their_leases_survive_a_restart) {
  cluster::Heartbeat beat = join("n1");
  ASSERT_TRUE(coordinator_->drain("n1", true, change()).ok());
  const uint64_t term = coordinator_->term();
  restart();
  EXPECT_GT(coordinator_->term(), term);
  EXPECT_TRUE(coordinator_->nodes().provisional);
  ++beat.seq;
  EXPECT_TRUE(coordinator_->heartbeat(beat).ok());
  EXPECT_EQ(coordinator_->nodes().nodes[0].state, cluster::NodeState::kDraining);
}

TEST_F(Coordinator, an_unknown_lease_is_told_to_register_again) {
  cluster::Heartbeat beat;
  beat.node_id = "nobody";
  EXPECT_EQ(why(coordinator_->heartbeat(beat)), Refusal::kNotFound);
}

TEST_F(Coordinator, advice_names_at_most_three_and_never_a_draining_node) {
  for (const char* id : {"a", "b", "c", "d", "e"}) join(id);
  ASSERT_TRUE(coordinator_->drain("a", true, change()).ok());
  const auto advice = coordinator_->route_request({"main_db", route::Need::kRead, ""});
  ASSERT_TRUE(advice.ok()) << advice.status();
  EXPECT_EQ(advice->instances.size(), 3u);
  for (const auto& instance : advice->instances) EXPECT_NE(instance.node_id, "a");
  EXPECT_EQ(why(coordinator_->route_request({"nowhere", route::Need::kRead, ""})),
            Refusal::kNotFound);
  EXPECT_EQ(coordinator_->discover_pools("main_db").size(), 5u);
}

TEST_F(Coordinator, every_administrative_change_is_in_the_audit_log_and_edits_show) {
  join("n1");
  ASSERT_TRUE(coordinator_->drain("n1", true, change()).ok());
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  ASSERT_TRUE(coordinator_->remove("n1", change()).ok());
  restart();
  ASSERT_TRUE(coordinator_->drain("n1", true, change()).ok() == false);
  EXPECT_TRUE(coordinator_->verify_audit().ok());
  const Json log = *coordinator_->audit(0, 10);
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[0]["action"], "node.remove");
  EXPECT_EQ(log[2]["who"], "ada");
  std::vector<Item> items;
  for (auto entry = log.rbegin(); entry != log.rend(); ++entry)
    items.push_back({"k", entry->dump(), 1});
  EXPECT_TRUE(Audit::verify(items).ok());
  Json edited = log[1];
  edited["who"] = "eve";
  items[1].value = edited.dump();
  EXPECT_FALSE(Audit::verify(items).ok());
  items.erase(items.begin());
  EXPECT_FALSE(Audit::verify(items).ok());
}

TEST(Audit, a_log_that_was_cut_or_written_anew_at_its_end_shows) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("cenote-audit-" + std::to_string(::getpid()) + ".db");
  const CallContext ample{Deadline::in(std::chrono::seconds(20)), {}};
  {
    const auto store = *open_sqlite_store(file);
    Audit audit = *Audit::load(ample, *store);
    EXPECT_TRUE(Audit::verify(ample, *store).ok()) << "nothing was written";
    for (const char* action : {"one", "two", "three"}) {
      StoreWrite write;
      audit.append(&write, {"ada", "r"}, action, Json(), Json());
      audit.advance(*store->commit(ample, write));
    }
    EXPECT_TRUE(Audit::verify(ample, *store).ok());
    const Item last = store->list(ample, "audit/")->back();
    ASSERT_TRUE(store->commit(ample, {{}, {}, {last.key}}).ok());
    EXPECT_NE(Audit::verify(ample, *store).message().find("ends at entry 2"), std::string::npos);
    // Another third entry, with a hash of its own that is right.
    Json forged = *parse_json(last.value);
    forged.erase("hash");
    forged["who"] = "eve";
    forged["hash"] = sha256(forged.dump());
    ASSERT_TRUE(store->commit(ample, {{}, {{last.key, forged.dump()}}, {}}).ok());
    EXPECT_NE(Audit::verify(ample, *store).message().find("written anew"), std::string::npos);
  }
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + end);
}

TEST_F(Coordinator, an_answer_is_repeated_for_a_day_and_then_forgotten) {
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change("k1")).ok());
  coordinator_->forget_old_answers("2000-01-01T00:00:00.000Z");
  EXPECT_TRUE(coordinator_->put_config("default", "a", 0, change("k1")).ok());
  coordinator_->forget_old_answers("9999-01-01T00:00:00.000Z");
  EXPECT_EQ(why(coordinator_->put_config("default", "a", 0, change("k1"))), Refusal::kStale);
}

TEST_F(Coordinator, a_watcher_that_fell_too_far_behind_is_told_to_list) {
  ChangeFeed feed(*coordinator_);
  cluster::Heartbeat beat = join("n1");
  uint64_t at = coordinator_->revision();
  std::string events;
  ASSERT_TRUE(feed.append(&at, &events));
  EXPECT_EQ(events, "");
  const uint64_t behind = at;
  for (int i = 0; i < 10'100; ++i) {
    beat.pools[0].healthy = i % 2 == 1;
    told(beat);
  }
  EXPECT_FALSE(feed.reaches(behind));
  EXPECT_FALSE(feed.append(&at, &events));
  EXPECT_NE(feed.reset().find("event: reset\n"), std::string::npos);
  at = coordinator_->revision();
  beat.pools[0].healthy = !beat.pools[0].healthy;
  told(beat);
  ASSERT_TRUE(feed.append(&at, &events)) << "who listed again goes on";
  EXPECT_EQ(at, coordinator_->revision());
  EXPECT_NE(events.find("event: change\n"), std::string::npos);
}

TEST_F(Coordinator, what_a_dead_node_said_last_of_its_load_does_not_count) {
  cluster::Heartbeat beat = join("n1");
  join("n2");
  beat.pools[0].active = 7;
  told(beat);
  EXPECT_EQ(coordinator_->summary()["pool_distribution"]["pools"]["main_db"]["active"].get<int>(),
            7);
  ASSERT_TRUE(coordinator_->refused("n1", "grpc://127.0.0.1:1").ok());
  judge();
  const Json distribution = coordinator_->summary()["pool_distribution"];
  EXPECT_EQ(distribution["nodes"]["dead"].get<int>(), 1);
  EXPECT_EQ(distribution["pools"]["main_db"]["active"].get<int>(), 0);
  EXPECT_EQ(distribution["pools"]["main_db"]["instances"].get<int>(), 1);
  const std::string metrics = coordinator_->prometheus();
  EXPECT_NE(metrics.find("cenote_instance_up{node=\"n1\",pool=\"main_db\"} 0"), std::string::npos);
  EXPECT_EQ(metrics.find("cenote_instance_connections_active{node=\"n1\""), std::string::npos);
}

TEST_F(Coordinator, a_roll_out_to_nobody_completes) {
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  for (int i = 0; i < 4; ++i) judge();
  EXPECT_EQ((*coordinator_->rollout("default"))["stage"].get<std::string>(), "done");
  cluster::Heartbeat late = join("n1");
  EXPECT_EQ(told(late), 1u) << "who comes later gets it";
}

TEST_F(Coordinator, a_first_version_that_fails_leaves_the_nodes_as_they_are) {
  cluster::Heartbeat one = join("n1");
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  EXPECT_EQ(told(one), 1u);
  told(one, {{0}, {1}, "no such host", 0});
  judge();
  judge();
  EXPECT_EQ(told(one, {{0}, {1}, "no such host", 0}), 0u);
  EXPECT_EQ((*coordinator_->rollout("default"))["stage"].get<std::string>(), "rolled_back");
  EXPECT_EQ((*coordinator_->config_history("default"))["versions"].size(), 1u);
}

TEST_F(Coordinator, only_a_version_that_all_nodes_took_is_gone_back_to) {
  cluster::Heartbeat one = join("n1");
  ASSERT_TRUE(coordinator_->put_config("default", "good", 0, change()).ok());
  for (int i = 0; i < 4; ++i) {
    told(one, {{1}, {}, "", 0});
    judge();
  }
  ASSERT_TRUE(coordinator_->put_config("default", "bad", 1, change()).ok());
  ASSERT_TRUE(coordinator_->put_config("default", "worse", 2, change()).ok());
  cluster::Heartbeat two = join("n2");
  judge();
  EXPECT_EQ(told(two), 1u) << "a node that is not the canary gets nothing unproven";
  told(one, {{1}, {3}, "no such host", 0});
  judge();
  EXPECT_EQ((*coordinator_->config("default", 0))["content"], "good");
  for (int i = 0; i < 4; ++i) {
    told(one, {{4}, {}, "", 0});
    told(two, {{4}, {}, "", 0});
    judge();
  }
  EXPECT_EQ((*coordinator_->config_history("default"))["versions"].size(), 4u);
}

TEST_F(Coordinator, a_way_back_that_fails_is_not_tried_again_and_again) {
  cluster::Heartbeat one = join("n1");
  ASSERT_TRUE(coordinator_->put_config("default", "good", 0, change()).ok());
  for (int i = 0; i < 4; ++i) {
    told(one, {{1}, {}, "", 0});
    judge();
  }
  ASSERT_TRUE(coordinator_->put_config("default", "bad", 1, change()).ok());
  told(one, {{1}, {2}, "no such host", 0});
  judge();
  for (int i = 0; i < 4; ++i) {
    told(one, {{1}, {3}, "the file is gone", 0});
    judge();
  }
  EXPECT_EQ((*coordinator_->config_history("default"))["versions"].size(), 3u);
}

TEST_F(Coordinator, listeners_hear_of_every_visible_change_once) {
  int heard = 0;
  coordinator_->on_change([&] { ++heard; });
  cluster::Heartbeat beat = join("n1");
  EXPECT_EQ(heard, 1);
  told(beat);
  EXPECT_EQ(heard, 1) << "load alone wakes nobody";
  ASSERT_TRUE(coordinator_->drain("n1", true, change()).ok());
  EXPECT_EQ(heard, 2);
}

TEST_F(Coordinator, the_summary_has_adr_002s_five_groups) {
  join("n1");
  const Json summary = coordinator_->summary();
  for (const char* group :
       {"pool_distribution", "request_routing", "failover", "network_partition", "config_sync"}) {
    EXPECT_TRUE(summary.contains(group)) << group;
  }
  EXPECT_EQ(summary["pool_distribution"]["pools"]["main_db"]["max"], 10);
  EXPECT_NE(coordinator_->prometheus().find("cenote_nodes{state=\"up\"} 1"), std::string::npos);
}

}  // namespace
}  // namespace cenote::coordinator
