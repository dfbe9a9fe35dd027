// What is sent, byte by byte: a misspelt field would be ignored by etcd, and a comparison without
// its number hold.
#include <gtest/gtest.h>

#include "store/base64.h"
#include "store/consul_wire.h"
#include "store/etcd_wire.h"

namespace cenote::store {
namespace {

Json json(const std::string& text) {
  return parse_json(text).ValueOr(Json());
}

TEST(Base64, is_the_rfcs) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(base64(bytes), text);
    EXPECT_EQ(from_base64(text).ValueOr("?"), bytes);
  }
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(from_base64(base64(all)).ValueOr("?"), all);
  for (const char* wrong : {"Zg", "Zg=", "Z===", "Zg==Zg==", "Zh==", "Zm9v\n", "Zm-v"}) {
    EXPECT_FALSE(from_base64(wrong).ok()) << wrong;
  }
}

TEST(EtcdWire, requests_are_these_bytes) {
  using namespace etcd;
  EXPECT_EQ(range_body("a", ""), R"({"key":"YQ=="})");
  EXPECT_EQ(range_body("a/", "a0", 7),
            R"({"key":"YS8=","range_end":"YTA=","min_mod_revision":"7"})");
  EXPECT_EQ(grant_body(5), R"({"TTL":"5"})");
  EXPECT_EQ(lease_body(18446744073709551615U), R"({"ID":"18446744073709551615"})");
  EXPECT_EQ(watch_body("a/", "a0", 8),
            R"({"create_request":{"key":"YS8=","range_end":"YTA=","start_revision":"8"}})");
  EXPECT_EQ(login_body("app", "s\"x"), R"({"name":"app","password":"s\"x"})");
  Transaction transaction;
  transaction.compares = {{"a", Compare::Target::kModRevision, 9},
                          {"b", Compare::Target::kCreateRevision, 0},
                          {"c", Compare::Target::kValue, 0, "1"}};
  transaction.puts = {{"a", "1", 3}, {"b", "2", 0}};
  transaction.deletes = {"c"};
  EXPECT_EQ(
      transaction_body(transaction),
      R"({"compare":[{"key":"YQ==","result":"EQUAL","target":"MOD","mod_revision":"9"},)"
      R"({"key":"Yg==","result":"EQUAL","target":"CREATE","create_revision":"0"},)"
      R"({"key":"Yw==","result":"EQUAL","target":"VALUE","value":"MQ=="}],)"
      R"("success":[{"request_put":{"key":"YQ==","value":"MQ==","lease":"3"}},)"
      R"({"request_put":{"key":"Yg==","value":"Mg=="}},{"request_delete_range":{"key":"Yw=="}}]})");
}

TEST(EtcdWire, the_end_of_a_prefix_is_its_successor) {
  EXPECT_EQ(etcd::end_of_prefix("a/"), "a0");
  EXPECT_EQ(etcd::end_of_prefix("a\xff"), "b");
  EXPECT_EQ(etcd::end_of_prefix("\xff\xff"), std::string(1, '\0'));
}

TEST(EtcdWire, what_is_left_out_is_zero) {
  const Json range = json(
      R"({"header":{"revision":"4","raft_term":"2"},"kvs":[{"key":"YQ==","create_revision":"2",)"
      R"("mod_revision":"9007199254740993","version":"1","value":"MQ=="},{"key":"Yg=="}],"count":"3"})");
  const etcd::Range read = *etcd::range_from(range);
  EXPECT_EQ(read.revision, 4U);
  EXPECT_EQ(read.count, 3U);
  ASSERT_EQ(read.items.size(), 2U);
  EXPECT_EQ(read.items[0].mod_revision, 9007199254740993U);
  EXPECT_EQ(read.items[0].value, "1");
  EXPECT_EQ(read.items[1].value, "");
  EXPECT_FALSE(etcd::committed_from(json(R"({"header":{"revision":"4"}})"))->succeeded);
  EXPECT_TRUE(
      etcd::committed_from(json(R"({"header":{"revision":"4"},"succeeded":true})"))->succeeded);
  EXPECT_EQ(*etcd::kept_alive_from(json(R"({"result":{"header":{"revision":"4"},"ID":"1"}})")), 0U);
  EXPECT_EQ(*etcd::kept_alive_from(json(R"({"result":{"ID":"1","TTL":"5"}})")), 5U);
  EXPECT_FALSE(etcd::range_from(json(R"({"kvs":[]})")).ok()) << "every answer has a header";
  EXPECT_FALSE(etcd::kept_alive_from(json(R"({"error":"x"})")).ok());
}

TEST(EtcdWire, a_watch_tells_changes_and_its_end) {
  const auto read = [](const char* text) { return *etcd::watch_message_from(text); };
  EXPECT_FALSE(read(R"({"result":{"header":{},"created":true}})").events);
  EXPECT_TRUE(read(R"({"result":{"header":{},"events":[{"kv":{"key":"YQ=="}}]}})").events);
  EXPECT_NE(read(R"({"result":{"canceled":true,"compact_revision":"9"}})").error.find("9"),
            std::string::npos);
  EXPECT_EQ(read(R"({"error":{"grpc_code":14,"message":"etcdserver: no leader"}})").error,
            "etcdserver: no leader");
}

