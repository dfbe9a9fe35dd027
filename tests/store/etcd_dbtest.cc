// The client against three real members and one that asks for a certificate and a login.
#include "store/etcd_client.h"
#include "store/servers.h"

namespace cenote::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Etcd : public StoreServers {
 protected:
  Etcd() : StoreServers("ETCD") {}
  void SetUp() override {
    StoreServers::SetUp();
    if (urls_.empty()) return;
    client_ = std::make_unique<EtcdClient>(*EtcdClient::make(options()));
  }
  uint64_t put(const std::string& what, const std::string& value) {
    // The members may be about to elect another leader.
    Result<etcd::Committed> done = Status::Invalid("not asked yet");
    EXPECT_TRUE(eventually([&] {
      done = client_->commit(context(), {{}, {{key(what), value, 0}}, {}});
      return done.ok();
    })) << done.status();
    return done.ok() ? done->revision : 0;
  }
  pid_t leader() {
    EXPECT_TRUE(eventually([&] { return look_for_leader(); })) << "no member leads";
    return pid_of(leader_);
  }
  bool look_for_leader() {
    for (const std::string& url : urls_) {
      HttpClientOptions how;
      how.url = url;
      const auto answer =
          (*HttpClient::make(how))->send(context(), {"POST", "/v3/maintenance/status", {}, "{}"});
      if (!answer.ok()) continue;
      const Json status = *parse_json(answer->body);
      if (status.value("leader", "") != status["header"].value("member_id", "?")) continue;
      leader_ = url;
      return true;
    }
    return false;
  }

  std::string leader_;
  std::unique_ptr<EtcdClient> client_;
};

TEST_F(Etcd, what_was_written_is_read_and_versions_grow) {
  EXPECT_GT(put("b", "2"), 0U);
  EXPECT_GT(put("a", "ünïcødé \n"), 0U);
  const auto range = client_->range(context(), key(""), etcd::end_of_prefix(key("")));
  ASSERT_TRUE(range.ok()) << range.status();
  ASSERT_EQ(range->items.size(), 2U);
  EXPECT_EQ(range->items[0].key, key("a"));
  EXPECT_EQ(range->items[0].value, "ünïcødé \n");
  EXPECT_LT(range->items[1].mod_revision, range->items[0].mod_revision);
  const auto newer = client_->range(context(), key(""), etcd::end_of_prefix(key("")),
                                    range->items[0].mod_revision);
  ASSERT_TRUE(newer.ok()) << newer.status();
  EXPECT_EQ(newer->items.size(), 1U) << "the older one is left out";
  EXPECT_EQ(newer->count, 2U) << "but counted";
}

TEST_F(Etcd, a_comparison_that_does_not_hold_writes_nothing) {
  put("head", "1");
  const auto seen = client_->range(context(), key("head"), "");
  const uint64_t revision = seen->items.at(0).mod_revision;
  using Target = etcd::Compare::Target;
  const auto write = [&](etcd::Compare compare) {
    const auto done =
        client_->commit(context(), {{std::move(compare)}, {{key("head"), "2", 0}}, {}});
    EXPECT_TRUE(done.ok()) << done.status();
    return done.ok() && done->succeeded;
  };
  EXPECT_FALSE(write({key("head"), Target::kModRevision, revision - 1}));
  EXPECT_FALSE(write({key("head"), Target::kModRevision, 0})) << "it is not absent";
  EXPECT_FALSE(write({key("head"), Target::kCreateRevision, 0}));
  EXPECT_FALSE(write({key("head"), Target::kValue, 0, "2"}));
  EXPECT_FALSE(write({key("none"), Target::kValue, 0, ""})) << "what is absent has no value";
  EXPECT_TRUE(write({key("head"), Target::kValue, 0, "1"}));
  EXPECT_FALSE(write({key("head"), Target::kModRevision, revision}));
  EXPECT_TRUE(write({key("none"), Target::kModRevision, 0}));
}

TEST_F(Etcd, a_lease_that_is_no_more_is_not_renewed_though_the_answer_is_200) {
  const auto lease = client_->grant(context(), 5);
  ASSERT_TRUE(lease.ok()) << lease.status();
  ASSERT_TRUE(client_->commit(context(), {{}, {{key("a"), "1", *lease}}, {}}).ok());
  EXPECT_EQ(client_->keep_alive(context(), *lease).ValueOr(0), 5U);
  ASSERT_TRUE(client_->revoke(context(), *lease).ok());
  const auto left = client_->keep_alive(context(), *lease);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(*left, 0U);
  EXPECT_EQ(client_->range(context(), key("a"), "")->items.size(), 0U) << "its key went with it";
  const auto late = client_->commit(context(), {{}, {{key("a"), "1", *lease}}, {}});
  EXPECT_FALSE(late.ok());
}

TEST_F(Etcd, a_watch_ends_with_the_first_change_even_of_the_past) {
  const uint64_t before = put("a", "1");
  std::stop_source stop;
  const std::string end = etcd::end_of_prefix(key(""));
  const auto past = client_->changed(stop.get_token(), key(""), end, before, seconds(20));
  ASSERT_TRUE(past.ok()) << past.status();
  EXPECT_TRUE(*past);
  EtcdClient other = *EtcdClient::make(options());
  Result<bool> woken = false;
  std::thread waiting(
      [&] { woken = other.changed(stop.get_token(), key(""), end, before + 1, seconds(20)); });
  put("b", "2");
  waiting.join();
  ASSERT_TRUE(woken.ok()) << woken.status();
  EXPECT_TRUE(*woken);
  const auto quiet =
      client_->changed(stop.get_token(), key("none"), key("nonf"), before, milliseconds(50));
  EXPECT_FALSE(quiet.ValueOr(true)) << "silence is no error";
}

