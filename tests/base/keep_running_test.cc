// A thread's work goes on after what it throws.
#include "base/keep_running.h"

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace cenote {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// As a library does.
template <typename What>
void fail(What what) {
  std::rethrow_exception(std::make_exception_ptr(what));
}

class KeepRunning : public testing::Test {
 protected:
  KeepRunning() {
    set_log_sink([this](LogLevel, std::string_view part, std::string_view line) {
      lines_.push_back(std::string(part) + ": " + std::string(line));
    });
  }
  ~KeepRunning() override { set_log_sink(nullptr); }

  std::vector<std::string> lines_;
};

TEST_F(KeepRunning, what_work_throws_is_logged_and_it_begins_again) {
  int calls = 0;
  keep_running(
      {}, "net", "the work",
      [&] {
        ++calls;
        if (calls == 1) fail(std::runtime_error("too many open files"));
        if (calls == 2) fail(7);
      },
      milliseconds(1));
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(lines_,
            (std::vector<std::string>{"net: the work failed: too many open files; it goes on",
                                      "net: the work failed: an unknown exception; it goes on"}));
}

TEST_F(KeepRunning, a_stop_ends_the_pause) {
  std::jthread thread([](const std::stop_token& stop) {
    keep_running(stop, "net", "the work", [] { fail(std::runtime_error("always")); }, hours(1));
  });
  thread.request_stop();
  thread.join();
}

TEST_F(KeepRunning, a_log_that_throws_ends_nothing) {
  set_log_sink(
      [](LogLevel, std::string_view, std::string_view) -> void { fail(std::bad_alloc()); });
  int calls = 0;
  keep_running(
      {}, "net", "the work",
      [&] {
        if (++calls == 1) fail(std::bad_alloc());
      },
      milliseconds(1));
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace cenote
