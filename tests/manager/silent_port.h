// A TCP port that answers, or says nothing at all, as if the network had been cut.
#pragma once

#include <string>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace cenote {

// One thread changes it; accept() is for any.
class SilentPort {
 public:
  SilentPort() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, generic, size), 0);
    EXPECT_EQ(::listen(listener_, 0), 0);
    EXPECT_EQ(::getsockname(listener_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentPort() {
    heal();
    ::close(listener_);
  }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;

  // Whose queue is full drops what comes.
  void cut() {
    const sockaddr_in address = loopback(port_);
    for (int i = 0; i < 2; ++i) {
      fill_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(fill_.back(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
  }
  void heal() {
    for (const int each : fill_) ::close(each);
    fill_.clear();
    accept();
  }
  // Takes and closes what has come; to be called again and again while it answers.
  void accept() const {
    for (int fd = 0; (fd = ::accept(listener_, nullptr, nullptr)) >= 0;) ::close(fd);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  static sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  const int listener_;
  uint16_t port_ = 0;
  std::vector<int> fill_;
};

}  // namespace cenote
