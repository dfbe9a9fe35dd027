// The servers that the fault tests share, and their end.
#include <memory>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "faults/pools.h"

namespace cenote {
namespace {

std::unique_ptr<PostgresServer>& server() {
  static std::unique_ptr<PostgresServer> server;
  return server;
}

}  // namespace

// Below those that the system gives to whoever asks for any, which would be taken again before the
// server listens.
int free_port() {
  for (int port = 20'000 + ::getpid() % 5'000; port < 32'000; ++port) {
    const int probe = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const bool free = ::bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(probe);
    if (free) return port;
  }
  return 0;
}

PostgresServer* shared_server() {
  if (!server() && PostgresServer::installed()) {
    server() = std::make_unique<PostgresServer>(free_port());
  }
  return server().get();
}

}  // namespace cenote

int main(int count, char** values) {
  testing::InitGoogleTest(&count, values);
  const int failed = RUN_ALL_TESTS();
  cenote::server().reset();
  return failed;
}
