// A TCP proxy on loopback that breaks what runs through it, as networks do: it falls silent,
// resets, closes one direction, or stops listening.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace cenote {

class FaultProxy {
 public:
  // Passes connections on to 127.0.0.1:`target`.
  explicit FaultProxy(int target) : target_(target) {
    open_listener();
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  ~FaultProxy() {
    thread_.request_stop();
    wake();
    thread_.join();
    for (const Pair& pair : pairs_) close_pair(pair);
    if (listener_ >= 0) ::close(listener_);
    ::close(wake_);
  }
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  int port() const { return port_; }
  // A black hole: connections are taken, nothing passes in either direction. And back.
  void fall_silent() {
    command([this] { silent_ = true; });
  }
  void speak() {
    command([this] { silent_ = false; });
  }
  // An RST to every client.
  void reset() {
    command([this] {
      for (const Pair& pair : pairs_) {
        const linger hard{1, 0};
        ::setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close_pair(pair);
      }
      pairs_.clear();
    });
  }
  // A FIN to every client, which may go on sending: to nobody.
  void half_close() {
    command([this] {
      for (Pair& pair : pairs_) {
        ::shutdown(pair.client, SHUT_WR);
        pair.half_closed = true;
      }
    });
  }
  // Connections are refused, and taken again on the same port.
  void refuse() {
    command([this] {
      ::close(listener_);
      listener_ = -1;
    });
  }
  void listen_again() {
    command([this] { open_listener(); });
  }
  // Connections that run through it now.
  int connections() {
    int count = 0;
    command([this, &count] { count = static_cast<int>(pairs_.size()); });
    return count;
  }

 private:
  static constexpr size_t kMostHeld = size_t{256} << 10;

  struct Pair {
    int client = -1;
    int server = -1;
    std::string to_client;
    std::string to_server;
    bool half_closed = false;
  };

  static void close_pair(const Pair& pair) {
    ::close(pair.client);
    ::close(pair.server);
  }

  void open_listener() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int yes = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address = loopback(port_);
    socklen_t size = sizeof address;
    (void)!::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    (void)!::listen(listener_, 64);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void wake() {
    const uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
  }
  // Runs `work` on the proxy's thread and waits for it.
  void command(std::function<void()> work) {
    std::atomic<bool> done = false;
    const std::function<void()> whole = [&] {
      work();
      done = true;
      done.notify_all();
    };
    const std::function<void()>* none = nullptr;
    while (!command_.compare_exchange_weak(none, &whole)) none = nullptr;
    wake();
    done.wait(false);
  }

  void accept_one() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(target_);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      ::close(client);
      ::close(server);
      return;
    }
    ::fcntl(server, F_SETFL, O_NONBLOCK);
    pairs_.push_back({client, server, {}, {}, false});
  }

  // Reads what there is room for; false at the end of the connection.
  static bool receive(int from, std::string& held) {
    char bytes[65536];
    const ssize_t count = ::recv(from, bytes, sizeof bytes, 0);
    if (count > 0) held.append(bytes, static_cast<size_t>(count));
    return count > 0 || (count < 0 && errno == EAGAIN);
  }
  static bool send(int to, std::string& held) {
    const ssize_t count = ::send(to, held.data(), held.size(), MSG_NOSIGNAL);
    if (count > 0) held.erase(0, static_cast<size_t>(count));
    return count >= 0 || errno == EAGAIN;
  }
  static short events(const std::string& out, const std::string& in) {
    return static_cast<short>((out.empty() ? 0 : POLLOUT) | (in.size() < kMostHeld ? POLLIN : 0));
  }

  bool pump(Pair& pair, short client, short server) {
    constexpr short kReadable = POLLIN | POLLHUP | POLLERR;
    if ((client & kReadable) != 0 && !receive(pair.client, pair.to_server)) return false;
    if ((server & kReadable) != 0 && !receive(pair.server, pair.to_client)) {
      while (!pair.to_client.empty() && send(pair.client, pair.to_client)) {
      }
      return false;
    }
    if (!pair.to_server.empty() && !send(pair.server, pair.to_server)) return false;
    if (pair.half_closed) pair.to_client.clear();
    return pair.to_client.empty() || send(pair.client, pair.to_client);
  }

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::vector<pollfd> polled = {{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
      if (!silent_) {
        for (const Pair& pair : pairs_) {
          polled.push_back({pair.client, events(pair.to_client, pair.to_server), 0});
          polled.push_back({pair.server, events(pair.to_server, pair.to_client), 0});
        }
      }
      ::poll(polled.data(), polled.size(), -1);
      if (polled[0].revents != 0) {
        uint64_t count = 0;
        (void)!::read(wake_, &count, sizeof count);
        if (const auto* work = command_.exchange(nullptr)) (*work)();
        continue;  // the pairs may have changed
      }
      size_t at = 2;
      for (auto pair = pairs_.begin(); pair != pairs_.end() && at + 1 < polled.size(); at += 2) {
        if (pump(*pair, polled[at].revents, polled[at + 1].revents)) {
          ++pair;
        } else {
          close_pair(*pair);
          pair = pairs_.erase(pair);
        }
      }
      if (polled[1].revents != 0) accept_one();
    }
  }

  const int target_;
  const int wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::atomic<int> port_ = 0;
  std::atomic<const std::function<void()>*> command_ = nullptr;
  // Of the thread alone.
  int listener_ = -1;
  bool silent_ = false;
  std::list<Pair> pairs_;
  std::jthread thread_;
};

}  // namespace cenote
