// Calls through a manager of mode coordinated, with real nodes and a coordinator that says what the
// test wants.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "canned_coordinator.h"
#include "node/node.h"
#include "temporary_folder.h"

namespace cenote {
namespace {

using cluster::NodeState;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kEndless =
    "with recursive series(i) as (select 1 union all select i + 1 from series where i < "
    "100000000000) select count(*) from series";

class Routing : public testing::Test {
 protected:
  PoolConfig sqlite(const std::string& file, const std::string& id = "main_db") const {
    PoolConfig pool;
    pool.id = id;
    pool.type = "sqlite";
    pool.config["database"] = (directory_ / (file + ".db")).string();
    pool.health.interval = Duration::zero();  // a check may count as an active call
    return pool;
  }

  // A node whose table t says its name.
  void serve(const std::string& id) { serve(id, sqlite(id)); }
  void serve(const std::string& id, PoolConfig pool, const std::string& listen = "127.0.0.1:0") {
    DeploymentConfig config;
    const bool filled = pool.type == "sqlite";
    config.pools.push_back(std::move(pool));
    config.server.node_id = id;
    config.server.flight.listen = listen;
    auto node = node::Node::start(std::move(config));
    ASSERT_TRUE(node.ok()) << node.status();
    if (filled) {
      const auto served = *(*node)->manager().pool("main_db");
      ASSERT_TRUE(served->execute("create table if not exists t (name text)").ok());
      ASSERT_TRUE(served->execute("insert into t values (?)", Params::of(id)).ok());
    }
    shown_[id] = shown(id, (*node)->location());
    nodes_[id] = std::move(*node);
  }

  static cluster::Node shown(const std::string& id, const std::string& location) {
    cluster::Node node;
    node.about.node_id = id;
    node.about.incarnation = 1;
    node.about.location = location;
    node.about.pools.push_back({"main_db", "sqlite", 10});
    return node;
  }
  void publish() {
    std::vector<cluster::Node> all;
    for (const auto& [id, node] : shown_) all.push_back(node);
    coordinator_.set(std::move(all));
  }

  void open(LoadBalanceAlgorithm algorithm = LoadBalanceAlgorithm::kRoundRobin,
            std::vector<PoolConfig> own = {}) {
    DeploymentConfig config;
    config.mode = DeploymentMode::kCoordinated;
    config.coordinator.endpoints = {coordinator_.url()};
    config.load_balancer = algorithm;
    config.pools = std::move(own);
    auto manager = DistributedPoolManager::open(std::move(config));
    ASSERT_TRUE(manager.ok()) << manager.status();
    manager_ = std::move(*manager);
  }

  // The name that the call's node says.
  Result<std::string> ask(Origin* origin = nullptr) {
    ARROW_ASSIGN_OR_RAISE(const auto table,
                          manager_->execute_query("main_db", "select name from t", {}, {}, origin));
    ARROW_ASSIGN_OR_RAISE(const auto value, table->column(0)->GetScalar(0));
    return value->ToString();
  }
  // Waits, bounded, for what another thread brings about.
  static bool eventually(const std::function<bool()>& condition) {
    const Deadline deadline = Deadline::in(seconds(30));
    while (!condition()) {
      if (deadline.passed()) return false;
      std::this_thread::yield();
    }
    return true;
  }

