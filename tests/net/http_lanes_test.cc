// What a server bounds: calls that wait, connections, bodies of those who may send none; and HEAD.
#include <future>
#include <semaphore>
#include <thread>

#include <gtest/gtest.h>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/raw_client.h"

namespace cenote {
namespace {

using std::chrono::seconds;

CallContext context() {
  return {Deadline::in(seconds(20)), {}};
}

// A handler that begins, and ends when it is told to.
struct Held {
  std::counting_semaphore<> begun{0};
  std::counting_semaphore<> may_end{0};
  HttpResponse answer() {
    begun.release();
    may_end.acquire();
    return HttpResponse{.body = "held"};
  }
};

class HttpLanes : public testing::Test {
 protected:
  HttpLanes() { options_.queue_timeout = seconds(60); }
  void start() {
    options_.listen = "127.0.0.1:0";
    std::vector<HttpRoute> routes;
    routes.push_back({.path = "/waits",
                      .handler = [this](const HttpRequest&) { return waits_.answer(); },
                      .lane = HttpLane::kWait});
    routes.push_back({.path = "/computes",
                      .handler = [this](const HttpRequest&) { return computes_.answer(); },
                      .lane = HttpLane::kCompute});
    routes.push_back({.path = "/now",
                      .handler = [](const HttpRequest&) { return HttpResponse{.body = "now"}; }});
    routes.push_back({.path = "/feed", .handler = [](const HttpRequest&) {
                        HttpResponse response{.content_type = "text/event-stream"};
                        response.feed = std::make_shared<HttpFeed>();
                        response.feed->next = [](bool, std::string*) { return true; };
                        return response;
                      }});
    routes.push_back(
        {.path = "/guarded",
         .handler = [](const HttpRequest& asked) { return HttpResponse{.body = asked.body}; },
         .method = "PUT",
         .max_body = 1'000'000,
         .guard = [](const HttpRequest& head) -> std::optional<HttpResponse> {
           if (head.header("x-pass") == "yes") return std::nullopt;
           return HttpResponse{.status = 401, .body = "no\n"};
         }});
    auto started = HttpServer::start(options_, std::move(routes));
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = std::move(*started);
  }
  HttpAnswer ask(const std::string& method, const std::string& target) const {
    const auto client = *HttpClient::make({.url = "http://" + server_->address()});
    const auto answer = client->send(context(), {method, target, {}, ""});
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *answer : HttpAnswer();
  }
  std::future<HttpAnswer> ask_aside(const std::string& target) const {
    return std::async(std::launch::async, [this, target] { return ask("GET", target); });
  }

  HttpServerOptions options_;
  Held waits_;
  Held computes_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpLanes, calls_that_wait_hold_up_no_others_and_their_number_is_bounded) {
  options_.waiting_threads = 2;
  options_.max_queue = 2;
  start();
  auto first = ask_aside("/waits");
  auto second = ask_aside("/waits");
  for (int i = 0; i < 2; ++i) waits_.begun.acquire();
  EXPECT_EQ(ask("GET", "/now").body, "now");
  auto computed = ask_aside("/computes");
  computes_.begun.acquire();
  computes_.may_end.release();
  EXPECT_EQ(computed.get().body, "held");
  const HttpAnswer third = ask("GET", "/waits");
  EXPECT_EQ(third.status, 503);
  EXPECT_GE(std::stoi(third.headers.at("retry-after")), 1);
  waits_.may_end.release(2);
  EXPECT_EQ(first.get().body, "held");
  EXPECT_EQ(second.get().body, "held");
  waits_.may_end.release();
  EXPECT_EQ(ask("GET", "/waits").status, 200) << "there is room again";
}

TEST_F(HttpLanes, a_call_that_computes_holds_up_neither_those_that_wait_nor_the_server) {
  start();
  auto computed = ask_aside("/computes");
  computes_.begun.acquire();
  EXPECT_EQ(ask("GET", "/now").body, "now");
  waits_.may_end.release();
  EXPECT_EQ(ask("GET", "/waits").body, "held");
  computes_.may_end.release();
  EXPECT_EQ(computed.get().body, "held");
}

TEST_F(HttpLanes, a_call_whose_turn_comes_too_late_is_told_to_come_back) {
  options_.queue_timeout = Duration::zero();
  start();
  const HttpAnswer late = ask("GET", "/waits");
  EXPECT_EQ(late.status, 503);
  EXPECT_TRUE(late.headers.contains("retry-after"));
  EXPECT_FALSE(waits_.begun.try_acquire()) << "its handler was not called";
}

TEST_F(HttpLanes, head_is_answered_as_get_without_the_body) {
  start();
  const RawClient raw(server_->address());
  raw.send(
      "HEAD /now HTTP/1.1\r\nHost: x\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\nConnection: "
      "close\r\n\r\n");
  const std::string answers = raw.read_all();
  const size_t second = answers.find("HTTP/1.1 200", 1);
  ASSERT_NE(second, std::string::npos) << answers;
  const std::string head = answers.substr(0, second);
  EXPECT_NE(head.find("Content-Length: 3\r\n"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  EXPECT_TRUE(answers.ends_with("\r\n\r\nnow")) << answers;
}

TEST_F(HttpLanes, the_client_does_not_wait_for_the_body_of_a_head) {
  start();
  const auto client = *HttpClient::make({.url = "http://" + server_->address()});
  for (const char* method : {"HEAD", "GET", "HEAD"}) {
    const auto answer = client->send(context(), {method, "/now", {}, ""});
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->headers.at("content-length"), "3");
    EXPECT_EQ(answer->body, std::string(method) == "GET" ? "now" : "");
  }
}

TEST_F(HttpLanes, head_of_a_feed_ends) {
  start();
  const RawClient raw(server_->address());
  raw.send("HEAD /feed HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = raw.read_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_NE(answer.find("text/event-stream"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(HttpLanes, who_may_not_send_a_body_is_told_before_it_is_read) {
  start();
  const std::string rest = "Host: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n";
  const RawClient barred(server_->address());
  barred.send("PUT /guarded HTTP/1.1\r\n" + rest);
  const std::string answer = barred.read_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
  const RawClient let_in(server_->address());
  let_in.send("PUT /guarded HTTP/1.1\r\nX-Pass: yes\r\n" + rest);
  EXPECT_TRUE(let_in.read_until("\r\n\r\n").starts_with("HTTP/1.1 100"));
}

TEST_F(HttpLanes, a_body_that_does_not_come_loses_its_connection) {
  options_.body_timeout = std::chrono::milliseconds(50);
  start();
  const RawClient slow(server_->address());
  slow.send("PUT /guarded HTTP/1.1\r\nHost: x\r\nX-Pass: yes\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(slow.read_all(), "");
  EXPECT_EQ(ask("GET", "/now").status, 200);
}

TEST_F(HttpLanes, one_connection_too_many_is_told_in_the_servers_own_words_when_to_come_back) {
  options_.max_connections = 1;
  options_.refusal = [](int status, std::string_view reason) {
    return HttpResponse{.status = status,
                        .content_type = "application/problem+json",
                        .body = "{\"detail\": \"" + std::string(reason) + "\"}"};
  };
  start();
  const RawClient first(server_->address());
  first.send("GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
  first.read_until("now");
  const HttpAnswer second = ask("GET", "/now");
  EXPECT_EQ(second.status, 429);
  EXPECT_EQ(second.headers.at("content-type"), "application/problem+json");
  EXPECT_NE(second.body.find("too many connections"), std::string::npos);
  EXPECT_GE(std::stoi(second.headers.at("retry-after")), 1);
}

}  // namespace
}  // namespace cenote
