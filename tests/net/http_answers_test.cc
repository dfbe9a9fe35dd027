// Bodies, parameters, and answers that wait or have no end.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/raw_client.h"
#include "net/sse.h"

namespace cenote {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

CallContext context() {
  return {Deadline::in(seconds(20)), {}};
}

class HttpAnswers : public testing::Test {
 protected:
  void start() {
    std::vector<HttpRoute> routes;
    routes.push_back({"/things/{name}",
                      [](const HttpRequest& asked) {
                        HttpResponse response;
                        response.status = 201;
                        response.body = asked.params.at("name") + "=" + asked.body;
                        response.headers.emplace_back("X-Peer", asked.peer);
                        return response;
                      },
                      "PUT", 1000, HttpLane::kWait});
    routes.push_back(
        {"/things/{name}", [](const HttpRequest&) { return HttpResponse{.body = "got"}; }});
    routes.push_back({"/wait", [this](const HttpRequest&) {
                        HttpResponse response;
                        response.wait = std::make_shared<HttpWait>();
                        response.wait->until = Deadline::in(wait_);
                        response.wait->again = [this](bool last) -> std::optional<HttpResponse> {
                          ++asked_;
                          if (news_ == 0 && !last) return std::nullopt;
                          return HttpResponse{.status = last ? 304 : 200,
                                              .body = std::to_string(news_)};
                        };
                        return response;
                      }});
    routes.push_back({"/feed", [this](const HttpRequest&) {
                        HttpResponse response;
                        response.content_type = "text/event-stream";
                        response.feed = std::make_shared<HttpFeed>();
                        response.feed->interval = milliseconds(50);
                        response.feed->next = [this, told = 0](bool due,
                                                               std::string* bytes) mutable {
                          if (due) *bytes += "event: bookmark\ndata: x\n\n";
                          for (; told < news_; ++told)
                            *bytes += "data: " + std::to_string(told) + "\n\n";
                          return news_ < 5;
                        };
                        return response;
                      }});
    HttpServerOptions options;
    options.listen = "127.0.0.1:0";
    options.queue_timeout = seconds(60);
    auto started = HttpServer::start(options, std::move(routes));
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = std::move(*started);
    auto client = HttpClient::make({.url = "http://" + server_->address()});
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = std::move(*client);
  }
  void news(int count) {
    news_ = count;
    server_->wake();
  }

  Duration wait_ = seconds(20);
  std::atomic<int> news_ = 0;
  std::atomic<int> asked_ = 0;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(HttpAnswers, a_body_and_the_parameters_of_the_path_reach_the_handler) {
  start();
  for (int i = 0; i < 3; ++i) {
    const auto answer = client_->send(context(), {"PUT", "/things/a%20b", {}, "value"});
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->status, 201);
    EXPECT_EQ(answer->body, "a b=value");
    EXPECT_EQ(answer->headers.at("x-peer"), "127.0.0.1");
  }
}

TEST_F(HttpAnswers, a_path_fits_only_as_it_is_and_another_method_is_405) {
  start();
  for (const char* path : {"/things", "/things/", "/things/a/b", "//things/a", "/things/a%2Fb",
                           "/things/%00", "/things/%zz", "/Things/a"}) {
    const auto answer = client_->send(context(), {"GET", path, {}, ""});
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->status, 404) << path;
  }
  const auto answer = client_->send(context(), {"DELETE", "/things/a", {}, ""});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 405);
  EXPECT_EQ(answer->headers.at("allow"), "PUT, GET, HEAD");
}

TEST_F(HttpAnswers, a_body_that_is_too_large_or_has_no_length_is_refused_unread) {
  start();
  const auto answer = client_->send(context(), {"PUT", "/things/a", {}, std::string(1001, 'x')});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 413);
  const RawClient raw(server_->address());
  raw.send(
      "PUT /things/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  EXPECT_TRUE(raw.read_all().starts_with("HTTP/1.1 411"));
  const RawClient huge(server_->address());
  huge.send("PUT /things/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n");
  EXPECT_TRUE(huge.read_all().starts_with("HTTP/1.1 413"));
}