  const TemporaryFolder directory_{"cenote-routing"};
  CannedCoordinator coordinator_;
  std::map<std::string, std::unique_ptr<node::Node>> nodes_;
  std::map<std::string, cluster::Node> shown_;
  std::unique_ptr<DistributedPoolManager> manager_;
};

TEST_F(Routing, a_pool_that_is_elsewhere_answers_as_one_of_our_own) {
  serve("n1");
  serve("n2");
  publish();
  open();
  std::set<std::string> seen;
  for (int i = 0; i < 4; ++i) {
    Origin origin;
    const auto name = ask(&origin);
    ASSERT_TRUE(name.ok()) << name.status();
    EXPECT_EQ(*name, origin.node);
    EXPECT_EQ(origin.location, nodes_[*name]->location());
    EXPECT_EQ(origin.attempts, 1);
    seen.insert(*name);
  }
  EXPECT_EQ(seen.size(), 2U) << "round_robin takes each in turn";
  EXPECT_EQ(manager_->discover_pools(), std::vector<std::string>{"main_db"});
  EXPECT_TRUE(manager_->list_pools().empty());
}

TEST_F(Routing, who_would_remove_a_pool_of_the_nodes_is_told_whose_it_is) {
  serve("n1");
  serve("n2");
  publish();
  open();
  ASSERT_TRUE(ask().ok());
  for (const Status& status : {manager_->remove_pool("main_db", Deadline::in(seconds(30))),
                               manager_->pool("main_db").status()}) {
    EXPECT_EQ(error_kind(status), ErrorKind::kUnknownPool) << status;
    for (const char* part : {"nodes serve it", "n1 is up", "n2 is up", "their configuration"}) {
      EXPECT_NE(status.message().find(part), std::string::npos) << status;
    }
  }
  EXPECT_TRUE(ask().ok());
  const Status none = manager_->remove_pool("none", Deadline::in(seconds(30)));
  EXPECT_NE(none.message().find("there is no pool 'none'"), std::string::npos) << none;
}

TEST_F(Routing, every_algorithm_reaches_a_node) {
  serve("n1");
  publish();
  for (const auto algorithm :
       {LoadBalanceAlgorithm::kLeastConnections, LoadBalanceAlgorithm::kWeightedRoundRobin,
        LoadBalanceAlgorithm::kRandom, LoadBalanceAlgorithm::kP2cEwma}) {
    open(algorithm);
    EXPECT_EQ(ask().ValueOr("nothing"), "n1");
  }
}

TEST_F(Routing, the_own_pool_comes_first) {
  serve("n1");
  publish();
  open(LoadBalanceAlgorithm::kRoundRobin, {sqlite("own")});
  ASSERT_TRUE(manager_->execute("main_db", "create table t (name text)").ok());
  ASSERT_TRUE(manager_->execute("main_db", "insert into t values ('own')").ok());
  ASSERT_TRUE(eventually([&] { return manager_->cluster_status()->nodes.size() == 1; }));
  Origin origin;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(*ask(&origin), "own");
  EXPECT_EQ(origin.node, "");
}

TEST_F(Routing, an_answer_of_the_own_pool_tells_which_configuration_this_process_applied) {
  serve("n1");
  shown_["n1"].config_version = 7;
  publish();
  open(LoadBalanceAlgorithm::kRoundRobin, {sqlite("own")});
  ASSERT_TRUE(manager_->execute("main_db", "create table t (name text)").ok());
  ASSERT_TRUE(manager_->execute("main_db", "insert into t values ('own')").ok());
  ASSERT_TRUE(eventually([&] { return manager_->cluster_status()->nodes.size() == 1; }));
  Origin origin;
  ASSERT_TRUE(ask(&origin).ok());
  EXPECT_EQ(origin.source, "own");
  EXPECT_EQ(origin.config_version, 0U) << "it serves nobody";
  manager_->expect_node("n1", 1, 1);
  ASSERT_TRUE(ask(&origin).ok());
  EXPECT_EQ(origin.config_version, 7U);
}

TEST_F(Routing, an_own_pool_without_its_database_gives_way_to_a_node) {
  serve("n1");
  publish();
  PoolConfig down = *pool_from_url("postgresql://nobody@127.0.0.1:1/none", "main_db");
  open(LoadBalanceAlgorithm::kRoundRobin, {down});
  ASSERT_TRUE(eventually([&] { return manager_->cluster_status()->nodes.size() == 1; }));
  Origin origin;
  const auto name = ask(&origin);
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_EQ(*name, "n1");
  EXPECT_EQ(origin.attempts, 2);
}

TEST_F(Routing, a_dead_node_costs_a_read_nothing_but_another_attempt) {
  serve("n1");
  serve("n2");
  publish();
  open();
  ASSERT_EQ(ask().status(), Status::OK());
  nodes_["n1"].reset();  // the view does not know
  int second = 0;
  for (int i = 0; i < 20; ++i) {
    Origin origin;
    const auto name = ask(&origin);
    ASSERT_TRUE(name.ok()) << name.status();
    EXPECT_EQ(*name, "n2");
    second += origin.attempts - 1;
  }
  EXPECT_GE(second, 1);
  EXPECT_LT(second, 10) << "every second call: no breaker opened";
}

TEST_F(Routing, the_coordinator_hears_of_a_node_that_refuses_connections) {
  serve("n1");
  serve("n2");
  publish();
  open();
  ASSERT_EQ(ask().status(), Status::OK());
  nodes_["n1"].reset();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask().ValueOr("nothing"), "n2");
  EXPECT_TRUE(eventually([&] { return coordinator_.refusals("n1") > 0; }));
  EXPECT_EQ(coordinator_.refusals("n2"), 0);
}

TEST_F(Routing, a_location_that_no_node_may_have_is_not_connected_to) {
  serve("n1");
  for (const char* place : {"grpc://169.254.169.254:80", "grpc://0.0.0.0:1", "grpc://2130706433:1",
                            "grpc://[::ffff:169.254.169.254]:1", "grpc://:1", "unix:///tmp/x"}) {
    shown_["evil"] = shown("evil", place);
    publish();
    open();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ask().ValueOr("nothing"), "n1") << place;
  }
  shown_.erase("n1");
  publish();
  ASSERT_TRUE(eventually([&] { return manager_->cluster_status()->nodes.size() == 1; }));
  EXPECT_EQ(error_kind(ask().status()), ErrorKind::kConfig) << ask().status();
}

