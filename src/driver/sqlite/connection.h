// One session with an SQLite database.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "driver/sqlite/session.h"

namespace cenote::sqlite {

class SqliteConnection final : public Connection {
 public:
  explicit SqliteConnection(std::unique_ptr<Session> session) : session_(std::move(session)) {}

  Result<std::shared_ptr<arrow::RecordBatchReader>> query(const CallContext& context,
                                                          std::string_view sql,
                                                          const Params& params,
                                                          const BatchLimits& limits) override;
  Result<int64_t> execute(const CallContext& context, std::string_view sql,
                          const Params& params) override;
  Result<int64_t> ingest(const CallContext& context, const IngestTarget& target,
                         arrow::RecordBatchReader& rows) override;
  Result<StatementInfo> describe(const CallContext& context, std::string_view sql) override;
  Status begin(const CallContext& context, const TransactionOptions& options) override;
  Status commit(const CallContext& context) override;
  Status rollback(const CallContext& context) override;
  Status savepoint(const CallContext& context, std::string_view name) override;
  Status release_savepoint(const CallContext& context, std::string_view name) override;
  Status rollback_to_savepoint(const CallContext& context, std::string_view name) override;
  bool in_transaction() const override { return session_->in_transaction(); }
  void cancel() noexcept override { session_->interrupt(); }
  Status validate(const CallContext& context) override;
  bool dirty() const override { return changed_ || read_only_ || in_transaction(); }
  Status reset(const CallContext& context) override;
  Result<Probe> probe(const CallContext& context) override;
  bool usable() const override { return session_->usable(); }
  std::string session_id() const override { return {}; }

 private:
  Result<Statement> compile(std::string_view sql, const Params& params);
  Status run(const CallContext& context, std::string_view sql);
  Status end_transaction(const CallContext& context, std::string_view sql);
  Status check_free() const;

  std::unique_ptr<Session> session_;
  bool changed_ = false;    // PRAGMA, ATTACH, a temporary table: only a new handle is as before
  bool read_only_ = false;  // a read-only transaction runs
};

}  // namespace cenote::sqlite
