// gRPC does not tell its sockets, so they are found among the process's files, by their peer.
#include "flight/cut.h"

#include <charconv>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace cenote::flight {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Addresses resolve(std::string_view location) {
  const size_t scheme = location.find("://");
  if (scheme != std::string_view::npos) location.remove_prefix(scheme + 3);
  const size_t colon = location.rfind(':');
  if (colon == std::string_view::npos) return {nullptr, ::freeaddrinfo};
  std::string host(location.substr(0, colon));
  const std::string port(location.substr(colon + 1));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) found = nullptr;
  return {found, ::freeaddrinfo};
}

// gRPC connects to IPv4 by sockets of IPv6, whose peers are then ::ffff:a.b.c.d.
sockaddr_in6 unmapped(const sockaddr* address) {
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  if (address->sa_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, address, sizeof four);
    six.sin6_port = four.sin_port;
    six.sin6_addr.s6_addr[10] = six.sin6_addr.s6_addr[11] = 0xff;
    std::memcpy(&six.sin6_addr.s6_addr[12], &four.sin_addr, 4);
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 given{};
    std::memcpy(&given, address, sizeof given);
    six.sin6_port = given.sin6_port;
    six.sin6_addr = given.sin6_addr;
  }
  return six;
}

bool same_place(const sockaddr* a, const sockaddr* b) {
  const sockaddr_in6 left = unmapped(a);
  const sockaddr_in6 right = unmapped(b);
  return left.sin6_port != 0 && left.sin6_port == right.sin6_port &&
         std::memcmp(&left.sin6_addr, &right.sin6_addr, sizeof left.sin6_addr) == 0;
}

void cut_if_connected(int number, const addrinfo* addresses) {
  // A copy holds the socket, so that its number cannot come to mean another meanwhile.
  const int fd = ::fcntl(number, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return;
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  auto* const address = reinterpret_cast<sockaddr*>(&peer);
  if (::getpeername(fd, address, &size) == 0) {
    for (const addrinfo* each = addresses; each != nullptr; each = each->ai_next) {
      if (!same_place(address, each->ai_addr)) continue;
      ::shutdown(fd, SHUT_RDWR);
      break;
    }
  }
  ::close(fd);
}

}  // namespace

void cut_connections(const std::string& location) {
  const Addresses addresses = resolve(location);
  if (addresses == nullptr) return;
  std::error_code failed;
  for (auto each = std::filesystem::directory_iterator("/proc/self/fd", failed);
       !failed && each != std::filesystem::directory_iterator(); each.increment(failed)) {
    const std::string name = each->path().filename().string();
    int number = -1;
    std::from_chars(name.data(), name.data() + name.size(), number);
    if (number >= 0) cut_if_connected(number, addresses.get());
  }
}

}  // namespace cenote::flight
