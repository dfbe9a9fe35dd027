// The stores that the suite runs over: one row each.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coordinator/shared_store.h"
#include "coordinator/sqlite_store.h"
#include "store/servers.h"

namespace cenote::coordinator {

// A place where one store lives; opened again it holds what was committed.
struct StoreCase {
  std::string name;
  std::function<Result<std::unique_ptr<Store>>(const std::string& place)> open;
};

inline std::vector<StoreCase> sqlite_cases() {
  return {{"sqlite", [](const std::string& place) { return open_sqlite_store(place); }}};
}

// On the real servers of the tests: elected before anything else is done.
inline Result<std::unique_ptr<Store>> open_elected(
    Result<std::unique_ptr<SharedStore>> (*open)(const SharedStoreOptions&),
    const std::string& endpoints, const std::string& place) {
  SharedStoreOptions options;
  options.store.endpoints = store::split(endpoints);
  options.store.call_timeout = std::chrono::seconds(10);
  options.cluster = "s" + std::to_string(std::hash<std::string>()(place));
  options.url = "http://127.0.0.1:8080";
  // Nobody renews here.
  options.ttl = options.give_up_after = std::chrono::minutes(1);
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<SharedStore> shared, open(options));
  ARROW_ASSIGN_OR_RAISE(const bool won,
                        shared->campaign({Deadline::in(std::chrono::seconds(20)), {}}));
  if (!won) return make_error(ErrorKind::kInternal, "somebody else leads");
  return std::unique_ptr<Store>(std::move(shared));
}

inline std::vector<StoreCase> store_cases() {
  std::vector<StoreCase> cases = sqlite_cases();
  const auto add = [&](const std::string& name, const std::string& variable, auto* open) {
    const std::string endpoints = store::variable(variable);
    if (endpoints.empty()) return;
    cases.push_back({name, [endpoints, open](const std::string& place) {
                       return open_elected(open, endpoints, place);
                     }});
  };
  add("etcd", "ETCD", &open_etcd_store);
  add("consul", "CONSUL", &open_consul_store);
  return cases;
}

class StoreTest : public testing::TestWithParam<StoreCase> {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("cenote-store-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    open();
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::string place() const { return (folder_ / "store.db").string(); }
  void open() {
    store_.reset();
    Result<std::unique_ptr<Store>> opened = GetParam().open(place());
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = std::move(*opened);
  }
  static CallContext context() { return {Deadline::in(std::chrono::seconds(10)), {}}; }
  std::string get(std::string_view key) {
    const auto item = store_->get(context(), key);
    if (!item.ok()) return item.status().ToString();
    return *item ? (*item)->value : "(absent)";
  }
  uint64_t version(std::string_view key) {
    const auto item = store_->get(context(), key);
    return item.ok() && *item ? (*item)->version : 0;
  }
  bool commit(const StoreWrite& write) {
    const Result<uint64_t> written = store_->commit(context(), write);
    EXPECT_TRUE(written.ok()) << written.status();
    return written.ok() && *written != 0;
  }

  std::filesystem::path folder_;
  std::unique_ptr<Store> store_;
};

}  // namespace cenote::coordinator
