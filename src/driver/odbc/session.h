// One connection over ODBC.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cenote/driver.h"

#include "driver/odbc/call.h"
#include "driver/odbc/dialect.h"
#include "driver/odbc/library.h"
#include "driver/odbc/unicode.h"

namespace cenote::odbc {

// An ODBC statement handle.
class Statement {
 public:
  Statement() = default;
  Statement(const Library& odbc, SQLHSTMT handle) : odbc_(&odbc), handle_(handle) {}
  Statement(Statement&& other) noexcept
      : odbc_(other.odbc_), handle_(std::exchange(other.handle_, nullptr)) {}
  Statement& operator=(Statement&& other) noexcept {
    std::swap(odbc_, other.odbc_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Statement() {
    if (handle_ != nullptr) odbc_->free_handle(SQL_HANDLE_STMT, handle_);
  }
  SQLHSTMT get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  const Library* odbc_ = nullptr;
  SQLHSTMT handle_ = nullptr;
};

// What a session needs to know beyond its connection string.
struct SessionOptions {
  WideString connection_string;
  int64_t bound_limit = 8000;
};

class Session final : public Connection {
 public:
  Session(const Library& odbc, const Dialect& dialect, const SessionOptions& options)
      : odbc_(odbc), dialect_(dialect), options_(options), gate_(odbc) {}
  ~Session() override;

  // Logs in within the deadline.
  Status open(const CallContext& context);

  Result<std::shared_ptr<arrow::RecordBatchReader>> query(const CallContext& context,
                                                          std::string_view sql,
                                                          const Params& params,
                                                          const BatchLimits& limits) override;
  Result<int64_t> execute(const CallContext& context, std::string_view sql,
                          const Params& params) override;
  Result<int64_t> ingest(const CallContext& context, const IngestTarget& target,
                         arrow::RecordBatchReader& rows) override;
  // Columns as the driver describes them before the statement has run: a datetime2 may come in
  // another unit.
  Result<StatementInfo> describe(const CallContext& context, std::string_view sql) override;
  Status begin(const CallContext& context, const TransactionOptions& options) override;
  Status commit(const CallContext& context) override;
  Status rollback(const CallContext& context) override;
  Status savepoint(const CallContext& context, std::string_view name) override;
  Status release_savepoint(const CallContext& context, std::string_view name) override;
  Status rollback_to_savepoint(const CallContext& context, std::string_view name) override;
  bool in_transaction() const override { return in_transaction_; }
  void cancel() noexcept override { gate_.cancel(); }
  Status validate(const CallContext& context) override;
  bool dirty() const override { return trace_ != Trace::kNone || in_transaction_; }
  Status reset(const CallContext& context) override;
  Result<Probe> probe(const CallContext& context) override {
    return dialect_.probe(*this, context);
  }
  bool usable() const override { return !lost_ && !gate_.breaker().peer_is_gone(); }
  std::string session_id() const override { return session_id_; }

  // For readers, ingest and dialects.
  const Library& odbc() const { return odbc_; }
  const Dialect& dialect() const { return dialect_; }
  const Abilities& abilities() const { return abilities_; }
  const SessionOptions& options() const { return options_; }
  const std::string& server_version() const { return server_version_; }
  // That the session began in; empty where the dialect does not ask for it.
  const std::string& database() const { return database_; }
  bool read_only() const { return read_only_; }
  Gate& gate() { return gate_; }
  // Runs a statement of ours and throws its rows away; no trace is kept.
  Status run(const CallContext& context, std::string_view sql);
  bool set_attribute(SQLINTEGER attribute, uintptr_t value);
  Result<Statement> allocate();
  // The error of a failed call within `call`; marks the session lost where it is.
  Status error(const Call& call, SQLSMALLINT type, SQLHANDLE handle, Sent sent = Sent::kYes);
  // Cancels what is left of a result and closes it, for 5 s at the most.
  void abandon(Statement statement);
  // Goes to the first result with columns, or to the end; adds up the rows that statements without
  // columns affected, from -1 for none. True if there are columns.
  Result<bool> next_rows(Call& call, const Statement& statement, int64_t* affected);
  // Throws the results that follow away, and counts likewise.
  Status drain(Call& call, const Statement& statement, int64_t* affected);
  void mark_lost() { lost_ = true; }
  // After an error inside a transaction: finds out whether it is still there.
  void check_transaction(const Status& status);

 private:
  Status ready(const CallContext& context);
  Status check_statement(std::string_view sql) const;
  Status send(Call& call, const Statement& statement, std::string_view sql, const Params& params);
  Status log_in(int64_t seconds, const std::stop_token& stop);
  Status greet(const CallContext& context);
  std::string info_text(SQLUSMALLINT type) const;
  Status end_transaction(const CallContext& context, bool commit);

  const Library& odbc_;
  const Dialect& dialect_;
  const SessionOptions options_;
  Gate gate_;
  SQLHDBC connection_ = nullptr;
  Abilities abilities_;
  std::string server_version_;
  std::string session_id_;
  std::string database_;
  bool read_only_ = false;
  bool connected_ = false;
  bool lost_ = false;
  bool in_transaction_ = false;
  bool transaction_gone_ = false;  // the database has rolled it back by itself
  bool isolation_set_ = false;
  Trace trace_ = Trace::kNone;
};

}  // namespace cenote::odbc
