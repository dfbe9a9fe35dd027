// Sockets that do not block, and one poll for all.
#include "net/knock.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace cenote {
namespace {

constexpr int64_t kSliceMs = 50;  // between looks at the stop

using Found = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Found look_up(const Door& door) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(door.address.c_str(), std::to_string(door.port).c_str(), &hints, &found) != 0) {
    found = nullptr;
  }
  return {found, ::freeaddrinfo};
}

// The socket of a connection under way, or -1 where the outcome is here already.
int begin(const Door& door, bool* answered) {
  const Found found = look_up(door);
  if (found == nullptr) return -1;
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int error = ::connect(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) return fd;
  *answered = error == 0 || error == ECONNREFUSED;
  ::close(fd);
  return -1;
}

bool is_answer(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return false;
  return error == 0 || error == ECONNREFUSED;
}

}  // namespace

std::vector<bool> knock(std::span<const Door> doors, const CallContext& context) {
  std::vector<bool> answered(doors.size(), false);
  std::vector<pollfd> waited;
  size_t open = 0;
  for (size_t i = 0; i < doors.size(); ++i) {
    bool at_once = false;
    // poll passes over a negative one.
    waited.push_back({begin(doors[i], &at_once), POLLOUT, 0});
    answered[i] = at_once;
    open += waited.back().fd >= 0 ? 1 : 0;
  }
  // The last look is after the deadline: who stood still takes what came meanwhile.
  for (bool last = false; open > 0 && !last && !context.stop.stop_requested();) {
    last = context.deadline.passed();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(context.deadline.left());
    const int64_t most = std::clamp<int64_t>(left.count(), 0, kSliceMs);
    if (::poll(waited.data(), waited.size(), static_cast<int>(most)) < 0 && errno != EINTR) break;
    for (size_t i = 0; i < waited.size(); ++i) {
      if (waited[i].fd < 0 || waited[i].revents == 0) continue;
      answered[i] = is_answer(waited[i].fd);
      ::close(waited[i].fd);
      waited[i].fd = -1;
      --open;
    }
  }
  for (const pollfd& each : waited) {
    if (each.fd >= 0) ::close(each.fd);
  }
  return answered;
}

}  // namespace cenote
