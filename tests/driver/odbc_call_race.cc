// Cancels of ODBC statements come from other threads, and the driver may block in them; none may
// reach a statement that is gone. A made-up driver stands in for the real ones.
#include <atomic>
#include <condition_variable>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/mutex.h"
#include "driver/odbc/call.h"

namespace cenote::odbc {
namespace {

using std::chrono::milliseconds;

// A statement of the made-up driver: run() waits for a cancel, as a server would.
struct FakeStatement {
  Mutex mutex;
  std::condition_variable_any changed;
  bool cancelled CENOTE_GUARDED_BY(mutex) = false;
  bool inside CENOTE_GUARDED_BY(mutex) = false;
  std::atomic<bool> alive = true;
  std::atomic<int> cancels = 0;

  SQLRETURN run() {
    Lock lock(mutex);
    inside = true;
    while (!cancelled) changed.wait(lock);
    inside = false;
    changed.notify_all();
    return SQL_ERROR;
  }
};

std::atomic<bool> cancel_blocks = false;
std::atomic<int> cancels_of_the_dead = 0;

SQLRETURN fake_cancel(SQLHSTMT handle) {
  auto* statement = static_cast<FakeStatement*>(handle);
  if (!statement->alive) ++cancels_of_the_dead;
  ++statement->cancels;
  Lock lock(statement->mutex);
  statement->cancelled = true;
  statement->changed.notify_all();
  // As Microsoft's driver: back only when the cancelled function is.
  while (cancel_blocks && statement->inside) statement->changed.wait(lock);
  return SQL_SUCCESS;
}

class OdbcCall : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    cancel_blocks = GetParam();
    cancels_of_the_dead = 0;
    odbc_.cancel = &fake_cancel;
  }
  void TearDown() override { EXPECT_EQ(cancels_of_the_dead, 0); }

  // One statement that ends by being cancelled only.
  std::optional<ErrorKind> run_one(Gate& gate, const CallContext& context) {
    FakeStatement statement;
    std::optional<ErrorKind> why;
    {
      Call call(gate, context);
      EXPECT_EQ(call.run(&statement, [&] { return statement.run(); }), SQL_ERROR);
      why = call.interrupted();
      EXPECT_FALSE(call.broken());
    }
    statement.alive = false;
    return why;
  }

  Library odbc_;
};
INSTANTIATE_TEST_SUITE_P(Cancel, OdbcCall, testing::Bool(), [](const auto& info) {
  return info.param ? "that_blocks" : "that_returns_at_once";
});

TEST_P(OdbcCall, a_deadline_cancels_and_is_told) {
  Gate gate(odbc_);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(run_one(gate, {Deadline::in(milliseconds(1)), {}}), ErrorKind::kQueryTimeout);
  }
}

TEST_P(OdbcCall, a_stop_cancels_and_is_told) {
  Gate gate(odbc_);
  for (int i = 0; i < 20; ++i) {
    std::stop_source source;
    std::thread stopper([&] { source.request_stop(); });
    const auto why = [&] {
      FakeStatement statement;
      Call call(gate, {Deadline(), source.get_token()});
      // Either way round: stopped before it ran, or in it.
      call.run(&statement, [&] { return statement.run(); });
      return call.interrupted();
    }();
    stopper.join();
    EXPECT_EQ(why, ErrorKind::kCancelled);
  }
}

TEST_P(OdbcCall, cancels_of_many_threads_end_the_running_call_alone) {
  Gate gate(odbc_);
  std::atomic<bool> done = false;
  std::vector<std::thread> cancellers;
  for (int t = 0; t < 3; ++t) {
    cancellers.emplace_back([&] {
      while (!done) {
        gate.cancel();
        std::this_thread::yield();
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    FakeStatement statement;
    {
      Call call(gate, {});
      call.run(&statement, [&] { return statement.run(); });
      EXPECT_EQ(call.interrupted(), ErrorKind::kCancelled);
      // Once interrupted, nothing more runs.
      EXPECT_EQ(call.run(&statement, [] { return SQL_SUCCESS; }), SQL_ERROR);
    }
    statement.alive = false;
  }
  done = true;
  for (std::thread& each : cancellers) each.join();
}

TEST_P(OdbcCall, a_call_that_ends_in_time_is_left_alone) {
  Gate gate(odbc_);
  for (int i = 0; i < 200; ++i) {
    FakeStatement statement;
    {
      Call call(gate, {Deadline::in(std::chrono::hours(1)), {}});
      EXPECT_EQ(call.run(&statement, [] { return SQL_SUCCESS; }), SQL_SUCCESS);
      EXPECT_EQ(call.interrupted(), std::nullopt);
      EXPECT_TRUE(gate.busy());
    }
    EXPECT_FALSE(gate.busy());
    gate.cancel();
    EXPECT_EQ(statement.cancels, 0);
    statement.alive = false;
  }
}

TEST_P(OdbcCall, a_cancel_that_came_too_early_is_repeated) {
  Gate gate(odbc_);
  // One whose time is over before it begins runs nothing.
  for (bool began = false; !began;) {
    FakeStatement statement;
    Call call(gate, {Deadline::in(milliseconds(1)), {}});
    const SQLRETURN result = call.run(&statement, [&] {
      began = true;
      // The driver has not sent the statement yet: the first cancel is lost.
      {
        Lock lock(statement.mutex);
        while (!statement.cancelled) statement.changed.wait(lock);
        statement.cancelled = false;
      }
      return statement.run();
    });
    EXPECT_EQ(result, SQL_ERROR);
    EXPECT_TRUE(!began || statement.cancels >= 2) << statement.cancels;
  }
}

}  // namespace
}  // namespace cenote::odbc