TEST_F(Etcd, a_watch_whose_history_is_gone_says_so) {
  const uint64_t revision = put("a", "1");
  put("a", "2");
  HttpClientOptions how;
  how.url = client_->url();
  const std::string body = "{\"revision\":\"" + std::to_string(revision + 1) + "\"}";
  const auto compacted =
      (*HttpClient::make(how))->send(context(), {"POST", "/v3/kv/compaction", {}, body});
  ASSERT_TRUE(compacted.ok()) << compacted.status();
  const auto watched = client_->changed({}, key(""), etcd::end_of_prefix(key("")), 1, seconds(20));
  ASSERT_FALSE(watched.ok());
  EXPECT_NE(watched.status().message().find("history begins at"), std::string::npos)
      << watched.status();
}

TEST_F(Etcd, a_silent_watch_is_found_out_by_asking_another_server) {
  const std::string end = etcd::end_of_prefix(key(""));
  uint64_t revision = put("a", "1");
  client_ = std::make_unique<EtcdClient>(*EtcdClient::make(impatient(urls_)));
  // It does not matter whether it leads.
  const Paused paused(pid_of(client_->url()));
  EtcdClient other = *EtcdClient::make(impatient(urls_));
  ASSERT_TRUE(eventually([&] {
    const auto done = other.commit(context(), {{}, {{key("a"), "2", 0}}, {}});
    return done.ok() && done->revision > revision;
  }));
  const auto silent = client_->changed({}, key(""), end, revision + 1, milliseconds(300));
  EXPECT_FALSE(silent.ValueOr(true)) << "the watch knows of nothing and has no error";
  ASSERT_TRUE(eventually([&] {
    const auto asked = client_->range(context(), key(""), end);
    return asked.ok() && asked->items.at(0).value == "2";
  }));
}

TEST_F(Etcd, a_paused_leader_is_left_within_a_second_and_the_others_go_on) {
  const Paused paused(leader());
  EtcdClient alone = *EtcdClient::make(impatient({leader_}));
  const auto stuck = alone.range({Deadline(), {}}, key("a"), "");
  ASSERT_FALSE(stuck.ok()) << "it answers nobody";
  EXPECT_EQ(error_kind(stuck.status()), ErrorKind::kQueryTimeout);
  EXPECT_NE(stuck.status().message().find(leader_), std::string::npos) << stuck.status();
  EtcdClient client = *EtcdClient::make(impatient(urls_));
  ASSERT_TRUE(eventually([&] {
    const auto done = client.commit(context(), {{}, {{key("a"), "1", 0}}, {}});
    return done.ok();
  }));
  EXPECT_NE(client.url(), leader_);
}

TEST_F(Etcd, a_server_that_is_not_there_is_passed_over_at_once) {
  StoreOptions some = options();
  some.endpoints = {"http://127.0.0.1:1", "127.0.0.1:1", urls_[0]};
  for (int i = 0; i < 6; ++i) {
    EtcdClient client = *EtcdClient::make(some);
    EXPECT_TRUE(client.range(context(), key("a"), "").ok());
  }
  some.endpoints = {"http://127.0.0.1:1"};
  const auto nobody = EtcdClient::make(some)->range(context(), key("a"), "");
  EXPECT_EQ(error_kind(nobody.status()), ErrorKind::kConnection);
}

TEST_F(Etcd, a_login_is_needed_where_users_are_and_gives_what_its_role_may) {
  StoreOptions with = secure();
  const auto nobody = EtcdClient::make(with)->range(context(), "/cenote/a", "");
  EXPECT_EQ(error_kind(nobody.status()), ErrorKind::kAuthentication) << nobody.status();
  with.username = variable("ETCD_USER");
  with.password = "a guess";
  const auto guessed = EtcdClient::make(with)->range(context(), "/cenote/a", "");
  EXPECT_EQ(error_kind(guessed.status()), ErrorKind::kAuthentication) << guessed.status();
  EXPECT_EQ(guessed.status().message().find("a guess"), std::string::npos);
  with.password = variable("ETCD_PASSWORD");
  EtcdClient client = *EtcdClient::make(with);
  EXPECT_TRUE(client.range(context(), "/cenote/a", "").ok());
  EXPECT_TRUE(client.commit(context(), {{}, {{"/cenote/a", "1", 0}}, {}}).ok());
  const auto watched = client.changed({}, "/cenote/", "/cenote0", 1, seconds(20));
  EXPECT_TRUE(watched.ok() && *watched) << watched.status();
  const auto elsewhere = client.range(context(), "/other", "");
  EXPECT_EQ(error_kind(elsewhere.status()), ErrorKind::kAuthentication) << elsewhere.status();
}

TEST_F(Etcd, a_certificate_of_another_authority_is_refused) {
  StoreOptions with = secure();
  with.tls = {};
  const auto refused = EtcdClient::make(with)->range(context(), "/cenote/a", "");
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kConnection) << refused.status();
}

}  // namespace
}  // namespace cenote::store
