// Managers of several processes over one store: they follow one record, and go on without it.
#include <algorithm>
#include <memory>

#include "manager/failover_files.h"
#include "store/etcd_client.h"
#include "store/servers.h"

namespace cenote {
namespace {

class FailoverStore : public store::StoreServers, public FailoverFiles {
 protected:
  FailoverStore() : StoreServers("ETCD") {}
  void SetUp() override {
    StoreServers::SetUp();
    if (!urls_.empty()) make_files();
  }
  void TearDown() override { remove_files(); }

  std::string cluster() const { return "f" + std::to_string(::getpid()) + "-" + name(); }
  static std::string name() {
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::replace(name.begin(), name.end(), '_', '-');
    return name.substr(0, 40);
  }
  // As another process would have it.
  std::unique_ptr<DistributedPoolManager> open(WithoutStore without = WithoutStore::kKeep) const {
    DeploymentConfig deployment;
    deployment.mode = DeploymentMode::kFullDistributed;
    deployment.discovery.type = "etcd";
    deployment.discovery.endpoints = {urls_.front()};
    deployment.discovery.cluster = cluster();
    deployment.pools = {config("a"), config("b")};
    ActiveStandby strategy = standby();
    strategy.without_store = without;
    if (without == WithoutStore::kHold) strategy.hold = std::chrono::milliseconds(100);
    deployment.failover = strategy;
    auto manager = DistributedPoolManager::open(std::move(deployment));
    EXPECT_TRUE(manager.ok()) << manager.status();
    return std::move(*manager);
  }
  static FailoverStatus status(const DistributedPoolManager& manager) {
    return manager.failover_status().at(0);
  }
  static bool ready(DistributedPoolManager& manager) {
    return until(
        [&] { return status(manager).state == "active" && manager.failover("a", "b", true).ok(); });
  }
  // A store that takes its time is asked again, and may have done it the first time.
  static bool switched(DistributedPoolManager& manager, const std::string& to) {
    return until([&] { return manager.failover("a", to).ok() || status(manager).active == to; });
  }
  static Status write(DistributedPoolManager& manager) {
    return manager.execute("a", "insert into t values ('w')").status();
  }
  void forget() const {
    auto client = *store::EtcdClient::make(options());
    const std::string key = "/cenote/" + cluster() + "/failover/a";
    ASSERT_TRUE(client.commit(context(), {{}, {}, {key}}).ok());
  }
};

TEST_F(FailoverStore, what_one_process_decides_the_others_follow) {
  auto one = open();
  auto two = open();
  ASSERT_TRUE(ready(*one));
  ASSERT_TRUE(ready(*two));
  EXPECT_NE(status(*one).store.find("etcd (http://"), std::string::npos) << status(*one).store;
  ASSERT_TRUE(switched(*one, "b"));
  EXPECT_EQ(place(*one, "a"), "b");
  ASSERT_TRUE(until([&] { return status(*two).active == "b"; }));
  EXPECT_EQ(status(*two).epoch, 1U);
  EXPECT_EQ(place(*two, "a"), "b");
  const std::string event = status(*two).events.back();
  EXPECT_TRUE(event.starts_with("followed (epoch 1) a → b")) << event;
  EXPECT_NE(event.find("decided by"), std::string::npos) << event;
  EXPECT_NE(two->prometheus().find("cenote_failover_events_total{pool=\"a\",event=\"followed\"} 1"),
            std::string::npos);
  ASSERT_TRUE(switched(*two, "a")) << "and the other way round";
  EXPECT_TRUE(until([&] { return status(*one).active == "a" && status(*one).epoch == 2; }));
}

TEST_F(FailoverStore, a_process_that_starts_later_begins_where_the_others_are) {
  auto one = open();
  ASSERT_TRUE(ready(*one));
  ASSERT_TRUE(switched(*one, "b"));
  auto late = open();
  // The first call waits for the record, and no longer.
  std::string first = place(*late, "a");
  // Nor for a store that does not answer in time: then the next process shows it.
  for (int i = 0; i < 20 && first != "b" && !status(*late).store_error.empty(); ++i) {
    late = open();
    first = place(*late, "a");
  }
  EXPECT_EQ(first, "b");
}

TEST_F(FailoverStore, a_store_that_forgot_the_record_gets_it_back) {
  auto one = open();
  ASSERT_TRUE(ready(*one));
  ASSERT_TRUE(switched(*one, "b"));
  forget();
  EXPECT_TRUE(until([&] {
    auto late = open();
    return until([&] { return status(*late).state != "starting"; }) && status(*late).active == "b";
  }));
}

TEST_F(FailoverStore, without_its_store_a_process_goes_on_and_decides_nothing) {
  auto one = open();
  ASSERT_TRUE(ready(*one));
  const store::Paused paused(pid_of(urls_.front()));
  ASSERT_TRUE(until([&] { return !status(*one).store_error.empty(); }));
  EXPECT_TRUE(write(*one).ok());
  const Status refused = one->failover("a", "b").status();
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(status(*one).active, "a");
  EXPECT_EQ(status(*one).epoch, 0U);
}

TEST_F(FailoverStore, a_process_that_wants_it_writes_nothing_that_others_may_have_left) {
  auto one = open(WithoutStore::kHold);
  ASSERT_TRUE(ready(*one));
  ASSERT_TRUE(until([&] { return write(*one).ok(); }));
  {
    const store::Paused paused(pid_of(urls_.front()));
    ASSERT_TRUE(until([&] { return !write(*one).ok(); }));
    const Status held = write(*one);
    EXPECT_EQ(error_detail(held)->sent, Sent::kNo) << held;
    EXPECT_NE(held.message().find("without_store is hold"), std::string::npos) << held;
    EXPECT_TRUE(one->execute_query("a", "select 1").ok()) << "reads go on";
    EXPECT_FALSE(status(*one).takes_writes);
  }
  EXPECT_TRUE(until([&] { return write(*one).ok(); }));
}

}  // namespace
}  // namespace cenote
