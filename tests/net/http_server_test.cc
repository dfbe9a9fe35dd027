// The HTTP server over raw sockets: what it answers, what it refuses, how it ends.
#include "net/http_server.h"

#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "net/http_head.h"
#include "net/listen_address.h"
#include "net/raw_client.h"

namespace cenote {
namespace {

std::unique_ptr<HttpServer> serve(HttpServerOptions options = {}) {
  if (options.listen.empty()) options.listen = "127.0.0.1:0";
  auto server = HttpServer::start(
      std::move(options), {{"/hello", [](const HttpRequest& asked) {
                              return HttpResponse{200, "text/plain", "hello " + asked.query + "\n"};
                            }}});
  EXPECT_TRUE(server.ok()) << server.status();
  return std::move(*server);
}

std::string answer_to(const HttpServer& server, std::string_view bytes) {
  const RawClient client(server.address());
  EXPECT_TRUE(client.send(bytes));
  return client.read_all();
}

int status_of(const std::string& answer) {
  return answer.starts_with("HTTP/1.") ? std::stoi(answer.substr(9, 3)) : 0;
}

const char* const kGet = "GET /hello?world HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

TEST(HttpServer, a_get_is_answered_by_its_route) {
  const auto server = serve();
  const std::string answer = answer_to(*server, kGet);
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_TRUE(answer.ends_with("\r\n\r\nhello world\n")) << answer;
  EXPECT_NE(answer.find("Content-Length: 12"), std::string::npos);
}

TEST(HttpServer, a_connection_serves_many_requests_also_sent_at_once) {
  const auto server = serve();
  const RawClient client(server->address());
  const std::string one = "GET /hello?a HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(one);
  EXPECT_EQ(status_of(client.read_until("hello a\n")), 200);
  client.send(one + one + kGet);
  const std::string rest = client.read_all();
  EXPECT_TRUE(rest.ends_with("hello world\n"));
  size_t count = 0;
  for (size_t at = rest.find("HTTP/1.1 200"); at != std::string::npos;
       at = rest.find("HTTP/1.1 200", at + 1)) {
    ++count;
  }
  EXPECT_EQ(count, 3U);
}

TEST(HttpServer, other_methods_are_405_with_allow_and_other_paths_404) {
  const auto server = serve();
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
    const std::string answer = answer_to(
        *server, std::string(method) + " /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(answer), 405) << method;
    EXPECT_NE(answer.find("Allow: GET, HEAD\r\n"), std::string::npos) << answer;
  }
  for (const char* path : {"/", "/hell", "/hello/", "/HELLO", "/%68ello"}) {
    const std::string answer = answer_to(
        *server, "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(answer), 404) << path;
  }
}

struct Bad {
  const char* bytes;
  int status;
};

// What one server would read so and another otherwise, and plain nonsense.
const Bad kBad[] = {
    {"GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
     400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "chunked\r\n\r\n",
     400},
    {"GET /hello HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 0x0\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\n Host: x\r\n\r\n", 400},
    {"GET http://x/hello HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x, y\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost : x\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nX: a\x01z\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: x\rX: y\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\nHost: x\n\n", 400},
    {"\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET  /hello HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET /he llo HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET /hello\tHTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET /h\xC3\xA9llo HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET /hello#x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET /hello\r\n\r\n", 400},
    {"GET /hello HTTP/1.1 \r\nHost: x\r\n\r\n", 400},
    {"GET /hello http/1.1\r\nHost: x\r\n\r\n", 400},
    {"G(T /hello HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"\x16\x03\x01\x02\n", 400},  // the beginning of TLS, with a line feed in it
    {"GET /hello HTTP/2.0\r\nHost: x\r\n\r\n", 505},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 413},
    {"GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
};

TEST(HttpServer, what_could_be_read_in_two_ways_is_refused_and_the_connection_closed) {
  const auto server = serve();
  for (const Bad& bad : kBad) {
    // A second request behind it must not be answered.
    const std::string answer = answer_to(*server, std::string(bad.bytes) + kGet);
    EXPECT_EQ(status_of(answer), bad.status) << bad.bytes << "→ " << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << bad.bytes;
    EXPECT_EQ(answer.find("HTTP/1.1 200"), std::string::npos) << bad.bytes << "→ " << answer;
  }
  EXPECT_EQ(status_of(answer_to(*server, kGet)), 200);
}

TEST(HttpServer, what_is_unusual_but_clear_is_answered) {
  const auto server = serve();
  for (const char* bytes :
       {"GET /hello HTTP/1.0\r\n\r\n", "GET /hello HTTP/1.1\r\nhOsT:x\r\nConnection: close\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost:\r\nX-Empty:\r\nConnection: close\r\n\r\n"}) {
    EXPECT_EQ(status_of(answer_to(*server, bytes)), 200) << bytes;
  }
}

TEST(HttpServer, a_head_that_is_too_large_is_431) {
  const auto server = serve();
  const std::string line = "GET /hello HTTP/1.1\r\nHost: x\r\nX: ";
  EXPECT_EQ(status_of(answer_to(*server, line + std::string(9000, 'a') + "\r\n\r\n")), 431);
  EXPECT_EQ(status_of(answer_to(*server, "GET /" + std::string(20'000, 'a'))), 431);
}

TEST(HttpServer, a_head_that_does_not_end_loses_its_connection_however_it_trickles) {
  HttpServerOptions options;
  options.head_timeout = std::chrono::milliseconds(50);
  const auto server = serve(options);
  const RawClient silent(server->address());
  EXPECT_EQ(silent.read_all(), "");
  const RawClient slow(server->address());
  // Each byte comes in time; all together do not. The server closes, and sending fails in the end.
  while (slow.send("x")) std::this_thread::yield();
  // So does one that is whole, where it comes too late: on a busy machine that takes a few tries.
  int status = 0;
  const Deadline limit = Deadline::in(std::chrono::seconds(60));
  while (status != 200 && !limit.passed()) {
    const RawClient next(server->address());
    if (next.send(kGet)) status = status_of(next.read_all());
  }
  EXPECT_EQ(status, 200);
}

TEST(HttpServer, an_idle_connection_is_closed) {
  HttpServerOptions options;
  options.idle_timeout = std::chrono::milliseconds(20);
  const auto server = serve(options);
  const RawClient client(server->address());
  client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client.read_all().ends_with("hello \n"));
}

TEST(HttpServer, one_connection_too_many_is_429_and_the_others_go_on) {
  HttpServerOptions options;
  options.max_connections = 1;
  const auto server = serve(options);
  const RawClient first(server->address());
  first.send("GET /hello?a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(status_of(first.read_until("hello a\n")), 200);
  EXPECT_EQ(status_of(RawClient(server->address()).read_all()), 429);
  first.send(kGet);
  EXPECT_TRUE(first.read_all().ends_with("hello world\n"));
}

TEST(HttpServer, the_end_closes_open_connections_and_frees_the_port) {
  auto server = serve();
  const std::string address = server->address();
  const RawClient idle(address);
  const RawClient half(address);
  half.send("GET /hello HT");
  const RawClient used(address);
  used.send("GET /hello?a HTTP/1.1\r\nHost: x\r\n\r\n");
  used.read_until("hello a\n");
  server.reset();
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_EQ(half.read_all(), "");
  EXPECT_EQ(used.read_all(), "");
  EXPECT_FALSE(RawClient(address).connected());
  EXPECT_TRUE(HttpServer::start({.listen = address}, {}).ok());
}

TEST(HttpServer, an_address_that_is_wrong_remote_or_taken_is_refused_with_what_to_do) {
  for (const char* listen : {"", "9464", "host.example:1", "127.0.0.1:", "127.0.0.1:70000",
                             "::1:80", "[127.0.0.1]:80", "127.0.0.1:80x"}) {
    const Status status = HttpServer::start({.listen = listen}, {}).status();
    EXPECT_EQ(error_kind(status), ErrorKind::kConfig) << listen;
    EXPECT_NE(status.message().find("127.0.0.1:9464"), std::string::npos) << status;
  }
  const Status remote = HttpServer::start({.listen = "0.0.0.0:0"}, {}).status();
  EXPECT_NE(remote.message().find("allow_remote: true"), std::string::npos) << remote;
  EXPECT_TRUE(HttpServer::start({.listen = "0.0.0.0:0", .allow_remote = true}, {}).ok());
  const auto server = serve();
  const Status taken = HttpServer::start({.listen = server->address()}, {}).status();
  EXPECT_NE(taken.message().find("another port"), std::string::npos) << taken;
}

TEST(HttpServer, a_forked_child_leaves_the_server_to_its_parent) {
  auto server = serve();
  const pid_t child = ::fork();
  if (child == 0) {
    server.reset();
    ::_exit(0);
  }
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(status_of(answer_to(*server, kGet)), 200);
}

}  // namespace
}  // namespace cenote
