// The client against three real servers and one that wants TLS and a token.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store/consul_client.h"
#include "store/servers.h"

namespace cenote::store {
namespace {

using Verb = consul::Step::Verb;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Connections that are opened and say nothing.
class Crowd {
 public:
  Crowd(const std::string& url, int count) {
    const size_t begin = url.find("//") + 2;
    const size_t colon = url.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(url.substr(colon + 1))));
    ::inet_pton(AF_INET, url.substr(begin, colon - begin).c_str(), &address.sin_addr);
    for (int i = 0; i < count; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) ++connected_;
      all_.push_back(fd);
    }
  }
  ~Crowd() {
    for (const int fd : all_) ::close(fd);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  int connected() const { return connected_; }

 private:
  std::vector<int> all_;
  int connected_ = 0;
};

class Consul : public StoreServers {
 protected:
  Consul() : StoreServers("CONSUL") {}
  void SetUp() override {
    StoreServers::SetUp();
    if (urls_.empty()) return;
    client_ = std::make_unique<ConsulClient>(*ConsulClient::make(options()));
  }
  static consul::Registration about(const std::string& node) {
    consul::Registration about;
    about.name = "cenote-" + std::to_string(::getpid()) + "-" +
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    about.id = about.name + "." + node;
    about.check_id = "cenote:" + about.id;
    about.meta = {{"incarnation", "7"}};
    return about;
  }
  // Once there are so many: the catalogue may learn of it a moment after its agent.
  Result<ConsulClient::Services> services(const std::string& name, size_t count) {
    Result<ConsulClient::Services> listed = Status::Invalid("not asked yet");
    EXPECT_TRUE(eventually([&] {
      listed = client_->services(context(), name);
      return listed.ok() && listed->list.size() == count;
    })) << listed.status();
    return listed;
  }
  StoreOptions only(const std::string& url) const {
    StoreOptions one = options();
    one.endpoints = {url};
    return one;
  }

  std::unique_ptr<ConsulClient> client_;
};

TEST_F(Consul, a_service_is_listed_with_its_meta_and_leaves) {
  const auto n1 = about("n1");
  ASSERT_EQ(client_->enter(context(), n1), Status::OK());
  const auto listed = services(n1.name, 1);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->list.size(), 1U);
  EXPECT_EQ(listed->list[0].id, n1.id);
  EXPECT_EQ(listed->list[0].meta.at("incarnation"), "7");
  EXPECT_TRUE(listed->list[0].passing);
  EXPECT_TRUE(client_->pass(context(), n1.check_id, "ok").ValueOr(false));
  ASSERT_EQ(client_->leave(context(), n1.id), Status::OK());
  EXPECT_TRUE(services(n1.name, 0).ok());
  EXPECT_FALSE(client_->pass(context(), n1.check_id, "ok").ValueOr(true))
      << "the agent knows it no more, and that is no error";
}

TEST_F(Consul, a_registration_belongs_to_its_agent) {
  const auto n1 = about("n1");
  ConsulClient first = *ConsulClient::make(only(urls_[0]));
  ConsulClient second = *ConsulClient::make(only(urls_[1]));
  ASSERT_EQ(first.enter(context(), n1), Status::OK());
  EXPECT_FALSE(second.pass(context(), n1.check_id, "ok").ValueOr(true));
  ASSERT_EQ(second.enter(context(), n1), Status::OK());
  const auto listed = services(n1.name, 2);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->list.size(), 2U) << "one for each agent; the reader takes the newer";
  EXPECT_NE(listed->list[0].agent, listed->list[1].agent);
  EXPECT_EQ(first.leave(context(), n1.id), Status::OK());
  EXPECT_EQ(second.leave(context(), n1.id), Status::OK());
}

TEST_F(Consul, a_check_that_is_not_passed_becomes_critical_and_stays_listed) {
  auto n1 = about("n1");
  n1.ttl = seconds(1);
  ASSERT_EQ(client_->enter(context(), n1), Status::OK());
  EXPECT_TRUE(eventually([&] {
    const auto listed = client_->services(context(), n1.name);
    return listed.ok() && listed->list.size() == 1 && !listed->list[0].passing;
  }));
  EXPECT_EQ(client_->leave(context(), n1.id), Status::OK());
}

