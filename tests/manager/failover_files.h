// Two files as the targets of a strategy: what it means, without a server.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "cenote/manager.h"

namespace cenote {

// Mixed into a fixture; each file's table t has a row with its name.
class FailoverFiles {
 protected:
  void make_files() {
    std::string made = (std::filesystem::temp_directory_path() / "cenote-failover-XXXXXX").string();
    folder_ = ::mkdtemp(made.data());
    for (const char* name : {"a", "b"}) {
      auto pool = *LocalPool::open(config(name));
      ASSERT_TRUE(pool->execute("create table t (place text)").ok());
      ASSERT_TRUE(pool->execute(std::string("insert into t values ('") + name + "')").ok());
    }
  }
  void remove_files() {
    if (folder_.empty()) return;
    // A pool that was never handed out closes its files on a thread of its own.
    EXPECT_TRUE(until([&] {
      std::error_code error;
      std::filesystem::remove_all(folder_, error);
      return !error;
    }));
  }

  PoolConfig config(const std::string& name) const {
    PoolConfig config = *pool_from_url("sqlite:" + (folder_ / (name + ".db")).string(), name);
    config.health.interval = std::chrono::milliseconds(50);
    return config;
  }
  static ActiveStandby standby() {
    ActiveStandby strategy{"a", "b"};
    strategy.switch_threshold = std::chrono::minutes(1);  // only an operator switches
    return strategy;
  }
  // Until it is so, or for a minute.
  template <typename Condition>
  static bool until(const Condition& condition) {
    const Deadline limit = Deadline::in(std::chrono::seconds(60));
    while (!condition()) {
      if (limit.passed()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  // Which target answers a call to the id.
  static std::string place(DistributedPoolManager& manager, std::string_view id) {
    Origin origin;
    const auto table = manager.execute_query(id, "select place from t", {}, {}, &origin);
    EXPECT_TRUE(table.ok()) << table.status();
    return origin.target;
  }

  std::filesystem::path folder_;
};

}  // namespace cenote
