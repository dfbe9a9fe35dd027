// Several coordinators on one store: one leads, and who led before writes nothing.
#include <algorithm>

#include "coordinator/shared_store.h"
#include "store/servers.h"

namespace cenote::coordinator {
namespace {

using std::chrono::seconds;

struct StoreKind {
  const char* name;
  const char* variable;
  Result<std::unique_ptr<SharedStore>> (*open)(const SharedStoreOptions& options);
};

class SharedStores : public store::StoreServers, public testing::WithParamInterface<StoreKind> {
 protected:
  SharedStores() : StoreServers(GetParam().variable) {}

  SharedStoreOptions how(const std::string& name) const {
    SharedStoreOptions how;
    how.store = options();
    std::string test = testing::UnitTest::GetInstance()->current_test_info()->name();
    test = test.substr(0, test.find('/'));
    std::replace(test.begin(), test.end(), '_', '-');
    how.cluster = "t" + std::to_string(::getpid()) + "-" + test;
    how.url = "http://" + name + ":8080";
    // Nobody renews here, but where a test says so.
    how.ttl = how.give_up_after = std::chrono::minutes(1);
    return how;
  }
  static std::unique_ptr<SharedStore> open(const SharedStoreOptions& how) {
    auto store = GetParam().open(how);
    EXPECT_TRUE(store.ok()) << store.status();
    return std::move(*store);
  }
  static bool campaign(SharedStore& store) {
    const Result<bool> won = store.campaign(context());
    EXPECT_TRUE(won.ok()) << won.status();
    return won.ok() && *won;
  }
  static std::string value(SharedStore& store, const std::string& key) {
    const auto item = store.get(context(), key);
    EXPECT_TRUE(item.ok()) << item.status();
    return item.ok() && *item ? (*item)->value : "(absent)";
  }
};

TEST_P(SharedStores, one_leads_and_the_others_know_whom) {
  const auto a = open(how("a"));
  const auto b = open(how("b"));
  ASSERT_TRUE(campaign(*a));
  EXPECT_TRUE(a->leads());
  EXPECT_EQ(a->leader(), "") << "of others only";
  EXPECT_FALSE(campaign(*b));
  EXPECT_FALSE(b->leads());
  EXPECT_EQ(b->leader(), "http://a:8080");
  EXPECT_GT(*a->commit(context(), {{}, {{"k", "1"}}, {}}), 0U);
  EXPECT_EQ(value(*b, "k"), "1") << "a standby reads";
  const Status refused = b->commit(context(), {{}, {{"k", "2"}}, {}}).status();
  EXPECT_EQ(error_kind(refused), ErrorKind::kReadOnly);
  EXPECT_NE(refused.message().find("http://a:8080"), std::string::npos) << refused;
  EXPECT_EQ(value(*a, "k"), "1");
}

TEST_P(SharedStores, a_leader_that_goes_lets_another_follow_with_a_higher_term) {
  auto a = open(how("a"));
  const auto b = open(how("b"));
  ASSERT_TRUE(campaign(*a));
  const uint64_t term = a->term();
  EXPECT_GE(term, 1'700'000'000U) << "not below the time: a store that was wiped begins no old one";
  a->resign();
  EXPECT_FALSE(a->leads());
  ASSERT_TRUE(campaign(*b));
  EXPECT_GT(b->term(), term);
  EXPECT_EQ(error_kind(a->commit(context(), {{}, {{"k", "1"}}, {}}).status()),
            ErrorKind::kReadOnly);
}

TEST_P(SharedStores, the_store_itself_refuses_one_that_led_before) {
  SharedStoreOptions stubborn = how("a");
  stubborn.ttl = seconds(6);
  stubborn.give_up_after = std::chrono::hours(1);  // as if its clock stood still
  const auto a = open(stubborn);
  const auto b = open(how("b"));
  ASSERT_TRUE(campaign(*a));
  ASSERT_GT(*a->commit(context(), {{}, {{"k", "a"}}, {}}), 0U);
  ASSERT_TRUE(store::eventually([&] { return campaign(*b); })) << "its lease ends";
  ASSERT_GT(*b->commit(context(), {{}, {{"k", "b"}}, {}}), 0U);
  ASSERT_TRUE(a->leads()) << "it does not know";
  const Status zombie = a->commit(context(), {{}, {{"k", "zombie"}}, {}}).status();
  EXPECT_EQ(error_kind(zombie), ErrorKind::kReadOnly) << zombie;
  EXPECT_EQ(error_detail(zombie)->sent, Sent::kNo);
  EXPECT_EQ(value(*b, "k"), "b");
  EXPECT_FALSE(a->leads()) << "now it knows";
  EXPECT_EQ(a->leader(), "http://b:8080");
  EXPECT_EQ(error_kind(a->renew(context())), ErrorKind::kReadOnly);
}

TEST_P(SharedStores, a_leader_without_a_renewal_gives_up_by_its_own_clock) {
  SharedStoreOptions hasty = how("a");
  hasty.give_up_after = Duration::zero();
  const auto a = open(hasty);
  ASSERT_TRUE(campaign(*a));
  EXPECT_FALSE(a->leads());
  EXPECT_EQ(error_kind(a->commit(context(), {{}, {{"k", "1"}}, {}}).status()),
            ErrorKind::kReadOnly);
  EXPECT_EQ(value(*a, "k"), "(absent)");
}

TEST_P(SharedStores, renewals_keep_the_lead_beyond_the_lease) {
  SharedStoreOptions renewed = how("a");
  renewed.ttl = seconds(6);
  renewed.give_up_after = seconds(5);
  const auto a = open(renewed);
  const auto b = open(how("b"));
  ASSERT_TRUE(campaign(*a));
  const TimePoint end = Clock::now() + seconds(9);
  while (Clock::now() < end) {
    ASSERT_EQ(a->renew(context()), Status::OK());
    ASSERT_FALSE(campaign(*b));
  }
  EXPECT_GT(*a->commit(context(), {{}, {{"k", "1"}}, {}}), 0U);
}

TEST_P(SharedStores, many_deletes_are_done_in_parts) {
  const auto a = open(how("a"));
  ASSERT_TRUE(campaign(*a));
  StoreWrite forget;
  for (int i = 0; i < 300; ++i) {
    const std::string key = "old/" + std::to_string(i);
    forget.deletes.push_back(key);
    if (i % 50 == 0) {
      ASSERT_EQ(a->renew(context()), Status::OK());
      ASSERT_GT(*a->commit(context(), {{}, {{key, "x"}}, {}}), 0U);
    }
  }
  ASSERT_EQ(a->renew(context()), Status::OK());
  EXPECT_GT(*a->commit(context(), forget), 0U);
  EXPECT_TRUE(a->list(context(), "old/")->empty());
}

INSTANTIATE_TEST_SUITE_P(Stores, SharedStores,
                         testing::Values(StoreKind{"etcd", "ETCD", &open_etcd_store},
                                         StoreKind{"consul", "CONSUL", &open_consul_store}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cenote::coordinator
