// Delays packets, where the kernel has no netem: `delay_packets QUEUE MILLISECONDS` takes what a
// rule of iptables sends to that netfilter queue and lets each packet go on after the time. It says
// "ready", and ends after its standard input has.
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <string>

#include <arpa/inet.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

struct Held {
  Clock::time_point due;
  uint32_t packet;
};

struct Line {
  std::chrono::milliseconds delay{};
  std::deque<Held> held;  // all wait equally long, so they leave in the order in which they came
};

int take(nfq_q_handle* /*queue*/, nfgenmsg* /*message*/, nfq_data* data, void* line) {
  const nfqnl_msg_packet_hdr* header = nfq_get_msg_packet_hdr(data);
  auto& into = *static_cast<Line*>(line);
  if (header != nullptr) into.held.push_back({Clock::now() + into.delay, ntohl(header->packet_id)});
  return 0;
}

void release(nfq_q_handle* queue, Line& line) {
  while (!line.held.empty() && line.held.front().due <= Clock::now()) {
    nfq_set_verdict(queue, line.held.front().packet, NF_ACCEPT, 0, nullptr);
    line.held.pop_front();
  }
}

// Until the next packet is due; forever if there is none.
int wait_for(const Line& line) {
  if (line.held.empty()) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(line.held.front().due - Clock::now());
  return static_cast<int>(std::max<int64_t>(0, left.count()));
}

int serve(nfq_handle* handle, nfq_q_handle* queue, Line& line) {
  std::array<char, 65536> buffer{};
  std::array<pollfd, 2> sources = {pollfd{nfq_fd(handle), POLLIN, 0},
                                   pollfd{STDIN_FILENO, POLLIN, 0}};
  while (sources[1].fd >= 0 || !line.held.empty()) {
    if (poll(sources.data(), sources.size(), wait_for(line)) < 0 && errno != EINTR) return 1;
    if (sources[0].revents != 0) {
      const ssize_t size = recv(sources[0].fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (size > 0) nfq_handle_packet(handle, buffer.data(), static_cast<int>(size));
    }
    if (sources[1].revents != 0 && read(STDIN_FILENO, buffer.data(), buffer.size()) <= 0)
      sources[1].fd = -1;
    release(queue, line);
  }
  return 0;
}

int fail(const std::string& what) {
  std::cerr << "delay_packets: " << what << ": " << std::generic_category().message(errno) << '\n';
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::cerr << "delay_packets QUEUE MILLISECONDS\n";
    return 2;
  }
  Line line;
  line.delay = std::chrono::milliseconds(std::stoi(arguments[2]));
  const std::unique_ptr<nfq_handle, int (*)(nfq_handle*)> handle(nfq_open(), nfq_close);
  if (!handle) return fail("netfilter queues cannot be opened");
  const auto number = static_cast<uint16_t>(std::stoi(arguments[1]));
  const std::unique_ptr<nfq_q_handle, int (*)(nfq_q_handle*)> queue(
      nfq_create_queue(handle.get(), number, take, &line), nfq_destroy_queue);
  if (!queue) return fail("the queue cannot be had");
  // The packet's content stays in the kernel; a burst is not to be cut, nor split into what the
  // wire would carry.
  if (nfq_set_mode(queue.get(), NFQNL_COPY_META, 0) < 0) return fail("the queue cannot be set up");
  nfq_set_queue_maxlen(queue.get(), 65536);
  nfq_set_queue_flags(queue.get(), NFQA_CFG_F_GSO, NFQA_CFG_F_GSO);
  const int on = 1;
  setsockopt(nfq_fd(handle.get()), SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
  std::cout << "ready" << std::endl;
  return serve(handle.get(), queue.get(), line);
}
