// The client of the API against the real server: both sides of every message.
#include <atomic>
#include <functional>
#include <thread>

#include "cluster/view.h"
#include "coordinator/serving.h"
#include "discovery/coordinator.h"
#include "shared.h"

namespace cenote::coordinator {
namespace {

using cluster::NodeState;
using cluster::View;
using std::chrono::seconds;

// A client: its view, and the thread that feeds it.
class Client final : public discovery::Watcher {
 public:
  explicit Client(discovery::CoordinatorOptions options)
      : discovery_(*discovery::coordinator_discovery(std::move(options))),
        thread_([this](const std::stop_token& stop) { discovery_->watch(stop, *this); }) {}

  View::Next list(const cluster::Snapshot& snapshot) override {
    return apply([&] {
      ++lists_;
      provisional_ = snapshot.provisional;
      return view_.apply(Clock::now(), snapshot);
    });
  }
  View::Next change(std::string_view cluster, uint64_t term,
                    const cluster::Change& change) override {
    return apply([&] {
      ++changes_;
      return view_.apply(Clock::now(), cluster, term, change);
    });
  }
  View::Next bookmark(std::string_view cluster, uint64_t term, uint64_t revision) override {
    return apply([&] {
      ++bookmarks_;
      return view_.bookmark(Clock::now(), cluster, term, revision);
    });
  }
  void failed(const Status& why) override {
    shared_.change([&] {
      ++failures_;
      last_failure_ = why;
    });
  }

  bool sees(const std::string& id, NodeState state) {
    return shared_.wait([&] {
      const auto found = view_.nodes().find(id);
      return found != view_.nodes().end() && found->second.state == state;
    });
  }
  bool sees_no(const std::string& id) {
    return shared_.wait([&] { return !view_.nodes().contains(id); });
  }
  bool wait(const std::function<bool(Client&)>& until) {
    return shared_.wait([&] { return until(*this); });
  }

  std::atomic<int> lists_ = 0;
  int changes_ = 0;
  int bookmarks_ = 0;
  std::atomic<int> failures_ = 0;
  bool provisional_ = false;
  Status last_failure_;
  View view_{View::Options()};

 private:
  View::Next apply(const std::function<View::Next()>& how) {
    View::Next next = View::Next::kGoOn;
    shared_.change([&] { next = how(); });
    return next;
  }
  Shared shared_{std::chrono::seconds(60)};
  std::unique_ptr<discovery::ServiceDiscovery> discovery_;
  std::jthread thread_;
};

// A node's side.
class Node final : public discovery::Member {
 public:
  Node(discovery::CoordinatorOptions options, std::string id)
      : id_(std::move(id)),
        discovery_(*discovery::coordinator_discovery(std::move(options))),
        thread_([this](const std::stop_token& stop) { discovery_->serve(stop, *this); }) {}

  cluster::Registration about() override {
    cluster::Registration about;
    about.node_id = id_;
    about.incarnation = 3;
    about.location = "grpc://127.0.0.1:1";
    about.pools = pools();
    return about;
  }
  void fill(cluster::Heartbeat* beat) override {
    shared_.change([&] {
      beat->pools = pools();
      beat->config_version = applied_;
      beat->config_rejected = rejected_;
      beat->config_reason = rejected_ ? "no such host" : "";
    });
  }
  cluster::MetricsReport metrics() override {
    return {3, {{"cenote_route_requests_total", "", cluster::MetricKind::kCounter, 7, {}, {}}}};
  }
  Status apply_config(uint64_t version, std::string_view content) override {
    const bool refuses = refuses_ == version;
    shared_.change([&] {
      content_ = content;
      (refuses ? rejected_.emplace() : applied_) = version;
    });
    return refuses ? make_error(ErrorKind::kConfig, "no such host") : Status::OK();
  }
  void set_draining(bool draining) override {
    shared_.change([&] { draining_ = draining; });
  }
  void renewed(const Status& status) override {
    shared_.change([&] {
      status.ok() ? ++renewals_ : ++failures_;
      last_ = status;
    });
  }
  bool wait(const std::function<bool(Node&)>& until) {
    return shared_.wait([&] { return until(*this); });
  }

