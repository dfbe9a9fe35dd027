// Every driver: deadlines, stops and cancels, and that the connection works afterwards.
#include <stop_token>
#include <thread>

#include <arrow/api.h>

#include "driver/drivers.h"

namespace cenote {
namespace {

class Interrupts : public DriverTest {
 protected:
  void expect_alive() {
    EXPECT_TRUE(connection_->usable());
    EXPECT_EQ(value("select 1"), "1");
  }
  // Reads on until the end or an error.
  static Status rest_of(arrow::RecordBatchReader& reader) {
    for (;;) {
      std::shared_ptr<arrow::RecordBatch> batch;
      ARROW_RETURN_NOT_OK(reader.ReadNext(&batch));
      if (batch == nullptr) return Status::OK();
    }
  }
};
CENOTE_ALL_DRIVERS(Interrupts);

TEST_P(Interrupts, a_deadline_stops_a_statement) {
  const CallContext soon{Deadline::in(std::chrono::milliseconds(50)), {}};
  const auto late = connection_->query(soon, GetParam().endless, {}, {});
  EXPECT_EQ(error_kind(late.status()), ErrorKind::kQueryTimeout) << late.status();
  expect_alive();
}

TEST_P(Interrupts, a_deadline_that_passed_runs_nothing_long) {
  const CallContext past{Deadline(Clock::now() - std::chrono::seconds(1)), {}};
  const auto late = connection_->query(past, GetParam().endless, {}, {});
  EXPECT_EQ(error_kind(late.status()), ErrorKind::kQueryTimeout) << late.status();
  expect_alive();
}

TEST_P(Interrupts, a_stop_cancels_a_statement) {
  std::stop_source source;
  std::jthread stopper([&source] { source.request_stop(); });
  const auto stopped =
      connection_->execute({Deadline(), source.get_token()}, GetParam().endless, {});
  EXPECT_EQ(error_kind(stopped.status()), ErrorKind::kCancelled) << stopped.status();
  expect_alive();
}

TEST_P(Interrupts, a_stop_ends_a_reader_between_two_batches) {
  std::stop_source source;
  auto reader = connection_->query({Deadline(), source.get_token()}, series(GetParam().long_series),
                                   {}, {.rows = 10});
  ASSERT_TRUE(reader.ok()) << reader.status();
  source.request_stop();
  const Status status = rest_of(**reader);
  EXPECT_EQ(error_kind(status), ErrorKind::kCancelled) << status;
  expect_alive();
}

TEST_P(Interrupts, a_cancel_ends_a_reader_between_two_batches) {
  auto reader = connection_->query(context(), series(GetParam().long_series), {}, {.rows = 10});
  ASSERT_TRUE(reader.ok()) << reader.status();
  connection_->cancel();
  const Status status = rest_of(**reader);
  EXPECT_EQ(error_kind(status), ErrorKind::kCancelled) << status;
  expect_alive();
}

TEST_P(Interrupts, a_cancel_from_another_thread_ends_the_statement) {
  // Whichever cancel comes once the statement runs: those before it must do nothing.
  std::jthread canceller([this](const std::stop_token& done) {
    while (!done.stop_requested()) {
      connection_->cancel();
      std::this_thread::yield();
    }
  });
  const auto cancelled = connection_->execute(context(), GetParam().endless, {});
  canceller.request_stop();
  canceller.join();
  EXPECT_EQ(error_kind(cancelled.status()), ErrorKind::kCancelled) << cancelled.status();
  expect_alive();
}

TEST_P(Interrupts, a_cancelled_statement_keeps_nothing) {
  make_table("cenote_cancelled", "a " + GetParam().int64_type);
  std::stop_source source;
  std::jthread stopper([&source] { source.request_stop(); });
  const auto stopped = connection_->execute(
      {Deadline(), source.get_token()}, "insert into cenote_cancelled " + GetParam().endless, {});
  EXPECT_EQ(error_kind(stopped.status()), ErrorKind::kCancelled) << stopped.status();
  EXPECT_EQ(value("select count(*) from cenote_cancelled"), "0");
  drop_table("cenote_cancelled");
}

TEST_P(Interrupts, a_cancel_of_nothing_harms_nothing) {
  connection_->cancel();
  expect_alive();
}

TEST_P(Interrupts, a_reader_closed_halfway_frees_the_connection) {
  auto reader = connection_->query(context(), series(100'000), {}, {.rows = 100});
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::shared_ptr<arrow::RecordBatch> batch;
  ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
  EXPECT_TRUE((*reader)->Close().ok());
  EXPECT_EQ(error_kind((*reader)->ReadNext(&batch)), ErrorKind::kInterface);
  expect_alive();
}

TEST_P(Interrupts, a_reader_dropped_halfway_frees_the_connection) {
  {
    auto reader = connection_->query(context(), series(100'000), {}, {.rows = 100});
    ASSERT_TRUE(reader.ok()) << reader.status();
  }
  expect_alive();
}

}  // namespace
}  // namespace cenote
