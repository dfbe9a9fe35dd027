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

int free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  (void)!::bind(probe, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(probe);
  return ntohs(address.sin_port);
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
