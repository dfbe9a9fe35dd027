// A real coordinator on loopback, and calls of it.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/json.h"
#include "coordinator/server.h"
#include "net/http_client.h"

namespace cenote::coordinator {

struct Answer {
  int status = 0;
  Json body;
  std::map<std::string, std::string> headers;
  std::string text;
};

class Serving : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("cenote-serving-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    options_.listen = "127.0.0.1:0";
    options_.state = (folder_ / "state.db").string();
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  void start() {
    auto started = CoordinatorServer::start(options_);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = std::move(*started);
    // A restart keeps its address, as a real one does.
    options_.listen = server_->url().substr(server_->url().find("//") + 2);
  }
  void stop() { server_.reset(); }
  void restart() {
    stop();
    start();
  }

  static CallContext context() { return {Deadline::in(std::chrono::seconds(20)), {}}; }
  Result<HttpAnswer> send(const std::string& token, HttpCall call) const {
    HttpClientOptions options;
    options.url = server_->url();
    options.token = token;
    options.tls = tls_;
    ARROW_ASSIGN_OR_RAISE(const auto client, HttpClient::make(options));
    return client->send(context(), call);
  }
  // As a client does: who is told to come back does, with the key of the same change. A disk of a
  // machine under test may take longer than a coordinator waits for it.
  Answer call(const std::string& method, const std::string& target, const Json& body = Json(),
              std::map<std::string, std::string> headers = {}) const {
    static std::atomic<int> keys = 0;
    if (method != "GET") headers.try_emplace("idempotency-key", "test-" + std::to_string(++keys));
    const Deadline deadline = Deadline::in(std::chrono::seconds(30));
    Answer answer;
    do {
      answer = call_once(method, target, body, headers);
    } while (answer.status == 503 && !deadline.passed());
    return answer;
  }
  Answer call_once(const std::string& method, const std::string& target, const Json& body = Json(),
                   std::map<std::string, std::string> headers = {}) const {
    HttpCall asked{method, target, std::move(headers), body.is_null() ? "" : body.dump()};
    if (!body.is_null()) asked.headers.emplace("content-type", "application/json");
    const Result<HttpAnswer> got = send(token_, asked);
    EXPECT_TRUE(got.ok()) << got.status();
    if (!got.ok()) return {};
    Answer answer{got->status, Json(), got->headers, got->body};
    const Result<Json> parsed = parse_json(got->body);
    if (parsed.ok()) answer.body = *parsed;
    return answer;
  }
  // Waits until the newest version has come through its roll-out. False: it did not.
  bool rolled_out() const {
    const Deadline deadline = Deadline::in(std::chrono::seconds(60));
    while (call("GET", "/v1/rollouts/default").body.value("stage", "") != "done") {
      if (deadline.passed()) return false;
    }
    return true;
  }
  static Json about(const std::string& id, uint64_t incarnation = 1) {
    return {{"node_id", id},
            {"incarnation", incarnation},
            {"location", "grpc://127.0.0.1:1"},
            {"pools", {{{"pool_id", "main_db"}, {"type", "sqlite"}, {"max", 10}}}}};
  }
  static Json config(int connections) {
    return {{"content",
             "deployment:\n  pools:\n    - id: main_db\n      type: sqlite\n      config: "
             "{database: shop.db}\n      pool: {max_connections: " +
                 std::to_string(connections) + "}\n"}};
  }
  static std::map<std::string, std::string> if_match(int version) {
    return {{"if-match", "\"" + std::to_string(version) + "\""}};
  }

  std::filesystem::path folder_;
  CoordinatorServerOptions options_;
  TlsClientOptions tls_;
  std::string token_;
  std::unique_ptr<CoordinatorServer> server_;
};

}  // namespace cenote::coordinator