TEST_F(Routing, nodes_outside_of_the_clients_networks_are_left_alone) {
  serve("n1");
  publish();
  DeploymentConfig config;
  config.mode = DeploymentMode::kCoordinated;
  config.coordinator.endpoints = {coordinator_.url()};
  config.remote.networks = {"10.0.0.0/8"};
  manager_ = *DistributedPoolManager::open(config);
  EXPECT_EQ(error_kind(ask().status()), ErrorKind::kConfig) << ask().status();
  config.remote.networks = {"127.0.0.0/8"};
  manager_ = *DistributedPoolManager::open(config);
  EXPECT_EQ(ask().ValueOr("nothing"), "n1");
  config.remote.networks = {"ten"};
  EXPECT_NE(DistributedPoolManager::open(config).status().message().find("remote.networks"),
            std::string::npos);
}

TEST_F(Routing, a_name_is_resolved_before_it_is_connected_to) {
  serve("n1");
  std::string location = nodes_["n1"]->location();
  location.replace(location.find("127.0.0.1"), 9, "localhost");
  shown_["n1"].about.location = location;
  publish();
  open();
  Origin origin;
  EXPECT_EQ(ask(&origin).ValueOr("nothing"), "n1");
  EXPECT_EQ(origin.location, location);
}

TEST_F(Routing, a_write_that_was_not_sent_goes_to_another_node) {
  serve("n1");
  serve("n2");
  publish();
  open();
  ASSERT_EQ(ask().status(), Status::OK());
  nodes_["n1"].reset();
  for (int i = 0; i < 4; ++i) {
    const auto count = manager_->execute("main_db", "insert into t values ('again')");
    ASSERT_TRUE(count.ok()) << count.status();
    EXPECT_EQ(*count, 1);
  }
  const auto rows = manager_->execute_query("main_db", "select * from t where name = 'again'");
  EXPECT_EQ((*rows)->num_rows(), 4);
}

