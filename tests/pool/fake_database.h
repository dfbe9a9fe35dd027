// A database that fails on command, for faults that a real one cannot be made to show at the right
// moment.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "cenote/driver.h"

#include "base/mutex.h"
#include "base/watchdog.h"

namespace cenote {

// A place where calls wait while a test holds it.
class Gate {
 public:
  void hold() { set(true); }
  void open() { set(false); }
  void pass() {
    Lock lock(mutex_);
    ++waiting_;
    while (held_) wake_.wait(lock);
    --waiting_;
  }
  int waiting() const {
    const Lock lock(mutex_);
    return waiting_;
  }

 private:
  void set(bool held) {
    const Lock lock(mutex_);
    held_ = held;
    wake_.notify_all();
  }
  mutable Mutex mutex_;  // guards all below
  std::condition_variable_any wake_;
  bool held_ CENOTE_GUARDED_BY(mutex_) = false;
  int waiting_ CENOTE_GUARDED_BY(mutex_) = 0;
};

// What the tests set and read. Thread-safe.
struct FakeServer {
  std::atomic<int> open{0};  // sessions that the server sees
  std::atomic<int> most_open{0};
  std::atomic<int> connects{0};
  std::atomic<int> connecting{0};
  std::atomic<int> most_connecting{0};
  std::atomic<int> validations{0};
  std::atomic<int> resets{0};
  std::atomic<int> rollbacks{0};
  std::atomic<int> cancels{0};
  std::atomic<int> hung{0};  // statements that have begun to hang
  std::atomic<int> left_to_parent{0};
  std::atomic<bool> refuse{false};
  std::atomic<bool> refuse_password{false};
  std::atomic<bool> fail_validation{false};
  std::atomic<bool> hang_validation{false};  // until its deadline
  std::atomic<bool> fail_reading{false};
  std::atomic<bool> fail_second_batch{false};
  std::atomic<bool> lose_session{false};  // with the second batch's failure
  std::atomic<TimePoint> commit_deadline{TimePoint::max()};
  std::atomic<Role> role{Role::kPrimary};
  std::atomic<int> readers{0};
  Gate connect_gate;
  Gate close_gate;

  void note_user(std::string name) {
    const Lock lock(mutex);
    users.push_back(std::move(name));
  }
  std::vector<std::string> seen_users() {
    const Lock lock(mutex);
    return users;
  }
  static void raise(std::atomic<int>& most, int now) {
    int seen = most;
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
  }

  Mutex mutex;
  std::vector<std::string> users CENOTE_GUARDED_BY(mutex);
};

// Gives rows 0, 1, 2 in a batch each.
class FakeReader final : public arrow::RecordBatchReader {
 public:
  FakeReader(FakeServer& server, std::atomic<bool>& lost) : server_(server), lost_(lost) {}
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    batch->reset();
    if (next_ == 3) return Status::OK();
    if (next_ == 1 && server_.fail_second_batch) {
      ErrorDetail detail;
      detail.kind = server_.lose_session ? ErrorKind::kConnection : ErrorKind::kData;
      detail.poisons_connection = lost_ = server_.lose_session.load();
      next_ = 3;
      return make_error(detail, "the second batch cannot be read");
    }
    arrow::Int64Builder builder;
    ARROW_RETURN_NOT_OK(builder.Append(next_++));
    ARROW_ASSIGN_OR_RAISE(auto column, builder.Finish());
    *batch = arrow::RecordBatch::Make(schema_, 1, {column});
    return Status::OK();
  }
  Status Close() override {
    next_ = 3;
    return Status::OK();
  }

 private:
  FakeServer& server_;
  std::atomic<bool>& lost_;
  int64_t next_ = 0;
  std::shared_ptr<arrow::Schema> schema_ = arrow::schema({arrow::field("n", arrow::int64())});
};

class FakeConnection final : public Connection {
 public:
  explicit FakeConnection(std::shared_ptr<FakeServer> server) : server_(std::move(server)) {
    FakeServer::raise(server_->most_open, ++server_->open);
  }
  ~FakeConnection() override {
    server_->close_gate.pass();
    --server_->open;
  }

