// What ODBC does not offer: to know early that a port is closed, and to break a call that hangs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cenote/deadline.h"
#include "cenote/error.h"

namespace cenote::odbc {

// Connects by TCP and closes again: kConnection at once for what ODBC drivers try until their login
// timeout ends.
Status probe_tcp(const CallContext& context, const std::string& host, uint16_t port);

// The process's TCP sockets with how many bytes of each the peer has acknowledged.
struct SocketCount {
  int fd;
  uint64_t inode;
  uint64_t acknowledged;
};
std::vector<SocketCount> tcp_sockets();

// A second hand on a driver's socket. A driver that waits for an answer that never comes returns at
// once when the socket under it is shut down; nothing in ODBC does that. The duplicate keeps the
// socket ours to name, whatever the driver does with its own descriptor.
class Breaker {
 public:
  Breaker() = default;
  ~Breaker();
  Breaker(const Breaker&) = delete;
  Breaker& operator=(const Breaker&) = delete;

  // Takes the one socket by which between `least` and `most` bytes went out since `before`.
  bool find(const std::vector<SocketCount>& before, uint64_t least, uint64_t most);
  bool found() const { return fd_ >= 0; }
  // Ends the connection under the driver. From any thread.
  void shut_down() const noexcept;
  // Whether the peer has closed the connection or it broke; costs no round trip.
  bool peer_is_gone() const noexcept;
  // Lets go, so that the driver's close is the last.
  void release() noexcept;

 private:
  int fd_ = -1;
};

}  // namespace cenote::odbc
