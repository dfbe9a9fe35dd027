// What becomes of calls while the resolver says nothing.
#include "net/resolve.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "hanging_resolver.h"
#include "net/http_client.h"

namespace cenote {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using Numbers = std::vector<std::string>;

class Resolve : public testing::Test {
 protected:
  HangingResolver resolver_;
};

TEST_F(Resolve, a_number_needs_no_resolver) {
  const CallContext over{Deadline::in(Duration::zero()), {}};
  EXPECT_EQ(resolve("10.0.0.1", over).ValueOr({}), Numbers{"10.0.0.1"});
  EXPECT_EQ(resolve("2001:db8::1", over).ValueOr({}), Numbers{"2001:db8::1"});
}

TEST_F(Resolve, a_call_ends_at_its_deadline_though_the_resolver_hangs) {
  const auto client = *HttpClient::make({"http://store.hangs:1"});
  const Status status = client->send({Deadline::in(milliseconds(50)), {}}, {}).status();
  EXPECT_EQ(error_kind(status), ErrorKind::kQueryTimeout) << status;
  ASSERT_NE(error_detail(status), nullptr);
  EXPECT_EQ(error_detail(status)->sent, Sent::kNo);
  EXPECT_NE(status.message().find("store.hangs"), std::string::npos) << status;
}

TEST_F(Resolve, a_stop_ends_it_too) {
  std::stop_source stop;
  std::jthread stops([&] { stop.request_stop(); });
  const auto client = *HttpClient::make({"http://stopped.hangs:1"});
  const Status status = client->send({Deadline(), stop.get_token()}, {}).status();
  EXPECT_EQ(error_kind(status), ErrorKind::kCancelled) << status;
}

TEST_F(Resolve, who_asks_for_the_same_name_shares_its_look_up_with_those_who_left) {
  for (int i = 0; i < 5; ++i) {
    const auto none = resolve("shared.hangs", {Deadline::in(milliseconds(1)), {}});
    EXPECT_EQ(error_kind(none.status()), ErrorKind::kQueryTimeout) << none.status();
  }
  while (HangingResolver::asked("shared.hangs") == 0) std::this_thread::yield();
  // Counted before it is let go: who asks after its end begins another.
  EXPECT_EQ(HangingResolver::asked("shared.hangs"), 1);
  std::jthread lets_go([] { HangingResolver::let_go(); });
  EXPECT_EQ(resolve("shared.hangs", {Deadline::in(seconds(30)), {}}).ValueOr({}),
            Numbers{"127.0.0.1"});
}

TEST_F(Resolve, names_that_hang_use_a_bounded_number_of_threads) {
  Status last;
  int begun = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "n" + std::to_string(i) + ".hangs";
    last = resolve(name, {Deadline::in(milliseconds(1)), {}}).status();
    begun += error_kind(last) == ErrorKind::kQueryTimeout ? 1 : 0;
  }
  EXPECT_LT(begun, 100);
  EXPECT_EQ(error_kind(last), ErrorKind::kConnection) << last;
  EXPECT_NE(last.message().find("resolver"), std::string::npos) << last;
}

}  // namespace
}  // namespace cenote