  std::atomic<int> renewals_ = 0;
  std::atomic<int> failures_ = 0;
  Status last_;
  bool draining_ = false;
  std::atomic<uint64_t> refuses_ = 0;  // this version
  uint64_t applied_ = 0;
  std::optional<uint64_t> rejected_;
  std::string content_;

 private:
  static std::vector<cluster::PoolReport> pools() {
    return {{.pool_id = "main_db", .type = "sqlite", .max = 10, .active = 2}};
  }
  Shared shared_{std::chrono::seconds(60)};
  const std::string id_;
  std::unique_ptr<discovery::ServiceDiscovery> discovery_;
  std::jthread thread_;
};

class CoordinatorDiscovery : public Serving {
 protected:
  void SetUp() override {
    Serving::SetUp();
    options_.stage_hold = Duration::zero();
    start();
  }
  discovery::CoordinatorOptions client_options() const {
    discovery::CoordinatorOptions options;
    options.endpoints = {server_->url()};
    options.token = token_;
    options.call_timeout = seconds(10);  // a machine under test may be slow
    return options;
  }
};

TEST_F(CoordinatorDiscovery, a_node_is_seen_by_a_client_from_its_coming_to_its_leaving) {
  Client client(client_options());
  ASSERT_TRUE(client.wait([](Client& c) { return c.bookmarks_ > 0; })) << client.last_failure_;
  auto node = std::make_unique<Node>(client_options(), "n1");
  ASSERT_TRUE(client.sees("n1", NodeState::kUp)) << client.last_failure_;
  EXPECT_TRUE(node->wait([](Node& n) { return n.renewals_ >= 2; })) << node->last_;
  EXPECT_EQ(client.lists_, 1) << "a change came by the watch, not by another list";
  node.reset();
  EXPECT_TRUE(client.sees_no("n1"));
  EXPECT_EQ(client.failures_, 0) << client.last_failure_;
}

TEST_F(CoordinatorDiscovery, draining_reaches_the_node_and_its_clients_and_ends_again) {
  Client client(client_options());
  Node node(client_options(), "n1");
  ASSERT_TRUE(client.sees("n1", NodeState::kUp));
  EXPECT_EQ(call("POST", "/v1/nodes/n1/drain").status, 200);
  EXPECT_TRUE(client.sees("n1", NodeState::kDraining));
  EXPECT_TRUE(node.wait([](Node& n) { return n.draining_; }));
  EXPECT_EQ(call("POST", "/v1/nodes/n1/undrain").status, 200);
  EXPECT_TRUE(client.sees("n1", NodeState::kUp));
  EXPECT_TRUE(node.wait([](Node& n) { return !n.draining_; }));
}

TEST_F(CoordinatorDiscovery, a_restart_on_the_same_state_keeps_leases_and_views) {
  Client client(client_options());
  Node node(client_options(), "n1");
  ASSERT_TRUE(client.sees("n1", NodeState::kUp));
  const uint64_t term = server_->coordinator().term();
  const int renewals = node.renewals_;
  stop();
  ASSERT_TRUE(client.wait([](Client& c) { return c.failures_ > 0; }));
  EXPECT_TRUE(client.sees("n1", NodeState::kUp)) << "the last good view goes on";
  start();
  EXPECT_GT(server_->coordinator().term(), term);
  ASSERT_TRUE(client.wait([&](Client& c) { return c.view_.term() > term; }));
  EXPECT_TRUE(client.provisional_);
  EXPECT_TRUE(client.sees("n1", NodeState::kUp));
  EXPECT_TRUE(node.wait([&](Node& n) { return n.renewals_ > renewals && n.last_.ok(); }))
      << node.last_;
}

TEST_F(CoordinatorDiscovery, a_node_whose_lease_was_taken_away_registers_again) {
  Client client(client_options());
  Node node(client_options(), "n1");
  ASSERT_TRUE(client.sees("n1", NodeState::kUp));
  EXPECT_EQ(call("DELETE", "/v1/nodes/n1").status, 200);
  ASSERT_TRUE(client.wait([](Client& c) { return c.changes_ >= 2; }));
  EXPECT_TRUE(client.sees("n1", NodeState::kUp));
}

TEST_F(CoordinatorDiscovery, a_configuration_reaches_the_node_and_its_answer_comes_back) {
  Node node(client_options(), "n1");
  ASSERT_TRUE(node.wait([](Node& n) { return n.renewals_ > 0; })) << node.last_;
  ASSERT_EQ(call("PUT", "/v1/config/default", config(7), if_match(0)).status, 201);
  ASSERT_TRUE(node.wait([](Node& n) { return n.applied_ == 1; })) << node.last_;
  EXPECT_EQ(node.content_, config(7)["content"].get<std::string>());
  ASSERT_TRUE(node.wait([this](Node& n) {
    (void)n;
    return call("GET", "/v1/rollouts/default").body.value("stage", "") != "canary";
  }));
}

TEST_F(CoordinatorDiscovery, a_lost_state_gives_a_number_again_and_the_node_takes_its_new_content) {
  Node node(client_options(), "n1");
  ASSERT_TRUE(node.wait([](Node& n) { return n.renewals_ > 0; })) << node.last_;
  ASSERT_EQ(call("PUT", "/v1/config/default", config(7), if_match(0)).status, 201);
  ASSERT_TRUE(node.wait([](Node& n) { return n.applied_ == 1; })) << node.last_;
  stop();
  for (const char* ending : {"", "-wal", "-shm"}) {
    std::filesystem::remove(options_.state + ending);
  }
  start();
  ASSERT_EQ(call("PUT", "/v1/config/default", config(8), if_match(0)).status, 201);
  EXPECT_TRUE(node.wait([](Node& n) {
    return n.content_ == config(8)["content"].get<std::string>();
  })) << node.last_;
  EXPECT_TRUE(rolled_out());
}

TEST_F(CoordinatorDiscovery, a_version_that_the_node_refuses_is_rolled_back_by_itself) {
  options_.stage_hold = Duration::zero();
  restart();
  Node node(client_options(), "n1");
  ASSERT_TRUE(node.wait([](Node& n) { return n.renewals_ > 0; })) << node.last_;
  ASSERT_EQ(call("PUT", "/v1/config/default", config(7), if_match(0)).status, 201);
  ASSERT_TRUE(node.wait([](Node& n) { return n.applied_ == 1; })) << node.last_;
  ASSERT_TRUE(rolled_out());
  node.refuses_ = 2;
  ASSERT_EQ(call("PUT", "/v1/config/default", config(8), if_match(1)).status, 201);
  ASSERT_TRUE(node.wait([](Node& n) { return n.rejected_ == 2U; })) << node.last_;
  ASSERT_TRUE(node.wait([](Node& n) { return n.applied_ == 3; })) << node.last_;
  EXPECT_EQ(node.content_, config(7)["content"].get<std::string>());
}

TEST_F(CoordinatorDiscovery, the_metrics_of_a_node_arrive_in_the_summary) {
  Node node(client_options(), "n1");
  // They come behind a renewal.
  const Deadline deadline = Deadline::in(seconds(60));
  Json requests;
  while (requests != Json(7.0) && !deadline.passed()) {
    requests = call("GET", "/v1/summary").body["request_routing"]["requests"];
  }
  EXPECT_EQ(requests, Json(7.0)) << node.last_;
  EXPECT_NE(call("GET", "/metrics").text.find("cenote_route_requests_total 7"), std::string::npos);
}

TEST_F(CoordinatorDiscovery, a_wrong_token_is_told_as_what_it_is) {
  options_.tokens = {{"admin", "an operator's secret", TokenRole::kOperator, "", ""}};
  restart();
  auto options = client_options();
  options.token = "a guess";
  Client client(options);
  ASSERT_TRUE(client.wait([](Client& c) { return c.failures_ > 0; }));
  EXPECT_EQ(error_kind(client.last_failure_), ErrorKind::kAuthentication);
  EXPECT_EQ(client.last_failure_.message().find("a guess"), std::string::npos);
}

}  // namespace
}  // namespace cenote::coordinator
