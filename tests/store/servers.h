// The real stores of the tests (tests/servers), their processes, and waiting for what they do.
#pragma once

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/mutex.h"
#include "store/endpoints.h"

namespace cenote::store {

inline std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> items;
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    items.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return items;
}

inline std::string variable(const std::string& name) {
  const char* value = std::getenv(("CENOTE_TEST_" + name).c_str());
  return value == nullptr ? "" : value;
}

// Asks until it holds; servers need a moment to agree on a leader.
inline bool eventually(const std::function<bool()>& condition) {
  const TimePoint end = Clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (Clock::now() > end) return false;
    // A server that is busy with an election is not to be asked without a break.
    Mutex mutex;
    Lock lock(mutex);
    std::condition_variable_any never;
    never.wait_for(lock, std::chrono::milliseconds(20));
  }
  return true;
}

// A server that stands still for a scope, as one whose machine swaps or is suspended.
class Paused {
 public:
  // Waits until each of its threads has stopped: one that runs goes on for a moment.
  explicit Paused(pid_t pid) : pid_(pid) {
    // 0 would mean a group of processes, our own among them.
    if (pid_ <= 1) {
      ADD_FAILURE() << "there is no such server";
      return;
    }
    ::kill(pid_, SIGSTOP);
    while (!has_stopped()) std::this_thread::yield();
  }
  ~Paused() {
    if (pid_ > 1) ::kill(pid_, SIGCONT);
  }
  Paused(const Paused&) = delete;
  Paused& operator=(const Paused&) = delete;

 private:
  bool has_stopped() const {
    const std::filesystem::path tasks = "/proc/" + std::to_string(pid_) + "/task";
    std::error_code gone;
    for (const auto& task : std::filesystem::directory_iterator(tasks, gone)) {
      std::string stat;
      std::getline(std::ifstream(task.path() / "stat"), stat);
      const size_t state = stat.rfind(") ");
      if (state != std::string::npos && stat.compare(state + 2, 1, "T") != 0) return false;
    }
    return true;
  }

  const pid_t pid_;
};

// Tests on the three members of a store; `name` is ETCD or CONSUL.
class StoreServers : public testing::Test {
 protected:
  explicit StoreServers(std::string name) : name_(std::move(name)) {}
  void SetUp() override {
    urls_ = split(variable(name_));
    if (!urls_.empty()) return;
    if (std::getenv("CENOTE_TEST_REQUIRE_SERVERS") != nullptr) {
      FAIL() << "CENOTE_TEST_" << name_ << " is not set: run the tests with tools/servers.py";
    }
    GTEST_SKIP() << "CENOTE_TEST_" << name_ << " is not set";
  }
  StoreOptions options() const {
    StoreOptions options;
    options.endpoints = urls_;
    options.call_timeout = std::chrono::seconds(10);  // a machine under test may be slow
    return options;
  }
  // As processes have them.
  StoreOptions impatient(std::vector<std::string> urls) const {
    StoreOptions options;
    options.endpoints = std::move(urls);
    return options;
  }
  // The server with TLS that lets nobody in without a token or a login.
  StoreOptions secure() const {
    StoreOptions options = this->options();
    options.endpoints = {variable(name_ + "_SECURE")};
    const std::string files = variable(name_ + "_TLS");
    options.tls = {files + "/ca.crt", files + "/server.crt", files + "/server.key"};
    return options;
  }
  pid_t pid_of(const std::string& url) const {
    const std::vector<std::string> pids = split(variable(name_ + "_PIDS"));
    for (size_t i = 0; i < urls_.size(); ++i) {
      if (urls_[i] == url) return static_cast<pid_t>(std::stol(pids.at(i)));
    }
    ADD_FAILURE() << url << " is none of ours";
    return 0;
  }
  // A key that no other test has.
  static std::string key(const std::string& what) {
    return std::string("cenote-test/") + std::to_string(::getpid()) + "/" +
           testing::UnitTest::GetInstance()->current_test_info()->name() + "/" + what;
  }
  static CallContext context() { return {Deadline::in(std::chrono::seconds(20)), {}}; }

  const std::string name_;
  std::vector<std::string> urls_;
};

}  // namespace cenote::store
