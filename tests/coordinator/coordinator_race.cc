// Everybody at once: nodes that beat, watchers, writers of configuration, drains, tokens, readers,
// and the end of it all. For ThreadSanitizer, and for what must hold in the end whatever the order
// was.
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "coordinator/serving.h"

namespace cenote::coordinator {
namespace {

using std::chrono::seconds;

constexpr int kRounds = 25;

class CoordinatorRace : public Serving {
 protected:
  void SetUp() override {
    Serving::SetUp();
    options_.registrations_per_second = 10'000;
    options_.suspect_after = options_.dead_after = std::chrono::hours(1);  // leases are kept
    options_.staged = false;
    options_.tokens = {{"root", "a secret of an operator", TokenRole::kOperator, "", ""},
                       {"nodes", "a secret of a node", TokenRole::kNode, "", ""}};
    token_ = "a secret of an operator";
    start();
  }
  // One connection of one thread.
  std::unique_ptr<HttpClient> client(const std::string& token) const {
    return *HttpClient::make({.url = server_->url(), .token = token});
  }
  static Answer ask(HttpClient& client, const std::string& method, const std::string& target,
                    const Json& body = Json(), std::map<std::string, std::string> headers = {}) {
    HttpCall call{method, target, std::move(headers), body.is_null() ? "" : body.dump()};
    if (!body.is_null()) call.headers["content-type"] = "application/json";
    static std::atomic<int> keys = 0;
    call.headers["idempotency-key"] = "race-" + std::to_string(++keys);
    Result<HttpAnswer> got = client.send(context(), call);
    // Told to come back: on a slow machine a call may wait too long for its turn.
    const Deadline deadline = Deadline::in(seconds(60));
    while (got.ok() && got->status == 503 && !deadline.passed()) {
      got = client.send(context(), call);
    }
    EXPECT_TRUE(got.ok()) << target << ": " << got.status();
    if (!got.ok()) return {};
    Answer answer{got->status, Json(), got->headers, got->body};
    if (const auto parsed = parse_json(got->body); parsed.ok()) answer.body = *parsed;
    return answer;
  }

  void beat(const std::string& id) const {
    const auto http = client("a secret of a node");
    for (int round = 1; round <= kRounds; ++round) {
      const Answer lease = ask(*http, "POST", "/v1/nodes", about(id, static_cast<uint64_t>(round)));
      ASSERT_EQ(lease.status, 201) << lease.text;
      Json beat = {{"node_id", id},
                   {"incarnation", round},
                   {"lease", lease.body["lease"]},
                   {"seq", 0},
                   {"pools", about(id)["pools"]}};
      for (int seq = 1; seq <= 4; ++seq) {
        beat["seq"] = seq;
        beat["pools"][0]["healthy"] = seq % 2 == 0;
        EXPECT_EQ(ask(*http, "PUT", "/v1/nodes/" + id + "/heartbeat", beat).status, 200);
      }
      const Json report = {{"incarnation", round},
                           {"samples", {{{"name", "t"}, {"kind", "counter"}, {"value", 1}}}}};
      EXPECT_EQ(ask(*http, "PUT", "/v1/nodes/" + id + "/metrics", report).status, 200);
    }
  }
  void write() {
    const auto http = client(token_);
    for (int round = 0; round < kRounds; ++round) {
      const Answer newest = ask(*http, "GET", "/v1/config/default");
      const int seen = newest.status == 200 ? newest.body["version"].get<int>() : 0;
      const Answer written =
          ask(*http, "PUT", "/v1/config/default", config(round + 1), if_match(seen));
      EXPECT_TRUE(written.status == 201 || written.status == 412) << written.text;
      if (written.status == 201) ++acknowledged_;
    }
  }
  void drain() const {
    const auto http = client(token_);
    for (int round = 0; round < kRounds; ++round) {
      for (const char* verb : {"drain", "undrain"}) {
        const int status = ask(*http, "POST", std::string("/v1/nodes/n1/") + verb).status;
        EXPECT_TRUE(status == 200 || status == 404) << status;
      }
    }
  }
  void give_and_take_tokens() const {
    const auto http = client(token_);
    for (int round = 0; round < kRounds; ++round) {
      const Answer made = ask(*http, "POST", "/v1/tokens", {{"name", "t"}, {"role", "viewer"}});
      ASSERT_EQ(made.status, 201) << made.text;
      // Told once, and that answer may have been lost.
      if (made.body.contains("token")) {
        EXPECT_EQ(ask(*client(made.body["token"]), "GET", "/v1/summary").status, 200);
      }
      EXPECT_EQ(ask(*http, "DELETE", "/v1/tokens/t").status, 200);
    }
  }
  void read() const {
    const auto http = client(token_);
    for (int round = 0; round < kRounds; ++round) {
      for (const char* target : {"/metrics", "/v1/summary", "/v1/audit", "/readyz", "/v1/nodes",
                                 "/v1/audit/verify", "/v1/config/default/history"}) {
        EXPECT_EQ(ask(*http, "GET", target).status, 200) << target;
      }
      const int route = ask(*http, "POST", "/v1/route", {{"pool_id", "main_db"}}).status;
      EXPECT_TRUE(route == 200 || route == 404) << route;
    }
  }
  // Until the server ends.
  void watch() {
    const auto http = client(token_);
    while (!ending_) {
      const Result<HttpAnswer> list = http->send(context(), {"GET", "/v1/nodes", {}, ""});
      if (!list.ok()) continue;
      const Json at = *parse_json(list->body);
      const std::string from = at["term"].dump() + "." + at["revision"].dump();
      (void)http->stream({Deadline(), {}}, {"GET", "/v1/watch?from=" + from, {}, ""}, seconds(20),
                         [this](std::string_view) {
                           ++pieces_;
                           return true;
                         });
    }
  }

  std::atomic<int> acknowledged_ = 0;
  std::atomic<int> pieces_ = 0;
  std::atomic<bool> ending_ = false;
};

TEST_F(CoordinatorRace, everybody_at_once_leaves_one_history_and_a_whole_audit_log) {
  std::vector<std::thread> watchers;
  for (int i = 0; i < 2; ++i) watchers.emplace_back([this] { watch(); });
  std::vector<std::thread> busy;
  for (const char* id : {"n1", "n2"}) busy.emplace_back([this, id] { beat(id); });
  for (int i = 0; i < 2; ++i) busy.emplace_back([this] { write(); });
  busy.emplace_back([this] { drain(); });
  busy.emplace_back([this] { give_and_take_tokens(); });
  busy.emplace_back([this] { read(); });
  for (std::thread& each : busy) each.join();
  const Json versions = call("GET", "/v1/config/default/history").body["versions"];
  EXPECT_EQ(versions.size(), static_cast<size_t>(acknowledged_));
  EXPECT_GE(acknowledged_.load(), kRounds);
  for (size_t i = 0; i < versions.size(); ++i) {
    EXPECT_EQ(versions[i]["version"].get<size_t>(), versions.size() - i);
  }
  EXPECT_TRUE(call("GET", "/v1/audit/verify").body["whole"].get<bool>());
  const Deadline deadline = Deadline::in(seconds(60));
  while (pieces_ == 0 && !deadline.passed()) std::this_thread::yield();
  EXPECT_GT(pieces_.load(), 0);
  ending_ = true;
  stop();  // with watches open
  for (std::thread& each : watchers) each.join();
}

}  // namespace
}  // namespace cenote::coordinator
