// Pools come and go while others use them and metrics are read.
#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cenote/manager.h"

namespace cenote {
namespace {

TEST(ManagerRace, pools_are_made_used_and_removed_by_many_threads) {
  auto manager = *DistributedPoolManager::open({});
  constexpr int kRounds = 50;
  std::atomic<int> made{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        const std::string id = "pool " + std::to_string(t / 2);  // two threads share one name
        for (int i = 0; i < kRounds; ++i) {
          if (manager->create_pool(*pool_from_url("sqlite::memory:", id)).ok()) ++made;
          const Status status = manager->execute_query(id, "select 1").status();
          EXPECT_TRUE(status.ok() || error_kind(status) == ErrorKind::kUnknownPool ||
                      error_kind(status) == ErrorKind::kPoolClosed)
              << status;
          (void)manager->remove_pool(id, Deadline::in(std::chrono::seconds(10)));
        }
      });
    }
    threads.emplace_back([&] {
      while (made < kRounds) {
        (void)manager->prometheus();
        (void)manager->get_status();
        (void)manager->list_pools();
      }
    });
  }
  EXPECT_TRUE(manager->list_pools().empty());
}

}  // namespace
}  // namespace cenote