TEST(EtcdWire, messages_are_cut_anywhere_and_the_last_has_no_line_end) {
  const std::string text = "{\"a\":\"}{\\\"\"}\n{\"b\":{\"c\":[{}]}}\n{\"d\":1}";
  for (size_t size = 1; size <= text.size(); ++size) {
    etcd::ObjectSplitter splitter;
    std::vector<std::string> objects;
    for (size_t at = 0; at < text.size(); at += size) {
      EXPECT_TRUE(splitter.feed(text.substr(at, size), &objects));
    }
    ASSERT_EQ(objects.size(), 3U) << size;
    EXPECT_EQ(objects[0], "{\"a\":\"}{\\\"\"}");
    EXPECT_EQ(objects[2], "{\"d\":1}");
  }
  etcd::ObjectSplitter small(8);
  std::vector<std::string> objects;
  EXPECT_FALSE(small.feed("{\"a\":\"12345\"}", &objects));
}

TEST(ConsulWire, requests_are_these_bytes) {
  using namespace consul;
  Registration registration;
  registration.id = "c.n1";
  registration.name = "cenote-c";
  registration.meta = {{"b", "2"}, {"a", "1"}};
  registration.check_id = "cenote:c.n1";
  EXPECT_EQ(registration_body(registration),
            R"({"ID":"c.n1","Name":"cenote-c","Meta":{"a":"1","b":"2"},"Check":{"CheckID":)"
            R"("cenote:c.n1","TTL":"5000ms","Status":"passing",)"
            R"("DeregisterCriticalServiceAfter":"60000ms"}})");
  EXPECT_EQ(check_body("ok"), R"({"Status":"passing","Output":"ok"})");
  using Verb = Step::Verb;
  EXPECT_EQ(transaction_body({{Verb::kCas, "a", "1", 7, ""},
                              {Verb::kCas, "b", "2", 0, ""},
                              {Verb::kSet, "c", "", 0, ""},
                              {Verb::kDelete, "d", "", 0, ""},
                              {Verb::kCheckIndex, "e", "", 8, ""},
                              {Verb::kCheckNotExists, "f", "", 0, ""},
                              {Verb::kCheckSession, "g", "", 0, "s-1"},
                              {Verb::kLock, "h", "x", 0, "s-1"}}),
            R"([{"KV":{"Verb":"cas","Key":"a","Value":"MQ==","Index":7}},)"
            R"({"KV":{"Verb":"cas","Key":"b","Value":"Mg==","Index":0}},)"
            R"({"KV":{"Verb":"set","Key":"c","Value":""}},{"KV":{"Verb":"delete","Key":"d"}},)"
            R"({"KV":{"Verb":"check-index","Key":"e","Index":8}},)"
            R"({"KV":{"Verb":"check-not-exists","Key":"f"}},)"
            R"({"KV":{"Verb":"check-session","Key":"g","Session":"s-1"}},)"
            R"({"KV":{"Verb":"lock","Key":"h","Value":"eA==","Session":"s-1"}}])");
  EXPECT_EQ(
      session_body({"leader", "m1", "check"}),
      R"({"Name":"leader","Node":"m1","LockDelay":"0s","Behavior":"release","NodeChecks":["serfHealth"],)"
      R"("ServiceChecks":[{"ID":"check"}]})");
}

TEST(ConsulWire, one_critical_check_is_enough) {
  const auto service = [](const std::string& checks) {
    const auto read = consul::services_from(
        json(R"([{"Node":{"Node":"m1"},"Service":{"ID":"c.n1","Meta":{"k":"v"}},"Checks":[)" +
             checks + "]}]"));
    EXPECT_TRUE(read.ok()) << read.status();
    return read->front();
  };
  EXPECT_TRUE(service(R"({"Status":"passing"},{"Status":"passing"})").passing);
  EXPECT_FALSE(service(R"({"Status":"critical"},{"Status":"passing"})").passing);
  EXPECT_EQ(service("").meta.at("k"), "v");
  EXPECT_FALSE(consul::services_from(json("{}")).ok());
}

TEST(ConsulWire, a_key_without_a_value_is_empty) {
  const auto items = consul::items_from(
      json(R"([{"Key":"a","Value":null,"ModifyIndex":16,"LockIndex":0},)"
           R"({"Key":"b","Value":"MQ==","ModifyIndex":17,"LockIndex":2,"Session":"s"}])"));
  ASSERT_TRUE(items.ok()) << items.status();
  EXPECT_EQ((*items)[0].value, "");
  EXPECT_EQ((*items)[1].session, "s");
  EXPECT_EQ(
      *consul::written_from(json(
          R"({"Results":[{"KV":{"Key":"a","ModifyIndex":16}},{"KV":{"Key":"b","ModifyIndex":17}}]})")),
      17U);
}

}  // namespace
}  // namespace cenote::store
