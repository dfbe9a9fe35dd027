// Which of many ports answer.
#include "net/knock.h"

#include <optional>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace cenote {
namespace {

// A bound port of this machine; nobody accepts, as in a process that stands still.
class Port {
 public:
  explicit Port(std::optional<int> backlog) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    (void)::bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    (void)::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    if (backlog) (void)::listen(fd_, *backlog);
    door_ = {"127.0.0.1", ntohs(address.sin_port)};
  }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  ~Port() { ::close(fd_); }
  const Door& door() const { return door_; }

 private:
  const int fd_;
  Door door_;
};

TEST(Knock, a_connection_and_a_refusal_are_answers_and_a_name_is_none) {
  const Port open(8);
  const Port shut(std::nullopt);
  const Door doors[] = {open.door(), shut.door(), {"localhost", open.door().port}};
  const CallContext context{Deadline::in(std::chrono::seconds(30)), {}};
  EXPECT_EQ(knock(doors, context), (std::vector{true, true, false}));
  EXPECT_TRUE(knock({}, context).empty());
}

// A queue of one place, which is taken: the kernel lets further connections wait in silence.
class FullPort {
 public:
  FullPort() : filler_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_.door().port);
    (void)::connect(filler_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  FullPort(const FullPort&) = delete;
  FullPort& operator=(const FullPort&) = delete;
  ~FullPort() { ::close(filler_); }
  const Door& door() const { return port_.door(); }

 private:
  const Port port_{0};
  const int filler_;
};

TEST(Knock, who_says_nothing_until_the_deadline_does_not_answer) {
  const FullPort full;
  const Port open(8);
  const Door doors[] = {full.door(), open.door()};
  // On a busy machine the time may be over before anybody was asked: then it gets more.
  std::vector<bool> answers;
  for (Duration time = std::chrono::milliseconds(100); time < std::chrono::seconds(30); time *= 2) {
    answers = knock(doors, {Deadline::in(time), {}});
    if (answers.back()) break;
  }
  EXPECT_EQ(answers, (std::vector{false, true}));
}

TEST(Knock, who_stood_still_until_the_deadline_takes_what_came_meanwhile) {
  const Port open(8);
  const Door doors[] = {open.door()};
  EXPECT_EQ(knock(doors, {Deadline::in(Duration::zero()), {}}), std::vector{true});
}

TEST(Knock, a_stop_ends_it) {
  const FullPort full;
  std::stop_source stop;
  stop.request_stop();
  const Door doors[] = {full.door()};
  EXPECT_EQ(knock(doors, {Deadline(), stop.get_token()}), std::vector{false});
}

}  // namespace
}  // namespace cenote
