// A client that sends bytes as they are. Every wait has a limit, so that a broken server fails a
// test instead of hanging it.
#pragma once

#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace cenote {

class RawClient {
 public:
  // `address` as "127.0.0.1:port".
  explicit RawClient(const std::string& address) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const size_t colon = address.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
    ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~RawClient() { ::close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }

  bool send(std::string_view bytes) const {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }

  // Everything until the server closes; "(no end)" where it does not.
  std::string read_all() const {
    std::string all;
    char part[4096];
    for (;;) {
      const ssize_t got = ::recv(fd_, part, sizeof part, 0);
      if (got == 0) return all;
      if (got < 0) return errno == ECONNRESET ? all : "(no end)" + all;
      all.append(part, static_cast<size_t>(got));
    }
  }

  // Until `end` has come.
  std::string read_until(std::string_view end) const {
    std::string all;
    for (char c = 0; all.find(end) == std::string::npos;) {
      if (::recv(fd_, &c, 1, 0) != 1) return all;
      all += c;
    }
    return all;
  }

 private:
  int fd_;
  bool connected_ = false;
};

}  // namespace cenote