TEST_F(Routing, a_write_without_a_living_node_says_that_it_was_not_sent) {
  serve("n1");
  publish();
  open();
  ASSERT_EQ(ask().status(), Status::OK());
  const std::string location = nodes_["n1"]->location();
  nodes_["n1"].reset();
  const Status status = manager_->execute("main_db", "insert into t values ('x')").status();
  EXPECT_EQ(error_kind(status), ErrorKind::kConnection) << status;
  EXPECT_EQ(error_detail(status)->sent, Sent::kNo);
  EXPECT_EQ(error_detail(status)->pool, "main_db");
  EXPECT_TRUE(retryable(status));
  for (const std::string& word : {std::string("pool 'main_db'"), std::string("node 'n1'"), location,
                                  std::string("was not sent"), coordinator_.url()}) {
    EXPECT_NE(status.message().find(word), std::string::npos) << word << " in " << status;
  }
}

TEST_F(Routing, a_write_whose_node_dies_meanwhile_ends_as_unknown_and_is_not_sent_twice) {
  serve("n1");
  serve("n2");
  shown_.erase("n2");
  publish();
  open();
  ASSERT_EQ(ask().status(), Status::OK());
  Status status;
  std::thread writer([&] {
    status = manager_->execute("main_db", std::string("insert into t ") + kEndless).status();
  });
  const auto served = *nodes_["n1"]->manager().pool("main_db");
  ASSERT_TRUE(eventually([&] { return served->get_status().active == 1; }));
  shown_["n2"] = shown("n2", nodes_["n2"]->location());
  publish();
  ASSERT_TRUE(eventually([&] { return manager_->cluster_status()->nodes.size() == 2; }));
  nodes_["n1"].reset();
  writer.join();
  EXPECT_FALSE(retryable(status)) << status;
  EXPECT_NE(error_detail(status)->sent, Sent::kNo) << status;
  EXPECT_NE(status.message().find("outcome is unknown"), std::string::npos) << status;
  const auto other = *nodes_["n2"]->manager().pool("main_db");
  EXPECT_EQ((*other->execute_query("select * from t"))->num_rows(), 1);
}

TEST_F(Routing, a_write_on_a_node_that_fell_silent_is_not_given_up) {
  serve("n1");
  publish();
  open();
  ASSERT_EQ(ask().status(), Status::OK());
  std::stop_source stop;
  QueryOptions options;
  options.stop = stop.get_token();
  Status status;
  std::thread writer([&] {
    const std::string endless = std::string("insert into t ") + kEndless;
    status = manager_->execute("main_db", endless, {}, options).status();
  });
  const auto served = *nodes_["n1"]->manager().pool("main_db");
  ASSERT_TRUE(eventually([&] { return served->get_status().active == 1; }));
  shown_["n1"].state = NodeState::kSuspect;
  publish();
  ASSERT_TRUE(eventually([&] { return manager_->cluster_status()->nodes[0].state == "suspect"; }));
  // A read would be cut, and sent elsewhere; nobody else may say what became of a write.
  EXPECT_EQ(ask().status(), Status::OK());
  stop.request_stop();
  writer.join();
  EXPECT_EQ(error_kind(status), ErrorKind::kCancelled) << status;
}

TEST_F(Routing, a_node_that_drains_is_passed_over) {
  serve("n1");
  serve("n2");
  publish();
  open();
  ASSERT_EQ(ask().status(), Status::OK());
  // A stream that is open keeps the node draining.
  const auto stream = manager_->execute_stream(
      "main_db",
      "with recursive s(i) as (select 1 union all select i + 1 from s where i < 100000000) "
      "select i from s");
  ASSERT_TRUE(stream.ok()) << stream.status();
  std::thread drain([&] { nodes_["n1"]->flight().drain(Deadline::in(seconds(1))); });
  ASSERT_TRUE(eventually([&] { return nodes_["n1"]->flight().draining(); }));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(ask().ValueOr("nothing"), "n2");
  drain.join();
}

