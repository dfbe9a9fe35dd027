// Where a process lets itself be sent by what others tell it. A node's advertised address must lead
// neither into this machine nor to the services that only its neighbours reach, such as a cloud's
// metadata (server-side request forgery).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/deadline.h"
#include "cenote/error.h"

namespace cenote {

struct Place {
  std::string host;  // a name or an address, without brackets
  uint16_t port = 0;
};

// Of "scheme://host:port" and nothing more, with one of the schemes ("grpc", "grpc+tls"). A host is
// a name or an address as everybody writes it: "2130706433", "0x7f.1" and "127.1" are none, though
// resolvers take them. kConfig says what is wrong.
Result<Place> parse_place(std::string_view location, std::span<const std::string_view> schemes);

// "localhost" or an address of this machine's own; no name is resolved.
bool is_loopback(const Place& place);

// Which addresses are allowed. Immutable; as made by default nothing is denied.
class Reach {
 public:
  // `networks` ("10.0.0.0/8", "fd00::/8", single addresses): these alone. None: everything but
  // loopback, link-local, multicast and unspecified addresses, those of clouds' metadata services,
  // and loopback too where `loopback` says so.
  static Result<Reach> make(std::span<const std::string> networks, bool loopback);

  // The host's addresses as numbers, each of them allowed; a name that is not known has none.
  // kConfig names the first that is not allowed; else as resolve().
  Result<std::vector<std::string>> addresses(const Place& place,
                                             const CallContext& context = {}) const;

 private:
  // IPv4 as ::ffff:a.b.c.d, so that an address is judged however it is written.
  using Bytes = std::array<uint8_t, 16>;
  struct Network {
    Bytes prefix{};
    int bits = 0;
    bool holds(const Bytes& address) const;
  };
  static Result<Network> network(std::string_view text);
  bool allows(const Bytes& address) const;

  std::vector<Network> allowed_;  // empty: all but the denied
  std::vector<Network> denied_;
};

// Whether a connection to the address (a number) is refused there: nobody listens. No answer until
// the deadline is no refusal.
bool is_refused(const std::string& address, uint16_t port, Deadline deadline);

}  // namespace cenote
