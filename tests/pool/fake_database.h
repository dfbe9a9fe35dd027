// A database that fails on command, for faults that a real one cannot be made to show at the right
// moment.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <string>

#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "cenote/driver.h"

#include "base/mutex.h"

namespace cenote {

// What the tests set and read. Thread-safe.
struct FakeServer {
  std::atomic<int> open{0};  // sessions that the server sees
  std::atomic<int> most_open{0};
  std::atomic<int> connects{0};
  std::atomic<int> connecting{0};
  std::atomic<int> most_connecting{0};
  std::atomic<int> resets{0};
  std::atomic<int> rollbacks{0};
  std::atomic<bool> refuse{false};
  std::atomic<bool> fail_validation{false};
  std::atomic<bool> fail_reading{false};

  // While held, connects wait here.
  Mutex mutex;
  std::condition_variable_any wake;
  bool hold_connects CENOTE_GUARDED_BY(mutex) = false;

  void set_hold(bool hold) {
    const Lock lock(mutex);
    hold_connects = hold;
    wake.notify_all();
  }
  static void raise(std::atomic<int>& most, int now) {
    int seen = most;
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
  }
};

class FakeConnection final : public Connection {
 public:
  explicit FakeConnection(std::shared_ptr<FakeServer> server) : server_(std::move(server)) {
    FakeServer::raise(server_->most_open, ++server_->open);
  }
  ~FakeConnection() override { --server_->open; }

  // Gives three batches of one row.
  Result<std::shared_ptr<arrow::RecordBatchReader>> query(const CallContext&, std::string_view,
                                                          const Params&,
                                                          const BatchLimits&) override {
    if (server_->fail_reading) {
      ErrorDetail detail;
      detail.kind = ErrorKind::kConnection;
      detail.poisons_connection = true;
      lost_ = true;
      return make_error(detail, "the server is gone");
    }
    auto schema = arrow::schema({arrow::field("n", arrow::int64())});
    arrow::RecordBatchVector batches;
    for (int64_t i = 0; i < 3; ++i) {
      arrow::Int64Builder builder;
      ARROW_RETURN_NOT_OK(builder.Append(i));
      ARROW_ASSIGN_OR_RAISE(auto column, builder.Finish());
      batches.push_back(arrow::RecordBatch::Make(schema, 1, {column}));
    }
    return arrow::RecordBatchReader::Make(std::move(batches), schema);
  }
  Result<int64_t> execute(const CallContext&, std::string_view sql, const Params&) override {
    if (sql == "set") dirty_ = true;
    return 1;
  }
  Result<int64_t> ingest(const CallContext&, const IngestTarget&,
                         arrow::RecordBatchReader&) override {
    return 0;
  }
  Status begin(const CallContext&, const TransactionOptions&) override {
    in_transaction_ = true;
    return Status::OK();
  }
  Status commit(const CallContext&) override {
    in_transaction_ = false;
    return Status::OK();
  }
  Status rollback(const CallContext&) override {
    ++server_->rollbacks;
    in_transaction_ = false;
    return Status::OK();
  }
  Status savepoint(const CallContext&, std::string_view) override { return Status::OK(); }
  Status release_savepoint(const CallContext&, std::string_view) override { return Status::OK(); }
  Status rollback_to_savepoint(const CallContext&, std::string_view) override {
    return Status::OK();
  }
  bool in_transaction() const override { return in_transaction_; }
  void cancel() noexcept override {}
  Status validate(const CallContext&) override {
    return server_->fail_validation ? make_error(ErrorKind::kConnection, "gone") : Status::OK();
  }
  bool dirty() const override { return dirty_ || in_transaction_; }
  Status reset(const CallContext&) override {
    ++server_->resets;
    dirty_ = in_transaction_ = false;
    return Status::OK();
  }
  Result<Probe> probe(const CallContext&) override { return Probe{}; }
  bool usable() const override { return !lost_; }
  std::string session_id() const override { return ""; }

 private:
  const std::shared_ptr<FakeServer> server_;
  bool dirty_ = false;
  bool in_transaction_ = false;
  bool lost_ = false;
};

class FakeDatabase final : public Database {
 public:
  explicit FakeDatabase(std::shared_ptr<FakeServer> server) : server_(std::move(server)) {}

  Result<std::unique_ptr<Connection>> connect(const CallContext&, const ConnectOptions&) override {
    FakeServer::raise(server_->most_connecting, ++server_->connecting);
    {
      Lock lock(server_->mutex);
      while (server_->hold_connects) server_->wake.wait(lock);
    }
    --server_->connecting;
    ++server_->connects;
    if (server_->refuse) {
      ErrorDetail detail;
      detail.kind = ErrorKind::kConnection;
      detail.sent = Sent::kNo;
      return make_error(detail, "connection refused");
    }
    return std::make_unique<FakeConnection>(server_);
  }
  const std::string& endpoint() const override { return endpoint_; }

 private:
  const std::shared_ptr<FakeServer> server_;
  const std::string endpoint_ = "fake:1/db";
};

}  // namespace cenote
