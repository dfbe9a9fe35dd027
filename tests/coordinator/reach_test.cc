// Where nodes may say that they are, and when the coordinator believes that one is gone.
#include "coordinator/serving.h"
#include "loopback_port.h"

namespace cenote::coordinator {
namespace {

// A place that somebody listens to, until closed.
class Listener {
 public:
  Listener() { port_.listen(8); }
  void close() { port_.close(); }
  std::string location() const { return "grpc://127.0.0.1:" + std::to_string(port_.number()); }

 private:
  LoopbackPort port_;
};

class CoordinatorReach : public Serving {
 protected:
  Answer registered(const std::string& id, const std::string& location,
                    const std::string& admin = "") const {
    Json body = about(id);
    body["location"] = location;
    if (!admin.empty()) body["admin"] = admin;
    return call("POST", "/v1/nodes", body);
  }
  // Reports it until its port is seen to refuse: a knock may come to nothing on a busy machine, and
  // within a second there is no other. How many reports that took; 0: it was never seen.
  int reports_until_refused(const std::string& id) const {
    const Deadline deadline = Deadline::in(std::chrono::seconds(60));
    for (int reports = 1; !deadline.passed(); ++reports) {
      const Answer answer = call("POST", "/v1/nodes/" + id + "/refused");
      EXPECT_EQ(answer.status, 200) << answer.text;
      if (answer.body.value("refused", false)) return reports;
    }
    return 0;
  }
  std::string state(const std::string& id) const {
    const Json list = call("GET", "/v1/nodes").body;
    for (const Json& node : list["nodes"]) {
      if (node.value("node_id", "") == id) return node.value("state", "");
    }
    return "unknown";
  }
};

TEST_F(CoordinatorReach, a_node_cannot_send_clients_where_only_this_machine_reaches) {
  start();
  for (const char* location :
       {"grpc://169.254.169.254:80", "grpc://[::ffff:169.254.169.254]:80", "grpc://0.0.0.0:1",
        "grpc://[fe80::1]:1", "grpc://2852039166:80", "grpc://0xa9fea9fe:80", "grpc://:1",
        "grpc://", "grpc://127.0.0.1:1@169.254.169.254:80", "grpc://127.0.0.1:1/../x"}) {
    const Answer answer = registered("n1", location);
    EXPECT_EQ(answer.status, 422) << location << answer.text;
    EXPECT_NE(answer.body.value("detail", "").find("/location"), std::string::npos) << answer.text;
  }
  EXPECT_EQ(registered("n1", "grpc://127.0.0.1:1", "http://169.254.169.254:80").status, 422);
  EXPECT_EQ(state("n1"), "unknown");
  EXPECT_EQ(registered("n1", "grpc://127.0.0.1:1", "http://127.0.0.1:2").status, 201);
  EXPECT_EQ(registered("n2", "grpc://10.0.0.1:1").status, 201);
}

TEST_F(CoordinatorReach, listed_networks_are_all_where_nodes_may_be) {
  options_.node_networks = {"10.0.0.0/8"};
  start();
  EXPECT_EQ(registered("n1", "grpc://10.0.0.1:1").status, 201);
  const Answer answer = registered("n2", "grpc://127.0.0.1:1");
  EXPECT_EQ(answer.status, 422);
  EXPECT_NE(answer.body.value("detail", "").find("coordinator.node_networks"), std::string::npos);

  stop();
  options_.node_networks = {"ten"};
  const auto started = CoordinatorServer::start(options_);
  EXPECT_EQ(error_kind(started.status()), ErrorKind::kConfig);
  EXPECT_NE(started.status().message().find("coordinator.node_networks"), std::string::npos);
}

TEST_F(CoordinatorReach, a_node_whose_port_refuses_is_dead_at_once) {
  options_.suspect_after = options_.dead_after = std::chrono::hours(1);  // silence says nothing
  start();
  Listener port;
  ASSERT_EQ(registered("n1", port.location()).status, 201);
  ASSERT_EQ(registered("n2", port.location()).status, 201);
  port.close();
  EXPECT_GT(reports_until_refused("n1"), 0);
  EXPECT_EQ(state("n1"), "dead");
  EXPECT_EQ(state("n2"), "up") << "nobody asked about it";
}

TEST_F(CoordinatorReach, nobody_can_talk_a_living_node_away) {
  start();
  const Listener port;
  ASSERT_EQ(registered("n1", port.location()).status, 201);
  const Answer answer = call("POST", "/v1/nodes/n1/refused");
  EXPECT_EQ(answer.status, 200) << answer.text;
  EXPECT_FALSE(answer.body.value("refused", true)) << answer.text;
  EXPECT_EQ(state("n1"), "up");
  EXPECT_EQ(call("POST", "/v1/nodes/none/refused").status, 404);
}

TEST_F(CoordinatorReach, reports_do_not_make_the_coordinator_knock_again_and_again) {
  options_.suspect_after = options_.dead_after = std::chrono::hours(1);
  start();
  // Within the same second it is not asked again; the next report after that finds out. Where the
  // second was over before the next report came, another node shows it.
  int reports = 0;
  for (int i = 1; i <= 20 && reports <= 1; ++i) {
    const std::string id = "n" + std::to_string(i);
    Listener port;
    ASSERT_EQ(registered(id, port.location()).status, 201);
    ASSERT_FALSE(call("POST", "/v1/nodes/" + id + "/refused").body.value("refused", true));
    port.close();
    reports = reports_until_refused(id);
    ASSERT_GT(reports, 0);
    EXPECT_EQ(state(id), "dead");
  }
  EXPECT_GT(reports, 1);
}

}  // namespace
}  // namespace cenote::coordinator
