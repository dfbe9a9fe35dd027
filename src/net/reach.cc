// Judged by bytes, after resolution.
#include "net/reach.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <utility>

#include <arpa/inet.h>
#include <boost/asio/ip/address.hpp>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/url.h"
#include "net/resolve.h"

namespace cenote {
namespace {

namespace ip = boost::asio::ip;

constexpr std::string_view kLoopback[] = {"127.0.0.0/8", "::1"};
constexpr std::string_view kNeverMeant[] = {
    "0.0.0.0/8",  // Linux connects to this machine
    "::",
    "169.254.0.0/16",  // link-local; 169.254.169.254 is most clouds' metadata service
    "fe80::/10",
    "100.100.100.200",  // Alibaba's
    "192.0.0.192",      // Oracle's
    "fd00:ec2::254",    // Amazon's
    "224.0.0.0/4",      // multicast
    "ff00::/8",
    "240.0.0.0/4",  // reserved, broadcast
};

Status no_place(std::string_view location, const std::string& why) {
  return make_error(ErrorKind::kConfig, "'" + without_user(location) + "' " + why);
}

bool all_of(std::string_view text, std::string_view among) {
  return !text.empty() && text.find_first_not_of(among) == std::string_view::npos;
}

// As the URL standard has it: a host whose last label is a number is an address, or nothing.
bool ends_in_number(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  const std::string_view last = host.substr(host.rfind('.') + 1);
  return all_of(last, "0123456789") || last.starts_with("0x") || last.starts_with("0X");
}

bool is_name(std::string_view host) {
  return host.size() <= 253 && !ends_in_number(host) && !host.starts_with('.') &&
         host.find("..") == std::string_view::npos &&
         all_of(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");
}

ip::address_v6::bytes_type bytes_of(const ip::address& address) {
  return address.is_v4() ? ip::make_address_v6(ip::v4_mapped, address.to_v4()).to_bytes()
                         : address.to_v6().to_bytes();
}

using Found = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Found look_up_number(const std::string& address, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    found = nullptr;
  }
  return {found, ::freeaddrinfo};
}

}  // namespace

Result<Place> parse_place(std::string_view location, std::span<const std::string_view> schemes) {
  const size_t colon = location.find("://");
  const bool known =
      colon != std::string_view::npos &&
      std::find(schemes.begin(), schemes.end(), location.substr(0, colon)) != schemes.end();
  if (!known) {
    return no_place(location, "must be " + std::string(schemes.front()) + "://host:port");
  }
  const std::string_view rest = location.substr(colon + 3);
  const size_t last = rest.rfind(':');
  if (last == std::string_view::npos || last == 0) {
    return no_place(location, "needs a host and a port behind ://");
  }
  Place place;
  std::string_view host = rest.substr(0, last);
  const std::string_view port = rest.substr(last + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), place.port);
  if (error != std::errc() || end != port.data() + port.size() || place.port == 0) {
    return no_place(location, "must end in a port from 1 to 65535, with nothing behind it");
  }
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  boost::system::error_code wrong;
  // Strict: four decimal numbers, or an IPv6 address. A zone ("%eth0") is of one machine only.
  const ip::address address = ip::make_address(std::string(host), wrong);
  const bool number = !wrong && host.find('%') == std::string_view::npos;
  if (number ? address.is_v6() != bracketed : bracketed || !is_name(host)) {
    return no_place(location,
                    "has no usable host: write a name, an address as 10.0.0.1, or one as "
                    "[2001:db8::1]");
  }
  place.host = host;
  return place;
}

bool is_loopback(const Place& place) {
  boost::system::error_code wrong;
  const ip::address address = ip::make_address(place.host, wrong);
  return place.host == "localhost" || (!wrong && address.is_loopback());
}

bool Reach::Network::holds(const Bytes& address) const {
  const auto whole = static_cast<size_t>(bits / 8);
  if (!std::equal(prefix.begin(), prefix.begin() + static_cast<long>(whole), address.begin())) {
    return false;
  }
  const int rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xFF << (8 - rest));
  return ((prefix.at(whole) ^ address.at(whole)) & mask) == 0;
}

Result<Reach::Network> Reach::network(std::string_view text) {
  const size_t slash = text.find('/');
  boost::system::error_code wrong;
  const ip::address address = ip::make_address(std::string(text.substr(0, slash)), wrong);
  const int most = address.is_v4() ? 32 : 128;
  int bits = most;
  if (slash != std::string_view::npos) {
    const std::string_view number = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), bits);
    if (error != std::errc() || end != number.data() + number.size()) bits = -1;
  }
  if (wrong || bits < 0 || bits > most) {
    return make_error(ErrorKind::kConfig, "'" + std::string(text) +
                                              "' is no network: write 10.0.0.0/8, fd00::/8, or a "
                                              "single address");
  }
  return Network{bytes_of(address), address.is_v4() ? 96 + bits : bits};
}

Result<Reach> Reach::make(std::span<const std::string> networks, bool loopback) {
  Reach reach;
  for (const std::string& each : networks) {
    ARROW_ASSIGN_OR_RAISE(reach.allowed_.emplace_back(), network(each));
  }
  const auto deny = [&reach](std::span<const std::string_view> list) -> Status {
    for (const std::string_view each : list) {
      ARROW_ASSIGN_OR_RAISE(reach.denied_.emplace_back(), network(each));
    }
    return Status::OK();
  };
  ARROW_RETURN_NOT_OK(deny(kNeverMeant));
  if (!loopback) ARROW_RETURN_NOT_OK(deny(kLoopback));
  return reach;
}

bool Reach::allows(const Bytes& address) const {
  const auto holds = [&](const Network& network) { return network.holds(address); };
  if (!allowed_.empty()) return std::any_of(allowed_.begin(), allowed_.end(), holds);
  return std::none_of(denied_.begin(), denied_.end(), holds);
}

Result<std::vector<std::string>> Reach::addresses(const Place& place,
                                                  const CallContext& context) const {
  ARROW_ASSIGN_OR_RAISE(std::vector<std::string> numbers, resolve(place.host, context));
  for (const std::string& number : numbers) {
    boost::system::error_code wrong;
    const ip::address address = ip::make_address(number, wrong);
    if (wrong || !allows(bytes_of(address))) {
      return make_error(ErrorKind::kConfig,
                        "'" + place.host + "'" +
                            (number == place.host ? "" : ", which is " + number + ",") +
                            " is not among the addresses that nodes may have");
    }
  }
  return numbers;
}

bool is_refused(const std::string& address, uint16_t port, Deadline deadline) {
  const Found found = look_up_number(address, port);
  if (found == nullptr) return false;
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  int error = ::connect(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd waited{fd, POLLOUT, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline.left());
    socklen_t size = sizeof error;
    if (::poll(&waited, 1, static_cast<int>(std::max<int64_t>(left.count(), 0))) == 1) {
      (void)::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  ::close(fd);
  return error == ECONNREFUSED;
}

}  // namespace cenote
