// Many clients while the server stops: nothing is touched after its end.
#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "net/http_server.h"
#include "net/raw_client.h"

namespace cenote {
namespace {

TEST(HttpServerRace, stopping_under_load_answers_or_closes_every_client) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> answered{0};
    auto server = *HttpServer::start({.listen = "127.0.0.1:0"}, {{"/", [&](const HttpRequest&) {
                                                                    ++answered;
                                                                    return HttpResponse{};
                                                                  }}});
    const std::string address = server->address();
    std::atomic<bool> stopped{false};
    std::vector<std::jthread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&] {
        while (!stopped) {
          const RawClient client(address);
          if (!client.connected()) continue;
          client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
          const std::string answer = client.read_all();
          EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 200")) << answer;
        }
      });
    }
    while (answered < 20) std::this_thread::yield();
    server.reset();
    stopped = true;
  }
}

}  // namespace
}  // namespace cenote
