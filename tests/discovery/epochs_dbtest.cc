// Failover's epochs on real stores: of those who decide at once, one wins and all know it.
#include <algorithm>
#include <thread>
#include <vector>

#include "discovery/epochs.h"
#include "store/consul_client.h"
#include "store/etcd_client.h"
#include "store/servers.h"

namespace cenote::discovery {
namespace {

using failover::EpochStore;
using failover::Record;

class Epochs : public store::StoreServers, public testing::WithParamInterface<const char*> {
 protected:
  Epochs() : StoreServers(GetParam()) {}

  bool etcd() const { return name_ == "ETCD"; }
  DirectoryOptions how() const {
    DirectoryOptions how;
    how.store = options();
    how.cluster = "e" + std::to_string(::getpid());
    return how;
  }
  std::shared_ptr<EpochStore> open() const {
    return etcd() ? *etcd_epochs(how()) : *consul_epochs(how());
  }
  // Asked again while the servers elect a leader: a decision that is asked for twice is one.
  static Record read(EpochStore& store) {
    Result<Record> answer = Record();
    EXPECT_TRUE(store::eventually([&] {
      answer = store.read(context(), group());
      return answer.ok();
    })) << answer.status();
    return answer.ValueOr(Record());
  }
  static Record decide(EpochStore& store, const Record& wanted) {
    Result<Record> answer = Record();
    EXPECT_TRUE(store::eventually([&] {
      answer = store.decide(context(), group(), wanted);
      return answer.ok();
    })) << answer.status();
    return answer.ValueOr(Record());
  }
  // A group that no other test has.
  static std::string group() {
    return testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  void write(const std::string& value) const {
    const std::string key = "cenote/" + how().cluster + "/failover/" + group();
    if (etcd()) {
      auto client = *store::EtcdClient::make(options());
      ASSERT_TRUE(client.commit(context(), {{}, {{"/" + key, value, 0}}, {}}).ok());
    } else {
      auto client = *store::ConsulClient::make(options());
      using Verb = store::consul::Step::Verb;
      ASSERT_TRUE(client.commit(context(), {{Verb::kSet, key, value, 0, ""}}).ok());
    }
  }
};

TEST_P(Epochs, nothing_was_decided_before_somebody_does) {
  EXPECT_EQ(read(*open()), Record());
}

TEST_P(Epochs, what_one_process_decides_another_reads) {
  const Record record{1, "b", "\u201eit\u201c did not answer", "web1/7"};
  EXPECT_EQ(decide(*open(), record), record);
  EXPECT_EQ(read(*open()), record);
}

TEST_P(Epochs, a_decision_that_comes_too_late_is_told_the_earlier_one) {
  const auto store = open();
  const Record first{3, "b", "first", "one"};
  ASSERT_EQ(decide(*store, first), first);
  EXPECT_EQ(decide(*store, {3, "a", "as late", "two"}), first);
  EXPECT_EQ(decide(*store, {2, "a", "older", "two"}), first);
  const Record next{4, "a", "next", "two"};
  EXPECT_EQ(decide(*store, next), next);
}

TEST_P(Epochs, of_many_that_decide_at_once_one_wins_and_all_know_which) {
  constexpr size_t kProcesses = 8;
  for (uint64_t epoch = 1; epoch <= 5; ++epoch) {
    std::vector<Record> answers(kProcesses);
    std::vector<std::thread> processes;
    for (size_t i = 0; i < kProcesses; ++i) {
      processes.emplace_back([&, i] {
        const std::string name = "process " + std::to_string(i);
        answers[i] = decide(*open(), {epoch, "of " + name, "a race", name});
      });
    }
    for (std::thread& process : processes) process.join();
    const Record stored = read(*open());
    EXPECT_EQ(stored.epoch, epoch);
    for (const Record& answer : answers) EXPECT_EQ(answer, stored);
  }
}

TEST_P(Epochs, a_store_that_forgot_takes_up_again) {
  const auto store = open();
  const Record late{7, "b", "known to those who run", "one"};
  EXPECT_EQ(decide(*store, late), late);
}

TEST_P(Epochs, a_record_of_somebody_else_is_an_error_and_stays) {
  write("something else");
  const auto store = open();
  EXPECT_FALSE(store->read(context(), group()).ok());
  EXPECT_FALSE(store->decide(context(), group(), {1, "a", "r", "s"}).ok());
  EXPECT_FALSE(store->read(context(), group()).ok());
}

TEST_P(Epochs, a_record_of_a_later_version_is_read) {
  write(R"({"epoch": 2, "target": "b", "reason": "r", "by": "s", "at": "noon"})");
  EXPECT_EQ(read(*open()), (Record{2, "b", "r", "s"}));
}

TEST_P(Epochs, a_server_that_stands_still_decides_nothing_but_another_does) {
  const auto store = etcd() ? *etcd_epochs({impatient(urls_), how().cluster})
                            : *consul_epochs({impatient(urls_), how().cluster});
  read(*store);
  const store::Paused paused(pid_of(urls_.front()));
  const Record record{1, "b", "r", "s"};
  EXPECT_TRUE(store::eventually([&] {
    const auto answer = store->decide(context(), group(), record);
    return answer.ok() && *answer == record;
  }));
}

INSTANTIATE_TEST_SUITE_P(Stores, Epochs, testing::Values("ETCD", "CONSUL"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace cenote::discovery
