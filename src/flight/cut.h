// Ends a channel's TCP connections when its node is dead. A process that is stopped, or a machine
// that is gone, leaves them open, and calls of libarrow_flight that wait on one cannot be
// interrupted before their first message.
#pragma once

namespace cenote::flight {

// Tells one channel's sockets from all others of the process. gRPC sets TCP_USER_TIMEOUT on a
// socket from its channel's `grpc.keepalive_timeout_ms` where it also has a keepalive time, and the
// option can be read back: so every channel gets a timeout that no other has. (Keepalive itself is
// no way out: gRPC's servers end connections that ping more than twice in five minutes unless they
// are told otherwise, which libarrow_flight cannot tell them.)
class SocketMark {
 public:
  static SocketMark next();
  // For `grpc.keepalive_timeout_ms`.
  int milliseconds() const { return milliseconds_; }
  // Shuts the sockets that carry the mark down. Does not block.
  void cut() const;

 private:
  explicit SocketMark(int milliseconds) : milliseconds_(milliseconds) {}
  int milliseconds_;
};

}  // namespace cenote::flight