TEST_F(Consul, a_blocking_query_ends_with_a_change_or_with_its_time) {
  const auto n1 = about("n1");
  const auto before = client_->services(context(), n1.name);
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_GE(before->index, 1U);
  const auto quiet = client_->wait_services({}, n1.name, before->index, milliseconds(50));
  ASSERT_TRUE(quiet.ok()) << quiet.status();
  ConsulClient other = *ConsulClient::make(options());
  Result<ConsulClient::Services> woken = *quiet;
  std::thread waiting([&] {
    // A change of anything else may wake it too.
    while (woken.ok() && woken->list.empty()) {
      woken = other.wait_services({}, n1.name, woken->index, seconds(20));
    }
  });
  ASSERT_EQ(client_->enter(context(), n1), Status::OK());
  waiting.join();
  ASSERT_TRUE(woken.ok()) << woken.status();
  EXPECT_EQ(client_->leave(context(), n1.id), Status::OK());
}

TEST_F(Consul, a_transaction_is_all_or_nothing) {
  const auto commit = [&](const std::vector<consul::Step>& steps) {
    const auto done = client_->commit(context(), steps);
    EXPECT_TRUE(done.ok()) << done.status();
    return done.ok() && done->has_value();
  };
  EXPECT_TRUE(
      commit({{Verb::kCas, key("head"), "1", 0, ""}, {Verb::kSet, key("v/1"), "x", 0, ""}}));
  EXPECT_FALSE(
      commit({{Verb::kCas, key("head"), "2", 0, ""}, {Verb::kSet, key("v/1"), "y", 0, ""}}));
  const auto head = client_->get(context(), key("head"));
  ASSERT_TRUE(head.ok() && *head) << head.status();
  EXPECT_EQ((*head)->value, "1");
  EXPECT_TRUE(commit({{Verb::kCas, key("head"), "2", (*head)->modify_index, ""}}));
  EXPECT_FALSE(commit({{Verb::kCheckNotExists, key("v/1"), "", 0, ""}}));
  const auto all = client_->list(context(), key(""));
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[1].value, "x");
  EXPECT_FALSE(*client_->get(context(), key("none")));
  EXPECT_TRUE(client_->list(context(), key("none"))->empty());
}

TEST_F(Consul, without_a_token_the_list_is_empty_and_only_keys_tell_why) {
  StoreOptions with = secure();
  const auto nobody = ConsulClient::make(with)->services(context(), "cenote-any");
  ASSERT_TRUE(nobody.ok()) << "this is what Consul does: " << nobody.status();
  EXPECT_TRUE(nobody->list.empty());
  const auto key = ConsulClient::make(with)->get(context(), "cenote/any/config/head");
  EXPECT_EQ(error_kind(key.status()), ErrorKind::kAuthentication) << key.status();
  with.token = "00000000-0000-0000-0000-00000000dead";
  const auto unknown = ConsulClient::make(with)->services(context(), "cenote-any");
  EXPECT_EQ(error_kind(unknown.status()), ErrorKind::kAuthentication) << unknown.status();
  EXPECT_EQ(unknown.status().message().find("dead"), std::string::npos) << "no secrets";
  with.token = variable("CONSUL_TOKEN");
  ConsulClient client = *ConsulClient::make(with);
  EXPECT_TRUE(client.get(context(), "cenote/any/config/head").ok());
  const auto elsewhere = client.commit(context(), {{Verb::kSet, "other", "x", 0, ""}});
  EXPECT_EQ(error_kind(elsewhere.status()), ErrorKind::kAuthentication) << elsewhere.status();
}

TEST_F(Consul, the_201st_connection_is_cut_off_and_another_server_answers) {
  Crowd crowd(urls_[0], 220);
  ASSERT_GE(crowd.connected(), 200);
  Status cut;
  ASSERT_TRUE(eventually([&] {
    cut = ConsulClient::make(only(urls_[0]))->get(context(), key("a")).status();
    return !cut.ok();
  }));
  EXPECT_EQ(error_kind(cut), ErrorKind::kConnection);
  EXPECT_NE(cut.message().find("http_max_conns_per_client"), std::string::npos) << cut;
  StoreOptions two = options();
  two.endpoints = {urls_[0], urls_[1]};
  for (int i = 0; i < 6; ++i) {
    const auto answer = ConsulClient::make(two)->get(context(), key("a"));
    EXPECT_TRUE(answer.ok()) << answer.status();
  }
}

TEST_F(Consul, a_paused_server_is_left_within_a_second) {
  ConsulClient client = *ConsulClient::make(impatient(urls_));
  const std::string url = client.url();
  const Paused paused(pid_of(url));
  const auto stuck = ConsulClient::make(impatient({url}))->get({Deadline(), {}}, key("a"));
  ASSERT_FALSE(stuck.ok());
  EXPECT_EQ(error_kind(stuck.status()), ErrorKind::kQueryTimeout);
  EXPECT_TRUE(eventually([&] { return client.get(context(), key("a")).ok(); }));
  EXPECT_NE(client.url(), url);
}

}  // namespace
}  // namespace cenote::store
