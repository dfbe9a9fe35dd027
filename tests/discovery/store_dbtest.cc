// Discovery on real stores: what nodes publish, clients see; what a store loses, they keep.
#include <algorithm>

#include "discovery/parties.h"
#include "discovery/store_discovery.h"
#include "store/consul_client.h"
#include "store/etcd_client.h"
#include "store/servers.h"

namespace cenote::discovery {
namespace {

using cluster::NodeState;
using Store = StoreDiscoveryOptions::Store;
using std::chrono::seconds;

struct StoreKind {
  Store store;
  const char* name;      // of tests
  const char* variable;  // of its servers
};

class StoreDiscoveries : public store::StoreServers, public testing::WithParamInterface<StoreKind> {
 protected:
  StoreDiscoveries() : StoreServers(GetParam().variable) {}

  StoreDiscoveryOptions how(const std::string& self = "") const {
    StoreDiscoveryOptions how;
    how.store = GetParam().store;
    how.directory.store = options();
    how.directory.cluster = cluster();
    how.self = self;
    how.confirm = seconds(1);
    return how;
  }
  static std::string cluster() {
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    name = name.substr(0, name.find('/')).substr(0, 40);
    std::replace(name.begin(), name.end(), '_', '-');
    return "t" + std::to_string(::getpid()) + "-" + name;
  }
  std::unique_ptr<ServiceDiscovery> discovery(const std::string& self = "") const {
    return *store_discovery(how(self));
  }
  std::unique_ptr<Directory> directory() const {
    return GetParam().store == Store::kEtcd ? *etcd_directory(how().directory)
                                            : *consul_directory(how().directory);
  }
  bool etcd() const { return GetParam().store == Store::kEtcd; }
  // Takes a node out of the store behind its back.
  void forget(const std::string& id) {
    if (etcd()) {
      auto client = *store::EtcdClient::make(options());
      const std::string key = "/cenote/" + cluster() + "/nodes/" + id;
      ASSERT_TRUE(client.commit(context(), {{}, {}, {key}}).ok());
      return;
    }
    for (const std::string& url : urls_) {
      store::StoreOptions one = options();
      one.endpoints = {url};
      (void)store::ConsulClient::make(one)->leave(context(), cluster() + "." + id);
    }
  }
  // As an operator with the store's own tools.
  void put(const std::string& key, const std::string& value) {
    if (etcd()) {
      auto client = *store::EtcdClient::make(options());
      ASSERT_TRUE(client.commit(context(), {{}, {{"/" + below(key), value, 0}}, {}}).ok());
    } else {
      using Verb = store::consul::Step::Verb;
      auto client = *store::ConsulClient::make(options());
      ASSERT_TRUE(client.commit(context(), {{Verb::kSet, below(key), value, 0, ""}}).ok());
    }
  }
  void wipe(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
      if (etcd()) {
        auto client = *store::EtcdClient::make(options());
        ASSERT_TRUE(client.commit(context(), {{}, {}, {"/" + below(key)}}).ok());
      } else {
        using Verb = store::consul::Step::Verb;
        auto client = *store::ConsulClient::make(options());
        ASSERT_TRUE(client.commit(context(), {{Verb::kDelete, below(key), "", 0, ""}}).ok());
      }
    }
  }
  static std::string below(const std::string& key) { return "cenote/" + cluster() + "/" + key; }
  static bool up(Client& client, const std::string& id) {
    const auto found = client.view_.nodes().find(id);
    return found != client.view_.nodes().end() && found->second.state == NodeState::kUp;
  }
};

TEST_P(StoreDiscoveries, a_node_is_seen_with_all_it_says_and_leaves) {
  Client client(discovery());
  Node n1(discovery(), "n1");
  Node n2(discovery(), "n2");
  ASSERT_TRUE(client.sees("n1")) << client.last_failure();
  ASSERT_TRUE(client.sees("n2")) << client.last_failure();
  EXPECT_TRUE(client.wait([](Client& c) {
    const cluster::Node& node = c.view_.nodes().at("n1");
    return node.about.zone == "z\u00fcrich" && node.about.incarnation == 3 &&
           node.about.pools.at(0).pool_id == "main_db" && node.about.pools.at(0).max == 10;
  }));
  n1.change([](Node& n) { n.healthy_ = false; });
  EXPECT_TRUE(client.wait([](Client& c) {
    return !c.view_.nodes().at("n1").about.pools.at(0).healthy;
  })) << "a change of the node arrives";
  n1.change([](Node& n) { n.draining_ = true; });
  EXPECT_TRUE(client.sees("n1", NodeState::kDraining));
  n1.stop();
  EXPECT_TRUE(client.wait([](Client& c) { return !c.view_.nodes().contains("n1"); }));
  EXPECT_TRUE(client.sees("n2"));
}

TEST_P(StoreDiscoveries, load_is_not_published) {
  Client client(discovery());
  Node node(discovery(), "n1");
  ASSERT_TRUE(client.sees("n1")) << client.last_failure();
  const int renewals = [&] {
    int seen = 0;
    node.change([&](Node& n) { seen = n.renewals_; });
    return seen;
  }();
  int before = 0;
  client.wait([&](Client& c) {
    before = c.lists_;
    return true;
  });
  ASSERT_TRUE(node.wait([&](Node& n) { return n.renewals_ >= renewals + 3; })) << node.last_;
  EXPECT_TRUE(client.wait([&](Client& c) { return c.lists_ <= before + 1; }))
      << "its calls under way changed with each renewal";
}

TEST_P(StoreDiscoveries, a_node_that_somebody_took_out_comes_back_with_the_same_incarnation) {
  Node node(discovery("n1"), "n1");
  Client client(discovery());
  ASSERT_TRUE(client.sees("n1")) << client.last_failure();
  ASSERT_TRUE(node.wait([](Node& n) { return n.renewals_ >= 1; }));
  // Until somebody saw it: it may be back before the client has looked.
  ASSERT_TRUE(store::eventually([&] {
    forget("n1");
    bool seen = false;
    client.wait([&](Client& c) {
      seen = c.left_up_.contains("n1");
      return true;
    });
    return seen;
  }));
  ASSERT_TRUE(client.sees("n1")) << client.last_failure();
  EXPECT_TRUE(client.wait([](Client& c) { return c.least_ >= 0U; }));
  EXPECT_TRUE(
      client.wait([](Client& c) { return c.view_.nodes().at("n1").about.incarnation == 3; }));
}

TEST_P(StoreDiscoveries, an_older_process_does_not_take_a_newer_ones_place) {
  Client client(discovery());
  Node second(discovery(), "n1", 4);
  ASSERT_TRUE(second.wait([](Node& n) { return n.renewals_ >= 1; })) << second.last_;
  Node first(discovery(), "n1", 3);
  ASSERT_TRUE(first.wait([](Node& n) { return n.failures_ >= 1; }));
  EXPECT_NE(first.last_.message().find("newer process"), std::string::npos) << first.last_;
  EXPECT_TRUE(client.wait(
      [](Client& c) { return up(c, "n1") && c.view_.nodes().at("n1").about.incarnation == 4; }));
}

TEST_P(StoreDiscoveries, a_newer_process_takes_the_place_of_one_that_was_killed) {
  Client client(discovery());
  const std::stop_token never;
  Entry old;
  old.about.node_id = "n1";
  old.about.incarnation = 3;
  old.about.location = "grpc://127.0.0.1:1";
  const auto killed = directory();
  ASSERT_EQ(killed->enter(never, old), Status::OK());
  ASSERT_TRUE(client.sees("n1")) << client.last_failure();
  Node node(discovery(), "n1", 4);
  EXPECT_TRUE(
      client.wait([](Client& c) { return c.view_.nodes().at("n1").about.incarnation == 4; }));
}

TEST_P(StoreDiscoveries, a_node_whose_lease_ends_is_dead_and_stays_listed) {
  Client client(discovery());
  Node other(discovery(), "n2");
  Node third(discovery(), "n3");
  Entry silent;
  silent.about.node_id = "n1";
  silent.about.incarnation = 3;
  silent.about.location = "grpc://127.0.0.1:1";
  const auto killed = directory();
  ASSERT_EQ(killed->enter({}, silent), Status::OK());
  ASSERT_TRUE(client.sees("n1")) << client.last_failure();
  ASSERT_TRUE(client.sees("n2")) << client.last_failure();
  ASSERT_TRUE(client.sees("n3")) << client.last_failure();
  EXPECT_TRUE(client.sees("n1", NodeState::kDead));
  EXPECT_TRUE(client.wait([](Client& c) { return up(c, "n2") && up(c, "n3"); }));
  const Status lost = killed->renew({});
  if (etcd()) {
    EXPECT_EQ(error_kind(lost), ErrorKind::kInterface) << lost;
  } else {
    EXPECT_TRUE(lost.ok()) << "Consul's check may be passed again: " << lost;
  }
}

TEST_P(StoreDiscoveries, a_configuration_is_applied_or_refused_and_told) {
  Client client(discovery());
  Node node(discovery(), "n1");
  ASSERT_TRUE(client.sees("n1")) << client.last_failure();
  const auto keys = directory();
  const std::stop_token never;
  EXPECT_EQ(keys->config_head(never)->version, 0U);
  EXPECT_TRUE(*keys->append_config(never, {}, {1, "one \u00fc\n", "now", "me"}));
  EXPECT_FALSE(*keys->append_config(never, {}, {1, "other", "now", "me"})) << "somebody was faster";
  ASSERT_TRUE(node.wait([](Node& n) { return n.applied_ == 1; })) << node.last_;
  EXPECT_TRUE(node.wait([](Node& n) { return n.content_ == "one \u00fc\n"; }));
  EXPECT_TRUE(client.wait([](Client& c) { return c.view_.nodes().at("n1").config_version == 1; }));
  node.refuses_ = true;
  EXPECT_TRUE(*keys->append_config(never, {1}, {2, "two", "now", "me"}));
  ASSERT_TRUE(node.wait([](Node& n) { return n.rejected_ >= 2U; })) << node.last_;
  EXPECT_TRUE(node.wait([](Node& n) { return n.applied_ == 1; })) << "the last good one stays";
  EXPECT_GE(keys->config_head(never)->version, 2U) << "the way back may be a third already";
  EXPECT_EQ(keys->config(never, 1)->content, "one \u00fc\n");
  EXPECT_EQ(error_kind(keys->config(never, 9).status()), ErrorKind::kUnknownPool);
}

TEST_P(StoreDiscoveries, a_wiped_store_gives_a_number_again_and_the_node_takes_what_it_stands_for) {
  Node node(discovery(), "n1");
  const auto keys = directory();
  EXPECT_TRUE(*keys->append_config({}, {}, {1, "one", "now", "me"}));
  ASSERT_TRUE(node.wait([](Node& n) { return n.content_ == "one"; })) << node.last_;
  const cluster::ConfigId old = *keys->config_head({});
  wipe({"config/head", "config/v/1"});
  forget("n1");
  EXPECT_FALSE(*keys->append_config({}, old, {2, "two", "now", "me"}));
  EXPECT_TRUE(*keys->append_config({}, {}, {1, "another", "now", "me"}));
  EXPECT_FALSE(*keys->append_config({}, old, {2, "two", "now", "me"})) << "that is not the head";
  ASSERT_TRUE(node.wait([](Node& n) { return n.content_ == "another"; })) << node.last_;
  node.refuses_ = true;
  EXPECT_TRUE(*keys->append_config({}, {1}, {2, "bad", "now", "me"}));
  ASSERT_TRUE(node.wait([](Node& n) { return n.rejected_ >= 2U; })) << node.last_;
  node.refuses_ = false;
  wipe({"config/head", "config/v/1", "config/v/2", "config/v/3"});
  EXPECT_TRUE(*keys->append_config({}, {}, {1, "one", "now", "me"}));
  EXPECT_TRUE(*keys->append_config({}, {1}, {2, "good", "now", "me"}));
  EXPECT_TRUE(node.wait([](Node& n) { return n.content_ == "good"; }))
      << "what it refused was another";
}

TEST_P(StoreDiscoveries, a_head_of_an_older_version_of_cenote_says_a_number_and_is_followed) {
  Node node(discovery(), "n1");
  ASSERT_TRUE(node.wait([](Node& n) { return n.renewals_ >= 1; })) << node.last_;
  put("config/v/1", R"({"version":1,"content":"old","at":"now","who":"me","reason":""})");
  put("config/head", R"({"version":1})");
  EXPECT_TRUE(node.wait([](Node& n) { return n.content_ == "old"; })) << node.last_;
}

TEST_P(StoreDiscoveries, a_paused_leader_takes_nobody_out_of_the_view) {
  StoreDiscoveryOptions fast = how();
  fast.directory.store = impatient(urls_);
  Client client(*store_discovery(fast));
  Node n1(*store_discovery(fast), "n1");
  Node n2(*store_discovery(fast), "n2");
  Node n3(*store_discovery(fast), "n3");
  for (const char* id : {"n1", "n2", "n3"}) ASSERT_TRUE(client.sees(id)) << client.last_failure();
  int before = 0;
  n1.change([&](Node& n) { before = n.renewals_; });
  {
    const store::Paused paused(pid_of(urls_[0]));
    EXPECT_TRUE(n1.wait([&](Node& n) { return n.renewals_ >= before + 3; })) << n1.last_;
    EXPECT_TRUE(client.wait([](Client& c) { return c.view_.nodes().size() == 3; }));
  }
  for (const char* id : {"n1", "n2", "n3"}) EXPECT_TRUE(client.sees(id)) << client.last_failure();
}

TEST_P(StoreDiscoveries, without_rights_the_error_says_so_and_the_view_stays) {
  StoreDiscoveryOptions with = how();
  with.directory.store = secure();
  Client client(*store_discovery(with));
  ASSERT_TRUE(client.wait([](Client& c) { return c.failures_ > 0; }));
  EXPECT_EQ(error_kind(client.last_failure()), ErrorKind::kAuthentication) << client.last_failure();
  EXPECT_TRUE(client.wait([](Client& c) { return c.lists_ == 0; })) << "no empty list was shown";
}

TEST_P(StoreDiscoveries, with_rights_all_works_over_tls) {
  StoreDiscoveryOptions with = how();
  with.directory.store = secure();
  with.directory.store.token = store::variable("CONSUL_TOKEN");
  if (etcd()) {
    with.directory.store.token.clear();
    with.directory.store.username = store::variable("ETCD_USER");
    with.directory.store.password = store::variable("ETCD_PASSWORD");
  }
  Client client(*store_discovery(with));
  Node node(*store_discovery(with), "n1");
  EXPECT_TRUE(client.sees("n1")) << client.last_failure();
  EXPECT_TRUE(node.wait([](Node& n) { return n.renewals_ >= 4; })) << node.last_;
  EXPECT_TRUE(node.wait([](Node& n) { return n.failures_ == 0; })) << node.last_;
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreDiscoveries,
                         testing::Values(StoreKind{Store::kEtcd, "etcd", "ETCD"},
                                         StoreKind{Store::kConsul, "consul", "CONSUL"}),
                         [](const auto& info) { return info.param.name; });

class ConsulDiscovery : public store::StoreServers {
 protected:
  ConsulDiscovery() : StoreServers("CONSUL") {}
};

TEST_F(ConsulDiscovery, a_node_that_writes_but_does_not_see_itself_knows_that_something_is_wrong) {
  StoreDiscoveryOptions blind;
  blind.directory.store = secure();
  blind.directory.store.token = store::variable("CONSUL_BLIND_TOKEN");
  blind.directory.cluster = "blind" + std::to_string(::getpid());
  Node node(*store_discovery(blind), "n1");
  ASSERT_TRUE(node.wait([](Node& n) { return n.failures_ >= 1; }));
  EXPECT_NE(node.last_.message().find("does not show node 'n1'"), std::string::npos) << node.last_;
}

TEST(StaticDiscovery, shows_the_nodes_of_its_list_as_up) {
  Client client(*static_discovery({{"db2:8815", "grpc+tls://db1:8815"}, {"main_db", "b"}, "c"}));
  EXPECT_TRUE(client.sees("db1:8815"));
  EXPECT_TRUE(client.sees("db2:8815"));
  EXPECT_TRUE(client.wait([](Client& c) {
    return c.view_.nodes().at("db1:8815").about.location == "grpc+tls://db1:8815" &&
           c.view_.nodes().at("db2:8815").about.location == "grpc://db2:8815" &&
           c.view_.instances("b").size() == 2;
  }));
  EXPECT_EQ(error_kind(static_discovery({{"db1:8815"}, {}, "c"}).status()), ErrorKind::kConfig);
  EXPECT_EQ(error_kind(static_discovery({{}, {"a"}, "c"}).status()), ErrorKind::kConfig);
}

TEST(StoreDiscoveryOptions, that_are_wrong_are_refused_with_their_key) {
  StoreDiscoveryOptions how;
  EXPECT_NE(store_discovery(how).status().message().find("discovery.endpoint"), std::string::npos);
  how.directory.store.endpoints = {"consul:8500"};
  EXPECT_TRUE(store_discovery(how).ok());
  how.directory.cluster = "a/b";
  EXPECT_NE(store_discovery(how).status().message().find("discovery.cluster"), std::string::npos);
  how.directory.cluster = "a";
  how.directory.ttl = seconds(1);
  EXPECT_NE(store_discovery(how).status().message().find("discovery.ttl"), std::string::npos);
  how.directory.ttl = seconds(5);
  how.directory.store.endpoints = {"consul:port"};
  EXPECT_EQ(error_kind(store_discovery(how).status()), ErrorKind::kConfig);
}

}  // namespace
}  // namespace cenote::discovery
