// Which of a process's connections are ended with their channel, and what must be left alone.
#include "flight/cut.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {
std::atomic<int> g_copies = 0;
}

// In the place of the C library's: counts the descriptors that are copied.
extern "C" __attribute__((visibility("default"))) int fcntl(int fd, int command, ...) {
  using Function = int (*)(int, int, void*);
  static const auto system = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "fcntl"));
  va_list rest;
  va_start(rest, command);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  if (command == F_DUPFD_CLOEXEC) ++g_copies;
  return system(fd, command, argument);
}

namespace cenote::flight {
namespace {

// Both ends of a TCP connection within this process.
class Connection {
 public:
  Connection() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    (void)::bind(listener, reinterpret_cast<sockaddr*>(&address), size);
    (void)::listen(listener, 1);
    (void)::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    near_ = ::socket(AF_INET, SOCK_STREAM, 0);
    (void)::connect(near_, reinterpret_cast<sockaddr*>(&address), size);
    far_ = ::accept(listener, nullptr, nullptr);
    ::close(listener);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    ::close(near_);
    ::close(far_);
  }

  void mark(const SocketMark& mark) const {
    const int timeout = mark.milliseconds();
    ASSERT_EQ(::setsockopt(near_, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout), 0);
  }
  bool is_open() const {
    char byte = 'x';
    return ::send(far_, &byte, 1, MSG_NOSIGNAL) == 1 && ::recv(near_, &byte, 1, 0) == 1;
  }

 private:
  int near_ = -1;
  int far_ = -1;
};

TEST(SocketMark, cuts_the_connections_that_carry_it_and_no_other) {
  const SocketMark mark = SocketMark::next();
  const Connection marked;
  const Connection other;
  const Connection unmarked;
  marked.mark(mark);
  other.mark(SocketMark::next());
  ASSERT_TRUE(marked.is_open() && other.is_open() && unmarked.is_open());
  mark.cut();
  EXPECT_FALSE(marked.is_open());
  EXPECT_TRUE(other.is_open());
  EXPECT_TRUE(unmarked.is_open());
}

// A process of ten thousand connections has other things to do.
TEST(SocketMark, copies_no_connection_but_those_that_carry_it) {
  const SocketMark mark = SocketMark::next();
  const Connection marked;
  const Connection other;
  const Connection unmarked;
  marked.mark(mark);
  other.mark(SocketMark::next());
  g_copies = 0;
  mark.cut();
  EXPECT_EQ(g_copies, 1);
}

// As another process sees it.
bool is_locked(const char* path) {
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open(path, O_RDWR | O_CLOEXEC);
    struct flock lock{};
    lock.l_type = F_WRLCK;
    ::_exit(fd >= 0 && ::fcntl(fd, F_SETLK, &lock) != 0 ? 1 : 0);
  }
  int status = 0;
  (void)::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

// A process loses its locks on a file with any descriptor of it that it closes.
TEST(SocketMark, leaves_the_locks_of_files_alone) {
  char path[] = "/tmp/cut_test.XXXXXX";
  const int file = ::mkstemp(path);
  ASSERT_GE(file, 0);
  struct flock lock{};
  lock.l_type = F_WRLCK;
  ASSERT_EQ(::fcntl(file, F_SETLK, &lock), 0);
  ASSERT_TRUE(is_locked(path));
  SocketMark::next().cut();
  EXPECT_TRUE(is_locked(path));
  ::close(file);
  (void)std::remove(path);
}

}  // namespace
}  // namespace cenote::flight
