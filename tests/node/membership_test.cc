// A node among others: what it believes of the list that its coordinator gives, and what it keeps
// on its disk.
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "cluster/canned_coordinator.h"
#include "node/node.h"
#include "node/state_files.h"

namespace cenote::node {
namespace {

using std::chrono::seconds;

class NodeMembership : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("cenote-membership-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override {
    node_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void start() {
    DeploymentConfig config;
    config.mode = DeploymentMode::kCoordinated;
    config.coordinator.endpoints = {coordinator_.url()};
    config.node.id = "n1";
    config.node.state_dir = folder_.string();
    config.server.flight.listen = "127.0.0.1:0";
    config.pools.push_back(pool("own"));
    auto started = Node::start(std::move(config));
    ASSERT_TRUE(started.ok()) << started.status();
    node_ = std::move(*started);
  }
  PoolConfig pool(const std::string& id) const {
    PoolConfig pool;
    pool.id = id;
    pool.type = "sqlite";
    pool.config["database"] = (folder_ / (id + ".db")).string();
    return pool;
  }
  static cluster::Node shown(const std::string& id) {
    cluster::Node node;
    node.about.node_id = id;
    node.about.incarnation = 1;
    node.about.location = "grpc://127.0.0.1:1";
    node.about.pools.push_back({"main_db", "sqlite", 10});
    return node;
  }
  ClusterStatus view() const { return *node_->manager().cluster_status(); }
  std::filesystem::path last_good() const { return folder_ / "n1.last-good"; }
  static bool eventually(const std::function<bool()>& condition) {
    const Deadline deadline = Deadline::in(seconds(30));
    while (!condition()) {
      if (deadline.passed()) return false;
      std::this_thread::yield();
    }
    return true;
  }

  std::filesystem::path folder_;
  CannedCoordinator coordinator_;
  std::unique_ptr<Node> node_;
};

TEST_F(NodeMembership, a_list_without_a_node_that_renews_is_not_taken_and_raises_the_alarm) {
  coordinator_.set({shown("n1"), shown("n2")});
  start();
  ASSERT_TRUE(eventually(
      [&] { return view().nodes.size() == 2 && node_->membership()->state().registered; }));
  coordinator_.set({shown("n2")});
  ASSERT_TRUE(eventually([&] { return !view().alarm.empty(); }));
  EXPECT_NE(view().alarm.find("missing in the list"), std::string::npos) << view().alarm;
  EXPECT_EQ(view().nodes.size(), 2U);
  EXPECT_NE(node_->manager().prometheus().find("cenote_view_distrusted 1"), std::string::npos);
  coordinator_.set({shown("n1"), shown("n2"), shown("n3")});
  ASSERT_TRUE(eventually([&] { return view().nodes.size() == 3; }));
  EXPECT_EQ(view().alarm, "");
  EXPECT_NE(node_->manager().prometheus().find("cenote_view_distrusted 0"), std::string::npos);
}

TEST_F(NodeMembership, a_list_that_was_emptied_is_not_taken_and_raises_the_alarm) {
  coordinator_.set({shown("n1"), shown("n2")});
  start();
  ASSERT_TRUE(eventually([&] { return view().nodes.size() == 2; }));
  coordinator_.set({});
  ASSERT_TRUE(eventually([&] { return !view().alarm.empty(); }));
  EXPECT_NE(view().alarm.find("no nodes at all"), std::string::npos) << view().alarm;
  EXPECT_EQ(view().nodes.size(), 2U);
}

TEST_F(NodeMembership, a_node_that_holds_no_lease_believes_a_list_without_it) {
  coordinator_.set({shown("n1"), shown("n2")});
  start();
  ASSERT_TRUE(eventually(
      [&] { return view().nodes.size() == 2 && node_->membership()->state().registered; }));
  coordinator_.give_leases(false);
  ASSERT_TRUE(eventually([&] { return !node_->membership()->state().registered; }));
  coordinator_.set({shown("n2")});
  ASSERT_TRUE(eventually([&] { return view().nodes.size() == 1; }));
  EXPECT_EQ(view().alarm, "");
}

TEST_F(NodeMembership, it_begins_with_the_configuration_that_it_applied_last) {
  const std::string content = "deployment: {pools: [{id: kept, type: sqlite, config: {database: " +
                              (folder_ / "kept.db").string() + "}}]}\n";
  ASSERT_TRUE(keep_last_good(last_good(), {7, content}));
  EXPECT_EQ(std::filesystem::status(last_good()).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  start();
  EXPECT_EQ(node_->manager().list_pools(), std::vector<std::string>{"kept"});
  EXPECT_EQ(node_->membership()->state().pools_of, 7U);
  EXPECT_EQ(node_->membership()->state().config_version, 0U) << "until the coordinator confirms it";
  DeploymentConfig file;
  file.pools.push_back(pool("own"));
  const Status reloaded = node_->reload(std::move(file));
  EXPECT_NE(reloaded.message().find("cenote config apply"), std::string::npos) << reloaded;
  EXPECT_EQ(node_->manager().list_pools(), std::vector<std::string>{"kept"});
}

TEST_F(NodeMembership, what_cannot_be_used_of_the_last_configuration_is_left_for_the_own_file) {
  const LastGood whole{
      7, "deployment: {pools: [{id: kept, type: sqlite, config: {database: k.db}}]}\n"};
  const LastGood nonsense{8, "deployment: {pools: nonsense}\n"};
  const LastGood empty{9, "deployment: {pools: []}\n"};
  ASSERT_TRUE(keep_last_good(last_good(), whole));
  std::ifstream in(last_good(), std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  for (const size_t at : {size_t{3}, text.find(" 7 ") + 1, text.find('\n') - 2, text.size() - 3}) {
    std::string damaged = text;
    damaged[at] = damaged[at] == 'x' ? 'y' : 'x';
    std::ofstream(last_good(), std::ios::binary) << damaged;
    const auto read = read_last_good(last_good());
    ASSERT_FALSE(read.ok()) << damaged;
    EXPECT_NE(read.status().message().find("damaged"), std::string::npos);
  }
  std::ofstream(last_good(), std::ios::binary) << text.substr(0, text.size() / 2);
  EXPECT_FALSE(read_last_good(last_good()).ok());
  for (const LastGood& useless : {nonsense, empty}) {
    ASSERT_TRUE(keep_last_good(last_good(), useless));
    start();
    EXPECT_EQ(node_->manager().list_pools(), std::vector<std::string>{"own"});
    EXPECT_EQ(node_->membership()->state().pools_of, 0U);
    node_.reset();
  }
}

}  // namespace
}  // namespace cenote::node