  Result<std::shared_ptr<arrow::RecordBatchReader>> query(const CallContext& context,
                                                          std::string_view sql, const Params&,
                                                          const BatchLimits&) override {
    if (server_->fail_reading) {
      ErrorDetail detail;
      detail.kind = ErrorKind::kConnection;
      detail.poisons_connection = true;
      lost_ = true;
      return make_error(detail, "the server is gone");
    }
    ARROW_RETURN_NOT_OK(run(context, sql));
    return std::make_shared<FakeReader>(*server_, lost_);
  }
  // "set" leaves a changed session behind; "hang" runs until it is cancelled.
  Result<int64_t> execute(const CallContext& context, std::string_view sql,
                          const Params&) override {
    if (sql == "set") dirty_ = true;
    ARROW_RETURN_NOT_OK(run(context, sql));
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
  Status commit(const CallContext& context) override {
    server_->commit_deadline = context.deadline.at();
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
  void cancel() noexcept override {
    ++server_->cancels;
    const Lock lock(mutex_);
    cancelled_ = true;
    wake_.notify_all();
  }
  Status validate(const CallContext& context) override {
    ++server_->validations;
    if (server_->hang_validation) ARROW_RETURN_NOT_OK(run(context, "hang"));
    return server_->fail_validation ? make_error(ErrorKind::kConnection, "gone") : Status::OK();
  }
  bool dirty() const override { return dirty_ || in_transaction_; }
  Status reset(const CallContext&) override {
    ++server_->resets;
    dirty_ = in_transaction_ = false;
    return Status::OK();
  }
  Result<Probe> probe(const CallContext&) override {
    Probe probe;
    probe.role = server_->role;
    return probe;
  }
  bool usable() const override { return !lost_; }
  std::string session_id() const override { return ""; }
  void leave_to_parent() noexcept override { ++server_->left_to_parent; }

 private:
  Status run(const CallContext& context, std::string_view sql) {
    if (sql != "hang") return Status::OK();
    {
      const Lock lock(mutex_);
      cancelled_ = false;  // a cancel hits nothing but what runs
      ++server_->hung;
    }
    const InterruptGuard guard(context, [this] { cancel(); });
    Lock lock(mutex_);
    while (!cancelled_) wake_.wait(lock);
    cancelled_ = false;
    return make_error(guard.fired().value_or(ErrorKind::kCancelled), "cancelled on the server");
  }

  const std::shared_ptr<FakeServer> server_;
  bool dirty_ = false;
  bool in_transaction_ = false;
  std::atomic<bool> lost_ = false;
  Mutex mutex_;  // guards `cancelled_`
  std::condition_variable_any wake_;
  bool cancelled_ CENOTE_GUARDED_BY(mutex_) = false;
};

class FakeDatabase final : public Database {
 public:
  explicit FakeDatabase(std::shared_ptr<FakeServer> server) : server_(std::move(server)) {}

  Result<std::unique_ptr<Connection>> connect(const CallContext&,
                                              const ConnectOptions& options) override {
    FakeServer::raise(server_->most_connecting, ++server_->connecting);
    server_->connect_gate.pass();
    --server_->connecting;
    ++server_->connects;
    if (options.credentials) server_->note_user(options.credentials->username);
    ErrorDetail detail;
    detail.sent = Sent::kNo;
    if (server_->refuse) {
      detail.kind = ErrorKind::kConnection;
      return make_error(detail, "connection refused");
    }
    if (server_->refuse_password) {
      detail.kind = ErrorKind::kAuthentication;
      return make_error(detail, "password refused");
    }
    return std::make_unique<FakeConnection>(server_);
  }
  const std::string& endpoint() const override { return endpoint_; }
  Access access(std::string_view sql) const override {
    return sql.starts_with("select") ? Access::kReadOnly : Access::kReadWrite;
  }
  int default_readers() const override { return server_->readers; }

 private:
  const std::shared_ptr<FakeServer> server_;
  const std::string endpoint_ = "fake:1/db";
};

}  // namespace cenote
