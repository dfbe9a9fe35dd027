// What becomes of calls, and of the end of a process, while the resolver says nothing.
#include <gtest/gtest.h>

#include "cenote/manager.h"

#include "hanging_resolver.h"
#include "manager/node_links.h"

namespace cenote {
namespace {

using std::chrono::milliseconds;

class HangingNames : public testing::Test {
 protected:
  static route::Target target() {
    route::Target target;
    target.node_id = "n1";
    target.location = "grpc://n1.hangs:8815";
    target.load = std::make_shared<route::Load>();
    return target;
  }

  const std::unique_ptr<NodeLinks> links_ = *NodeLinks::make({}, Reach());
  HangingResolver resolver_;
};

TEST_F(HangingNames, a_call_to_a_node_ends_at_its_deadline) {
  const Status status =
      links_->link(target(), "main_db", {Deadline::in(milliseconds(50)), {}}).status();
  EXPECT_EQ(error_kind(status), ErrorKind::kQueryTimeout) << status;
  EXPECT_EQ(error_detail(status)->sent, Sent::kNo);
}

TEST_F(HangingNames, a_call_without_a_limit_goes_on_to_another_node) {
  const Status status = links_->link(target(), "main_db", {}).status();
  EXPECT_EQ(error_kind(status), ErrorKind::kConnection) << status;
  EXPECT_EQ(error_detail(status)->sent, Sent::kNo);
  EXPECT_NE(status.message().find("n1.hangs"), std::string::npos) << status;
}

class HangingSource : public HangingNames, public testing::WithParamInterface<const char*> {};

TEST_P(HangingSource, nobody_waits_for_the_name_of_a_store_and_the_process_can_end) {
  DeploymentConfig config;
  config.mode = DeploymentMode::kFullDistributed;
  config.discovery.type = GetParam();
  config.discovery.endpoints = {"store.hangs:1"};
  config.discovery.pools = {"main_db"};
  auto manager = DistributedPoolManager::open(std::move(config));
  ASSERT_TRUE(manager.ok()) << manager.status();
  QueryOptions options;
  options.timeout = milliseconds(100);
  const auto answer = (*manager)->execute_query("main_db", "select 1", {}, options);
  EXPECT_FALSE(answer.ok());
  manager->reset();
}

INSTANTIATE_TEST_SUITE_P(Kinds, HangingSource, testing::Values("etcd", "consul", "static"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace cenote
