// What the API answers: versions and their conditions, waiting, errors, repetition.
#include <thread>

#include "cluster/wire.h"
#include "coordinator/line_diff.h"
#include "coordinator/serving.h"
#include "net/raw_client.h"

namespace cenote::coordinator {
namespace {

class CoordinatorApi : public Serving {
 protected:
  void SetUp() override {
    Serving::SetUp();
    options_.registrations_per_second = 1'000;
    start();
  }
  std::string seen() const {
    const Json list = call("GET", "/v1/nodes").body;
    return std::to_string(list["term"].get<uint64_t>()) + "." +
           std::to_string(list["revision"].get<uint64_t>());
  }
  RawClient raw() const { return RawClient(server_->url().substr(7)); }
};

TEST_F(CoordinatorApi, every_answer_says_of_which_cluster_term_and_revision_it_is) {
  ASSERT_EQ(call("POST", "/v1/nodes", about("n1")).status, 201);
  const uint64_t term = call("GET", "/v1/nodes").body.value("term", uint64_t{0});
  EXPECT_GT(term, 0U);
  for (const char* target : {"/healthz", "/readyz", "/v1/nodes", "/v1/summary", "/nowhere",
                             "/v1/config/none", "/v1/nodes?oops=1", "/metrics"}) {
    const Answer answer = call("GET", target);
    EXPECT_EQ(answer.headers.at("cenote-cluster"), "cenote") << target;
    EXPECT_EQ(answer.headers.at("cenote-term"), std::to_string(term)) << target;
    EXPECT_EQ(answer.headers.at("cenote-revision"), "1") << target;
    if (std::string(target) == "/metrics") continue;
    EXPECT_EQ(answer.body.value("term", uint64_t{0}), term) << target;
  }
}

TEST_F(CoordinatorApi, errors_have_one_shape_that_says_where_and_what) {
  const auto wrong = [&](const std::string& method, const std::string& target, const Json& body,
                         int status, const std::string& words) {
    const Answer answer = call(method, target, body);
    EXPECT_EQ(answer.status, status) << answer.text;
    EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");
    EXPECT_EQ(answer.body.value("status", 0), status);
    EXPECT_NE(answer.body.value("detail", "").find(words), std::string::npos) << answer.text;
    return answer;
  };
  wrong("GET", "/v1/none", Json(), 404, "nothing at this path");
  wrong("PATCH", "/v1/nodes", Json(), 405, "other methods");
  wrong("GET", "/v1/nodes?wait=5m", Json(), 400, "at most 55s");
  wrong("GET", "/v1/nodes?revision=x", Json(), 400, "term.revision");
  wrong("GET", "/v1/nodes?Revision=1", Json(), 400, "unknown key; known are revision, wait");
  wrong("GET", "/v1/watch", Json(), 400, "list first");
  wrong("POST", "/v1/nodes", Json(), 400, "needs a body");
  Json odd = about("n1");
  odd["pools"][0]["max"] = "ten";
  const Answer place = wrong("POST", "/v1/nodes", odd, 422, "whole number");
  EXPECT_EQ(place.body["errors"][0]["pointer"], "/pools/0/max");
  odd = about("n1");
  odd["colour"] = "red";
  wrong("POST", "/v1/nodes", odd, 422, "/colour: is not known");
  wrong("POST", "/v1/nodes", about("../n1"), 422, "node_id must be");
  wrong("POST", "/v1/route", Json{{"pool_id", "none"}}, 404, "no node serves");
  wrong("POST", "/v1/route", Json{{"pool_id", "a"}, {"need", "luck"}}, 422, "read or write");
  wrong("POST", "/v1/nodes/none/drain", Json(), 404, "no node 'none'");
  wrong("GET", "/v1/config/default", Json(), 404, "default");
  wrong("GET", "/v1/config/default/versions/x", Json(), 400, "number");
  wrong("POST", "/v1/config/default/rollback", Json(), 409, "older version");
  wrong("GET", "/v1/rollouts/default", Json(), 404, "no roll-out");
}

TEST_F(CoordinatorApi, a_body_is_read_strictly) {
  const auto status = [&](const std::string& body, const std::string& type = "application/json") {
    const Result<HttpAnswer> answer =
        send("", {"POST", "/v1/nodes", {{"content-type", type}}, body});
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->status : 0;
  };
  EXPECT_EQ(status(about("n1").dump()), 201);
  EXPECT_EQ(status(about("n1").dump(), "text/plain"), 415);
  EXPECT_EQ(status(about("n1").dump(), "APPLICATION/JSON ; charset=utf-8"), 201);
  EXPECT_EQ(status("{"), 400);
  EXPECT_EQ(status("[]"), 422);
  EXPECT_EQ(status("{\"node_id\": \"a\", \"node_id\": \"b\"}"), 400) << "a key twice";
  EXPECT_EQ(status(std::string(40, '[') + std::string(40, ']')), 400) << "too deep";
  EXPECT_EQ(status("{\"node_id\": \"\xff\"}"), 400) << "no UTF-8";
  EXPECT_EQ(status("{\"node_id\": \"" + std::string(70'000, 'a') + "\"}"), 413);
  Json large = about("n2");
  large["incarnation"] = "9007199254740993";
  EXPECT_EQ(status(large.dump()), 201) << "beyond 2^53 a number is text";
  EXPECT_EQ(call("GET", "/v1/nodes").body["nodes"][1]["incarnation"], "9007199254740993");
}

TEST_F(CoordinatorApi, registering_again_gives_the_same_lease_and_an_older_process_is_refused) {
  const Answer first = call("POST", "/v1/nodes", about("n1", 5));
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(first.body["ttl_ms"], 5'000);
  EXPECT_EQ(first.body["heartbeat_ms"], 1'000);
  EXPECT_EQ(call("POST", "/v1/nodes", about("n1", 5)).body["lease"], first.body["lease"]);
  EXPECT_EQ(call("POST", "/v1/nodes", about("n1", 4)).status, 409);
  EXPECT_NE(call("POST", "/v1/nodes", about("n1", 6)).body["lease"], first.body["lease"]);
  EXPECT_EQ(call("DELETE", "/v1/nodes/n1?incarnation=5").status, 404);
  EXPECT_EQ(call("DELETE", "/v1/nodes/n1?incarnation=6").status, 200);
}

TEST_F(CoordinatorApi, a_heartbeat_for_an_unknown_lease_or_another_node_is_refused) {
  const Json lease = call("POST", "/v1/nodes", about("n1")).body["lease"];
  Json beat = {{"node_id", "n1"},
               {"incarnation", 1},
               {"lease", lease},
               {"seq", 1},
               {"pools", Json::array()}};
  EXPECT_EQ(call("PUT", "/v1/nodes/n1/heartbeat", beat).status, 200);
  EXPECT_EQ(call("PUT", "/v1/nodes/n2/heartbeat", beat).status, 422);
  beat["lease"] = 99;
  EXPECT_EQ(call("PUT", "/v1/nodes/n1/heartbeat", beat).status, 404);
}

TEST_F(CoordinatorApi, too_many_registrations_at_once_are_told_to_come_back) {
  options_.registrations_per_second = 1;
  restart();
  // One a second: on a busy machine the second one may come late enough.
  Answer answer;
  const Deadline deadline = Deadline::in(std::chrono::seconds(60));
  for (int i = 1; answer.status != 503 && !deadline.passed(); ++i) {
    answer = call_once("POST", "/v1/nodes", about("n" + std::to_string(i)));
    EXPECT_TRUE(answer.status == 503 || answer.status == 201) << answer.text;
  }
  EXPECT_EQ(answer.status, 503);
  EXPECT_GE(std::stoi(answer.headers.at("retry-after")), 1);
}

TEST_F(CoordinatorApi, a_configuration_is_written_only_over_the_version_that_was_seen) {
  const Answer blind = call("PUT", "/v1/config/default", config(1));
  EXPECT_EQ(blind.status, 428);
  const Answer first = call("PUT", "/v1/config/default", config(1), if_match(0));
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(first.headers.at("etag"), "\"1\"");
  EXPECT_EQ(call("PUT", "/v1/config/default", config(2), if_match(0)).status, 412);
  EXPECT_EQ(call("PUT", "/v1/config/default", config(2), {{"if-match", "*"}}).status, 400);
  EXPECT_EQ(call("PUT", "/v1/config/default", config(2), {{"if-match", "1"}}).status, 400);
  EXPECT_EQ(call("PUT", "/v1/config/default", config(2), if_match(1)).status, 201);
  const Answer newest = call("GET", "/v1/config/default");
  EXPECT_EQ(newest.body["content"], config(2)["content"]);
  EXPECT_EQ(newest.headers.at("etag"), "\"2\"");
  EXPECT_EQ(call("GET", "/v1/config/default", Json(), {{"if-none-match", "\"2\""}}).status, 304);
  EXPECT_EQ(call("GET", "/v1/config/default/versions/1").body["content"], config(1)["content"]);
}

TEST_F(CoordinatorApi, a_configuration_that_is_wrong_is_refused_with_its_place) {
  const Json wrong = {{"content", "deployment:\n  pools:\n    - id: a\n      type: sqlit\n"}};
  for (const auto& [method, target] :
       {std::pair("POST", "/v1/config/default/validate"), std::pair("PUT", "/v1/config/default")}) {
    const Answer answer = call(method, target, wrong, if_match(0));
    EXPECT_EQ(answer.status, 422);
    EXPECT_EQ(answer.body["errors"][0]["pointer"], "/content");
    EXPECT_NE(answer.body.value("detail", "").find(":3:7"), std::string::npos) << answer.text;
  }
  EXPECT_EQ(call("POST", "/v1/config/default/validate", config(3)).status, 200);
  EXPECT_EQ(call("GET", "/v1/config/default").status, 404) << "nothing was stored";
}

TEST_F(CoordinatorApi, secrets_of_a_configuration_are_references_that_the_coordinator_never_reads) {
  const Json content = {
      {"content",
       "deployment:\n  pools:\n    - id: a\n      type: postgresql\n      config: "
       "{host: db, port: \"${env:PORT_OF_NODE}\", database: shop, username: app, "
       "password: \"${file:/no/such/file}\"}\n"}};
  EXPECT_EQ(call("PUT", "/v1/config/default", content, if_match(0)).status, 201);
}

TEST_F(CoordinatorApi, a_secret_in_plain_text_is_refused_and_not_repeated) {
  const auto pool = [](const std::string& type, const std::string& settings) {
    return Json{{"content", "deployment:\n  pools:\n    - id: a\n      type: " + type +
                                "\n      config: {" + settings + "}\n"}};
  };
  const std::string host = "host: db, database: shop, username: app, ";
  for (const Json& content :
       {pool("postgresql", host + "password: canary"),
        pool("postgresql", "uri: \"postgresql://app:canary@db/shop\""),
        pool("postgresql", "uri: \"postgresql://db/shop?PASSWORD=canary\""),
        pool("odbc", "connection_string: \"Driver=x;UID=app;Pwd=canary\""),
        Json{{"content", "deployment: {pools: []}\nserver: {secret: canary}\n"}},
        Json{{"content",
              "deployment: {pools: [], coordinator: {endpoint: \"http://c:1\", token: canary}}\n"}},
        Json{{"content",
              "deployment: {pools: []}\nserver: {users: [{name: a, password: canary}]}\n"}}}) {
    for (const auto& [method, target] : {std::pair("POST", "/v1/config/default/validate"),
                                         std::pair("PUT", "/v1/config/default")}) {
      const Answer answer = call(method, target, content, if_match(0));
      EXPECT_EQ(answer.status, 422) << content << answer.text;
      EXPECT_NE(answer.text.find("${env:NAME}"), std::string::npos) << answer.text;
      EXPECT_EQ(answer.text.find("canary"), std::string::npos) << answer.text;
    }
  }
  for (const Json& content : {pool("postgresql", "uri: \"postgresql://app@db:5432/shop\""),
                              pool("postgresql", "uri: \"postgresql://app:${env:PW}@db/shop\""),
                              pool("odbc", "connection_string: \"Driver=x;UID=app\"")}) {
    EXPECT_EQ(call("POST", "/v1/config/default/validate", content).status, 200) << content;
  }
}

TEST_F(CoordinatorApi, history_differences_and_the_way_back) {
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(call("PUT", "/v1/config/default", config(i), if_match(i - 1)).status, 201);
  }
  const Answer diff = call("GET", "/v1/config/default/diff?from=1&to=3");
  const std::string text = diff.body["diff"];
  EXPECT_NE(text.find("-      pool: {max_connections: 1}\n"), std::string::npos) << text;
  EXPECT_NE(text.find("+      pool: {max_connections: 3}\n"), std::string::npos) << text;
  const Answer back = call("POST", "/v1/config/default/rollback", Json{{"to", 1}});
  EXPECT_EQ(back.status, 201);
  EXPECT_EQ(back.body["version"], 4);
  EXPECT_EQ(call("GET", "/v1/config/default/diff?from=1").body["diff"], "");
  const Json versions = call("GET", "/v1/config/default/history").body["versions"];
  ASSERT_EQ(versions.size(), 4U);
  EXPECT_EQ(versions[0]["action"], "config.rollback");
  EXPECT_EQ(call("GET", "/v1/rollouts/default").body["version"], 4);
}

TEST_F(CoordinatorApi, a_roll_out_that_is_aborted_brings_the_old_version_back) {
  options_.stage_hold = Duration::zero();
  restart();
  ASSERT_EQ(call("PUT", "/v1/config/default", config(1), if_match(0)).status, 201);
  ASSERT_TRUE(rolled_out());
  ASSERT_EQ(call("POST", "/v1/nodes", about("n1")).status, 201);
  ASSERT_EQ(call("PUT", "/v1/config/default", config(2), if_match(1)).status, 201);
  const Answer aborted =
      call("POST", "/v1/rollouts/default/abort", Json{{"reason", "second thoughts"}});
  EXPECT_EQ(aborted.status, 200) << aborted.text;
  const Answer now = call("GET", "/v1/config/default");
  EXPECT_EQ(now.body["version"], 3);
  EXPECT_EQ(now.body["content"], config(1)["content"]);
  EXPECT_EQ(now.body["reason"], "second thoughts");
}

TEST_F(CoordinatorApi, a_repeated_request_is_answered_once_and_its_key_fits_no_other) {
  std::map<std::string, std::string> headers = if_match(0);
  headers["idempotency-key"] = "7f3c";
  const Answer first = call("PUT", "/v1/config/default", config(1), headers);
  EXPECT_EQ(first.status, 201);
  restart();
  const Answer again = call("PUT", "/v1/config/default", config(1), headers);
  EXPECT_EQ(again.status, 201) << again.text;
  EXPECT_EQ(again.body["version"], 1);
  EXPECT_EQ(call("PUT", "/v1/config/default", config(2), headers).status, 422);
  EXPECT_EQ(call("PUT", "/v1/config/other", config(1), headers).status, 422);
  headers["idempotency-key"] = "has spaces";
  EXPECT_EQ(call("PUT", "/v1/config/default", config(1), headers).status, 400);
}

TEST_F(CoordinatorApi, a_long_poll_ends_with_the_next_change_or_with_304) {
  const std::string at = seen();
  EXPECT_EQ(call("GET", "/v1/nodes?revision=" + at).status, 304);
  EXPECT_EQ(call("GET", "/v1/nodes", Json(), {{"if-none-match", "\"" + at + "\""}}).status, 304);
  EXPECT_EQ(call("GET", "/v1/nodes?wait=50ms&revision=" + at).status, 304);
  EXPECT_EQ(call("GET", "/v1/nodes?wait=20s&revision=77.3").status, 200) << "of another term";
  Answer woken;
  std::thread waiting([&] { woken = call("GET", "/v1/nodes?wait=20s&revision=" + at); });
  EXPECT_EQ(call("POST", "/v1/nodes", about("n1")).status, 201);
  waiting.join();
  EXPECT_EQ(woken.status, 200);
  EXPECT_EQ(woken.body["nodes"][0]["node_id"], "n1");
}

TEST_F(CoordinatorApi, a_watch_tells_changes_in_order_with_their_ids) {
  const std::string at = seen();
  const std::string term = at.substr(0, at.find('.'));
  const RawClient watching = raw();
  watching.send("GET /v1/watch?from=" + at + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(watching.read_until("event: bookmark").find("text/event-stream"), std::string::npos);
  ASSERT_EQ(call("POST", "/v1/nodes", about("n1")).status, 201);
  ASSERT_EQ(call("POST", "/v1/nodes", about("n2")).status, 201);
  EXPECT_NE(watching.read_until("\"n1\"").find("id: " + term + ".1\nevent: change\n"),
            std::string::npos);
  EXPECT_NE(watching.read_until("\"n2\"").find("id: " + term + ".2\nevent: change\n"),
            std::string::npos);
  // A browser that connects again says where it was.
  const RawClient again = raw();
  again.send("GET /v1/watch HTTP/1.1\r\nHost: x\r\nLast-Event-ID: " + term + ".1\r\n\r\n");
  EXPECT_EQ(again.read_until("\"n2\"").find("\"n1\""), std::string::npos);
}

TEST_F(CoordinatorApi, a_watch_from_before_the_history_is_410) {
  const std::string at = seen();
  EXPECT_EQ(call("GET", "/v1/watch?from=1.99").status, 410);
  restart();
  const Answer answer = call("GET", "/v1/watch?from=" + at);
  EXPECT_EQ(answer.status, 410) << "of an older term";
  EXPECT_NE(answer.body.value("detail", "").find("list again"), std::string::npos);
}

TEST_F(CoordinatorApi, advice_names_nodes_by_their_load) {
  for (const char* id : {"n1", "n2"}) {
    Json registration = about(id);
    registration["pools"][0]["active"] = std::string(id) == "n1" ? 9 : 0;
    ASSERT_EQ(call("POST", "/v1/nodes", registration).status, 201);
  }
  const Answer answer = call("POST", "/v1/route", Json{{"pool_id", "main_db"}, {"need", "write"}});
  ASSERT_EQ(answer.status, 200);
  ASSERT_EQ(answer.body["instances"].size(), 2U);
  EXPECT_EQ(answer.body["instances"][0]["node_id"], "n2");
  EXPECT_EQ(answer.body["cacheable_ms"], 5'000);
}

TEST_F(CoordinatorApi, what_was_done_is_in_the_audit_log_with_the_id_of_its_request) {
  ASSERT_EQ(call("POST", "/v1/nodes", about("n1")).status, 201);
  const Answer drained =
      call("POST", "/v1/nodes/n1/drain", Json(), {{"x-request-id", "ticket-12"}});
  EXPECT_EQ(drained.headers.at("x-request-id"), "ticket-12");
  ASSERT_EQ(call("PUT", "/v1/config/default", config(1), if_match(0)).status, 201);
  const Json entries = call("GET", "/v1/audit").body["entries"];
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[1]["action"], "node.drain");
  EXPECT_EQ(entries[1]["request_id"], "ticket-12");
  EXPECT_EQ(entries[1]["who"], "anonymous");
  EXPECT_EQ(call("GET", "/v1/audit?before=2&limit=5").body["entries"].size(), 1U);
  EXPECT_EQ(call("GET", "/v1/audit/verify").body["whole"], true);
}

TEST_F(CoordinatorApi, the_document_describes_every_route_and_no_other) {
  const Json paths = call("GET", "/v1/openapi.json").body["paths"];
  std::set<std::string> described;
  for (const auto& [path, methods] : paths.items()) {
    for (const auto& [method, what] : methods.items()) {
      if (method != "parameters") described.insert(method + " " + path);
    }
  }
  std::set<std::string> served;
  for (const ApiRow& row : api_rows()) {
    std::string method(row.method);
    for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    served.insert(method + " " + std::string(row.path));
  }
  EXPECT_EQ(described, served);
}

TEST_F(CoordinatorApi, the_document_has_every_key_of_every_message_and_no_other) {
  const Json schemas = call("GET", "/v1/openapi.json").body["components"]["schemas"];
  const auto keys = [](const Json& object) {
    std::set<std::string> all;
    for (const auto& [key, value] : object.items()) all.insert(key);
    return all;
  };
  const auto same = [&](const char* name, const Json& message, bool answer) {
    std::set<std::string> described = keys(schemas.at(name).at("properties"));
    // What all answers have stands at the top of the document.
    for (const char* common : {"cluster", "term", "revision"}) {
      if (answer) described.insert(common);
    }
    EXPECT_EQ(keys(message), described) << name;
  };
  cluster::PoolReport pool{.pool_id = "main_db", .type = "sqlite", .max = 10};
  pool.lag = std::chrono::milliseconds(1);
  same("PoolReport", cluster::to_json(pool), false);
  cluster::Registration node;
  node.admin = "http://a:1";
  node.zone = "z";
  node.labels = {{"a", "b"}};
  same("Registration", cluster::to_json(node), false);
  same("Node", cluster::to_json(cluster::Node{node, cluster::NodeState::kUp, 1}), false);
  cluster::Heartbeat beat;
  beat.config_rejected = 1;
  beat.config_hash = beat.config_rejected_hash = "a";
  beat.peers = {{"n2", true}};
  beat.draining = true;
  same("Heartbeat", cluster::to_json(beat), false);
  const cluster::MetricsReport report{
      1, {{"a", "b=\"c\"", cluster::MetricKind::kHistogram, 1, {1}, {0, 1}}}};
  same("MetricsReport", cluster::to_json(report), false);
  same("MetricSample", cluster::to_json(report)["samples"][0], false);
  const Answer lease = call("POST", "/v1/nodes", about("n1"));
  same("Lease", lease.body, true);
  const Json first = {{"node_id", "n1"},
                      {"incarnation", 1},
                      {"lease", lease.body["lease"]},
                      {"seq", 1},
                      {"pools", Json::array()}};
  same("HeartbeatAnswer", call("PUT", "/v1/nodes/n1/heartbeat", first).body, true);
  same("Snapshot", call("GET", "/v1/nodes").body, false);
  ASSERT_EQ(call("POST", "/v1/nodes", about("n2")).status, 201);
  same("RouteAnswer", call("POST", "/v1/route", Json{{"pool_id", "main_db"}}).body, true);
  ASSERT_EQ(call("PUT", "/v1/config/default", config(1), if_match(0)).status, 201);
  same("Version", call("GET", "/v1/config/default").body, true);
  same("History", call("GET", "/v1/config/default/history").body, true);
  same("Diff", call("GET", "/v1/config/default/diff").body, true);
  same("Rollout", call("GET", "/v1/rollouts/default").body, true);
  same("Audit", call("GET", "/v1/audit").body, true);
}

TEST(LineDiff, shows_what_went_and_came_with_three_lines_around) {
  EXPECT_EQ(line_diff("a\nb\n", "a\nb\n"), "");
  EXPECT_EQ(line_diff("", "a\n"), "@@ -0,0 +1,1 @@\n+a\n");
  EXPECT_EQ(line_diff("1\n2\n3\n4\n5\nx\ny\n6\n", "1\n2\n3\n4\n5\nX\ny\n6\n"),
            "@@ -3,6 +3,6 @@\n 3\n 4\n 5\n-x\n+X\n y\n 6\n");
  EXPECT_EQ(line_diff("a\nb\nc\n", "b\nc\nd\n"), "@@ -1,3 +1,3 @@\n-a\n b\n c\n+d\n");
}

}  // namespace
}  // namespace cenote::coordinator