TEST_F(HttpAnswers, a_client_that_expects_100_continue_is_told_to_go_on) {
  start();
  const RawClient raw(server_->address());
  raw.send(
      "PUT /things/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: "
      "100-continue\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(raw.read_until("100 Continue\r\n\r\n").starts_with("HTTP/1.1 100"));
  raw.send("abc");
  EXPECT_TRUE(raw.read_all().ends_with("a=abc"));
}

TEST_F(HttpAnswers, everyone_who_waits_is_woken_and_news_meanwhile_are_not_lost) {
  constexpr int kMany = 60;  // more than are woken at once
  start();
  std::vector<std::unique_ptr<RawClient>> waiting;
  for (int i = 0; i < kMany; ++i) {
    waiting.push_back(std::make_unique<RawClient>(server_->address()));
    ASSERT_TRUE(waiting.back()->send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"));
  }
  while (asked_ < kMany) std::this_thread::yield();
  server_->wake();  // nothing new: all go on waiting
  news(7);
  for (const auto& client : waiting) {
    EXPECT_TRUE(client->read_until("\r\n\r\n7").ends_with("7"));
  }
}

TEST_F(HttpAnswers, an_answer_waits_until_the_server_is_woken) {
  start();
  Result<HttpAnswer> answer = HttpAnswer();
  std::thread caller([&] { answer = client_->send(context(), {"GET", "/wait", {}, ""}); });
  while (asked_ == 0) std::this_thread::yield();
  news(3);
  caller.join();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "3");
}

TEST_F(HttpAnswers, an_answer_that_waited_to_its_end_is_given_then) {
  wait_ = milliseconds(50);
  start();
  const auto answer = client_->send(context(), {"GET", "/wait", {}, ""});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 304);
}

TEST_F(HttpAnswers, a_feed_tells_news_as_they_come_and_bookmarks_between) {
  start();
  SseParser parser;
  std::vector<SseEvent> events;
  int bookmarks = 0;
  int told = 0;
  const auto answer = client_->stream(context(), {"GET", "/feed", {}, ""}, seconds(10),
                                      [&](std::string_view piece) {
                                        events.clear();
                                        EXPECT_TRUE(parser.feed(piece, &events));
                                        for (const SseEvent& event : events) {
                                          if (event.event == "bookmark") {
                                            ++bookmarks;
                                            if (news_ < 5) news(news_ + 1);
                                          } else {
                                            EXPECT_EQ(event.data, std::to_string(told++));
                                          }
                                        }
                                        return true;
                                      });
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(told, 5);
  EXPECT_GE(bookmarks, 5);
}

TEST_F(HttpAnswers, a_stop_ends_a_feed_at_once) {
  start();
  std::stop_source stop;
  const auto stopped =
      client_->stream({Deadline(), stop.get_token()}, {"GET", "/feed", {}, ""}, seconds(10),
                      [&](std::string_view) { return stop.request_stop(); });
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(error_kind(stopped.status()), ErrorKind::kCancelled);
}

TEST_F(HttpAnswers, the_server_ends_with_answers_that_wait_and_feeds_that_run) {
  start();
  const RawClient waiting(server_->address());
  waiting.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawClient feeding(server_->address());
  feeding.send("GET /feed HTTP/1.1\r\nHost: x\r\n\r\n");
  feeding.read_until("bookmark");
  while (asked_ == 0) std::this_thread::yield();
  server_.reset();
}

TEST(HttpClient, a_refused_connection_was_never_sent_and_a_bad_url_says_what_to_write) {
  auto client = HttpClient::make({.url = "http://127.0.0.1:1"});
  ASSERT_TRUE(client.ok());
  const auto refused = (*client)->send(context(), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kConnection);
  EXPECT_EQ(error_detail(refused.status())->sent, Sent::kNo);
  for (const char* url : {"coordinator:8080", "ftp://x", "http://", "http://x:99999999",
                          "http://u:p@x", "http://x/path"}) {
    const auto bad = HttpClient::make({.url = url});
    ASSERT_FALSE(bad.ok()) << url;
    EXPECT_EQ(error_kind(bad.status()), ErrorKind::kConfig);
  }
}

}  // namespace
}  // namespace cenote
