// gRPC does not tell its sockets, so they are found among the process's files, by their mark.
#include "flight/cut.h"

#include <atomic>
#include <charconv>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace cenote::flight {
namespace {

bool is_socket(int fd) {
  struct stat about{};
  return ::fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

// Of nothing but sockets of TCP.
bool carries(int fd, int milliseconds) {
  int timeout = 0;
  socklen_t size = sizeof timeout;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &size) == 0 &&
         timeout == milliseconds;
}

}  // namespace

SocketMark SocketMark::next() {
  // Some 17 minutes, about what Linux gives a peer that acknowledges nothing anyway; odd, because a
  // setting made by a person is a round number.
  constexpr int kFirst = 1'000'003;
  static std::atomic<int> count = 0;
  return SocketMark(kFirst + 2 * (count.fetch_add(1) % 1'000'000));
}

void SocketMark::cut() const {
  std::error_code failed;
  for (auto each = std::filesystem::directory_iterator("/proc/self/fd", failed);
       !failed && each != std::filesystem::directory_iterator(); each.increment(failed)) {
    const std::string name = each->path().filename().string();
    int number = -1;
    std::from_chars(name.data(), name.data() + name.size(), number);
    // All others are left alone, not even copied: whoever closes a copy of a file takes its locks
    // from the whole process, as SQLite's.
    if (number < 0 || !carries(number, milliseconds_)) continue;
    // A copy holds the socket, so that its number cannot come to mean another meanwhile.
    const int fd = ::fcntl(number, F_DUPFD_CLOEXEC, 0);
    // Where a file took the number in between, its copy stays open, for the same reason.
    if (fd < 0 || !is_socket(fd)) continue;
    if (carries(fd, milliseconds_)) ::shutdown(fd, SHUT_RDWR);
    ::close(fd);
  }
}

}  // namespace cenote::flight
