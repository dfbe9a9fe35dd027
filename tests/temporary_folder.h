// A folder of a test's own, gone after it.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "cenote/deadline.h"

namespace cenote {

// Made by a fixture before what uses it, and so destroyed after that.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& prefix)
      : path_(std::filesystem::temp_directory_path() /
              (prefix + "-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    // Connections of pools that have ended may still remove files of theirs.
    const Deadline deadline = Deadline::in(std::chrono::seconds(10));
    for (std::error_code error{1, std::generic_category()}; error && !deadline.passed();) {
      std::filesystem::remove_all(path_, error);
      std::this_thread::yield();
    }
  }

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  const std::filesystem::path path_;
};

}  // namespace cenote
