// Sockets, seen from outside of the drivers that own them.
#include "driver/odbc/socket.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>
#include <memory>
#include <stop_token>
#include <system_error>

#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
// Not <netinet/tcp.h>, whose tcp_info ends before the byte counts.
#include <linux/tcp.h>

namespace cenote::odbc {
namespace {

struct FdCloser {
  int fd;
  explicit FdCloser(int descriptor) : fd(descriptor) {}
  ~FdCloser() {
    if (fd >= 0) ::close(fd);
  }
  FdCloser(const FdCloser&) = delete;
  FdCloser& operator=(const FdCloser&) = delete;
};

Status refused(std::string message, ErrorKind kind = ErrorKind::kConnection) {
  ErrorDetail detail;
  detail.kind = kind;
  detail.sent = Sent::kNo;
  return make_error(std::move(detail), std::move(message));
}

// Waits until the connect is through; 0, or the error's number; -1 at the deadline or stop.
int finish_connect(int fd, int stop_fd, Deadline until) {
  pollfd waits[2] = {{fd, POLLOUT, 0}, {stop_fd, POLLIN, 0}};
  while (true) {
    int timeout = -1;
    if (!until.is_never()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until.left()).count();
      timeout = static_cast<int>(std::min<int64_t>(left, 1'000'000));
    }
    const int ready = ::poll(waits, 2, timeout);
    if (ready < 0 && errno == EINTR) continue;
    if (waits[1].revents != 0) return -1;
    if (ready > 0) break;
    if (until.passed()) return -1;
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

}  // namespace

Status probe_tcp(const CallContext& context, const std::string& host, uint16_t port) {
  const std::string where = host + ":" + std::to_string(port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (failed != 0) {
    return refused("the host name '" + host + "' has no address: " + ::gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, ::freeaddrinfo);
  const FdCloser stop_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  const std::stop_callback on_stop(context.stop, std::function<void()>([&stop_fd] {
                                     const uint64_t one = 1;
                                     (void)!::write(stop_fd.fd, &one, sizeof one);
                                   }));
  int error = 0;
  for (const addrinfo* address = list; address != nullptr; address = address->ai_next) {
    const FdCloser socket(
        ::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (socket.fd < 0) continue;
    error = 0;
    if (::connect(socket.fd, address->ai_addr, address->ai_addrlen) == 0) return Status::OK();
    error = errno == EINPROGRESS ? finish_connect(socket.fd, stop_fd.fd, context.deadline) : errno;
    if (error == 0) return Status::OK();
    if (error < 0) break;
  }
  if (context.stop.stop_requested()) {
    return refused("the connect to " + where + " was cancelled", ErrorKind::kCancelled);
  }
  if (error < 0) return refused(where + " did not answer before the deadline");
  return refused(where + " refused the connection (" + std::generic_category().message(error) +
                 "): is the server running, and is the port right?");
}

std::vector<SocketCount> tcp_sockets() {
  std::vector<SocketCount> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
  if (!folder) return found;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): glibc locks each directory stream
  while (const dirent* entry = ::readdir(folder.get())) {
    int fd = -1;
    const char* end = entry->d_name + std::strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, fd).ec != std::errc()) continue;
    struct stat status{};
    if (::fstat(fd, &status) != 0 || !S_ISSOCK(status.st_mode)) continue;
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) continue;
    if (size < offsetof(tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked) continue;
    found.push_back({fd, status.st_ino, info.tcpi_bytes_acked});
  }
  return found;
}

bool Breaker::find(const std::vector<SocketCount>& before, uint64_t least, uint64_t most) {
  const SocketCount* mine = nullptr;
  const std::vector<SocketCount> after = tcp_sockets();
  for (const SocketCount& now : after) {
    const auto then = std::find_if(before.begin(), before.end(), [&](const SocketCount& old) {
      return old.inode == now.inode && old.fd == now.fd;
    });
    if (then == before.end()) continue;
    const uint64_t sent = now.acknowledged - then->acknowledged;
    if (sent < least || sent > most) continue;
    if (mine != nullptr && mine->inode != now.inode) return false;
    mine = &now;
  }
  if (mine == nullptr) return false;
  const int copy = ::fcntl(mine->fd, F_DUPFD_CLOEXEC, 0);
  struct stat status{};
  if (copy < 0 || ::fstat(copy, &status) != 0 || status.st_ino != mine->inode) {
    if (copy >= 0) ::close(copy);
    return false;
  }
  release();
  fd_ = copy;
  return true;
}

Breaker::~Breaker() {
  release();
}

void Breaker::release() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void Breaker::shut_down() const noexcept {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
}

bool Breaker::peer_is_gone() const noexcept {
  if (fd_ < 0) return false;
  pollfd wait{fd_, POLLRDHUP, 0};
  return ::poll(&wait, 1, 0) > 0 && (wait.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace cenote::odbc