TEST_F(Routing, trouble_of_one_nodes_database_is_answered_by_another_node) {
  serve("n1", *pool_from_url("postgresql://nobody@127.0.0.1:1/none", "main_db"));
  serve("n2");
  publish();
  open();
  for (int i = 0; i < 10; ++i) {
    const auto name = ask();
    ASSERT_TRUE(name.ok()) << name.status();
    EXPECT_EQ(*name, "n2");
  }
  // Alone it says whose trouble it is.
  shown_.erase("n2");
  publish();
  ASSERT_TRUE(eventually([&] { return manager_->cluster_status()->nodes.size() == 1; }));
  const Status status = ask().status();
  EXPECT_EQ(error_kind(status), ErrorKind::kConnection);
  ASSERT_NE(error_detail(status), nullptr) << status;
  EXPECT_EQ(error_detail(status)->endpoint, "127.0.0.1:1/none") << status;
}

TEST_F(Routing, the_last_good_view_goes_on_without_the_coordinator) {
  serve("n1");
  publish();
  open();
  ASSERT_EQ(ask().status(), Status::OK());
  coordinator_.stop();
  ASSERT_TRUE(eventually([&] { return !manager_->cluster_status()->last_error.empty(); }));
  const Duration age = *manager_->cluster_status()->age;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ask().ValueOr("nothing"), "n1");
  EXPECT_TRUE(eventually([&] { return *manager_->cluster_status()->age > age; }));
  EXPECT_NE(manager_->prometheus().find("cenote_view_age_seconds"), std::string::npos);
  coordinator_.start_again();
  EXPECT_TRUE(eventually([&] { return manager_->cluster_status()->last_error.empty(); }));
}

TEST_F(Routing, an_empty_list_does_not_empty_the_view) {
  serve("n1");
  publish();
  open();
  ASSERT_EQ(ask().status(), Status::OK());
  coordinator_.set({});
  ASSERT_TRUE(eventually([&] { return !manager_->cluster_status()->alarm.empty(); }));
  EXPECT_EQ(ask().ValueOr("nothing"), "n1");
  EXPECT_EQ(manager_->cluster_status()->nodes.size(), 1U);
}

TEST_F(Routing, nodes_that_come_and_go_are_followed) {
  serve("n1");
  publish();
  open();
  EXPECT_EQ(ask().ValueOr("nothing"), "n1");
  serve("n2");
  shown_.erase("n1");
  publish();
  EXPECT_TRUE(eventually([&] { return ask().ValueOr("nothing") == "n2"; }));
  // The same node, started anew at the same place.
  const std::string location = nodes_["n2"]->location();
  nodes_["n2"].reset();
  serve("n2", sqlite("n2"), location.substr(std::string("grpc://").size()));
  shown_["n2"].about.incarnation = 2;
  publish();
  EXPECT_TRUE(eventually([&] { return ask().ValueOr("nothing") == "n2"; }));
}

TEST_F(Routing, a_transaction_and_a_stream_stay_on_their_node) {
  serve("n1");
  serve("n2");
  publish();
  open();
  Origin origin;
  auto transaction = manager_->begin("main_db", {}, {}, &origin);
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  for (int i = 0; i < 3; ++i) {
    const auto table = transaction->execute_query("select name from t");
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_EQ((*(*table)->column(0)->GetScalar(0))->ToString(), origin.node);
    ASSERT_EQ(ask().status(), Status::OK());
  }
  ASSERT_TRUE(transaction->rollback().ok());
  QueryOptions options;
  options.limits.rows = 10;
  const auto stream = manager_->execute_stream(
      "main_db",
      "with recursive s(i) as (select 1 union all select i + 1 from s where i < 100) "
      "select i from s",
      {}, options, &origin);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_FALSE(origin.node.empty());
  EXPECT_EQ((*(*stream)->ToTable())->num_rows(), 100);
}

