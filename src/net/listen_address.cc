// Parsing without name resolution: what a server binds to must not depend on DNS.
#include "net/listen_address.h"

#include <charconv>
#include <utility>

#include <boost/asio/ip/address.hpp>

namespace cenote {

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const auto bad = [text] {
    return make_error(ErrorKind::kConfig, "'" + std::string(text) +
                                              "' is no address to listen on; write 127.0.0.1:9464, "
                                              "[::1]:9464, or port 0 for a free one");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad();
  std::string host(text.substr(0, colon));
  const std::string_view port = text.substr(colon + 1);
  ListenAddress address;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size() || port.empty()) return bad();
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  boost::system::error_code wrong;
  const auto ip = boost::asio::ip::make_address(host, wrong);
  if (wrong || ip.is_v6() != bracketed) return bad();
  address.host = std::move(host);
  address.loopback = ip.is_loopback();
  return address;
}

}  // namespace cenote