TEST_F(Routing, rows_are_ingested_once_and_by_a_living_node) {
  serve("n1");
  serve("n2");
  publish();
  open();
  ASSERT_EQ(ask().status(), Status::OK());
  nodes_["n1"].reset();
  for (int i = 0; i < 4; ++i) {
    const auto rows = manager_->execute_query("main_db", "select 'x' as name");
    ASSERT_TRUE(rows.ok()) << rows.status();
    // A node without a sign of life within half a second is sent nothing, and here is no other.
    Status status;
    ASSERT_TRUE(eventually([&] {
      arrow::TableBatchReader reader(*rows);
      status = manager_->ingest("main_db", {"t", IngestMode::kAppend}, reader).status();
      return status.ok() || !retryable(status);
    })) << status;
    ASSERT_TRUE(status.ok()) << status;
  }
  const auto all = manager_->execute_query("main_db", "select * from t");
  EXPECT_EQ((*all)->num_rows(), 1 + 4);
}

TEST_F(Routing, an_error_of_a_nodes_database_names_the_node) {
  serve("n1");
  publish();
  open();
  const Status status = manager_->execute_query("main_db", "select nonsense").status();
  EXPECT_EQ(error_kind(status), ErrorKind::kProgramming) << status;
  EXPECT_NE(status.message().find("no such column: nonsense (on node 'n1')"), std::string::npos)
      << status;
  EXPECT_EQ(error_detail(status)->endpoint, sqlite("n1").config["database"]);
}

TEST_F(Routing, a_pool_that_nobody_has_names_those_there_are) {
  serve("n1");
  publish();
  open();
  const Status status = manager_->execute_query("other", "select 1").status();
  EXPECT_EQ(error_kind(status), ErrorKind::kUnknownPool) << status;
  EXPECT_NE(status.message().find("main_db"), std::string::npos) << status;
}

TEST_F(Routing, without_any_view_the_error_names_the_coordinator_and_keeps_the_deadline) {
  coordinator_.stop();
  open();
  QueryOptions options;
  options.timeout = milliseconds(200);
  const Status status = manager_->execute_query("main_db", "select 1", {}, options).status();
  EXPECT_EQ(error_kind(status), ErrorKind::kConnection) << status;
  EXPECT_EQ(error_detail(status)->sent, Sent::kNo);
  EXPECT_NE(status.message().find(coordinator_.url()), std::string::npos) << status;
}

TEST_F(Routing, a_timeout_holds_for_the_whole_call) {
  serve("n1");
  publish();
  open();
  ASSERT_EQ(ask().status(), Status::OK());
  QueryOptions options;
  options.timeout = milliseconds(300);
  options.access = Access::kReadOnly;
  Status status;
  do {
    status = manager_->execute_query("main_db", kEndless, {}, options).status();
  } while (error_kind(status) == ErrorKind::kPoolTimeout);  // it was over before it began
  EXPECT_EQ(error_kind(status), ErrorKind::kQueryTimeout) << status;
}

TEST_F(Routing, many_threads_lose_no_read_while_nodes_come_and_go) {
  for (const char* id : {"n1", "n2", "n3"}) serve(id);
  publish();
  open(LoadBalanceAlgorithm::kP2cEwma);
  ASSERT_EQ(ask().status(), Status::OK());
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0;
  std::atomic<int> failed = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!stop.load()) {
        const auto name = ask();
        (name.ok() ? answered : failed).fetch_add(1);
        if (!name.ok()) ADD_FAILURE() << name.status();
      }
    });
  }
  const auto more = [&](int count) {
    const int before = answered.load();
    return eventually([&] { return answered.load() >= before + count || failed.load() > 0; });
  };
  EXPECT_TRUE(more(100));
  nodes_["n1"].reset();
  EXPECT_TRUE(more(100));
  shown_.erase("n1");
  publish();
  EXPECT_TRUE(more(100));
  stop.store(true);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(failed.load(), 0);
}

}  // namespace
}  // namespace cenote
