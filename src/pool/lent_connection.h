// The connection of a lease that a caller took by hand (LocalPool::checkout): itself, until the
// pool is retired since calls go to another database. Then each further statement is refused, and
// one that was cancelled says why.
#pragma once

#include <memory>
#include <string>

#include "cenote/driver.h"

namespace cenote {

class ConnectionPool;

// Used as a Connection is.
class LentConnection final : public Connection {
 public:
  // `inner` is in that slot of the pool for as long as this is used.
  LentConnection(Connection& inner, const ConnectionPool& pool, uint32_t slot)
      : inner_(inner), pool_(pool), slot_(slot) {}

  Result<std::shared_ptr<arrow::RecordBatchReader>> query(const CallContext& context,
                                                          std::string_view sql,
                                                          const Params& params,
                                                          const BatchLimits& limits) override;
  Result<std::shared_ptr<arrow::Table>> query_table(const CallContext& context,
                                                    std::string_view sql, const Params& params,
                                                    const BatchLimits& limits) override;
  Result<int64_t> execute(const CallContext& context, std::string_view sql,
                          const Params& params) override;
  Result<int64_t> ingest(const CallContext& context, const IngestTarget& target,
                         arrow::RecordBatchReader& rows) override;
  Result<StatementInfo> describe(const CallContext& context, std::string_view sql) override;

  Status begin(const CallContext& context, const TransactionOptions& options) override;
  // What calls have left must not be committed there.
  Status commit(const CallContext& context) override;
  Status rollback(const CallContext& context) override;
  Status savepoint(const CallContext& context, std::string_view name) override;
  Status release_savepoint(const CallContext& context, std::string_view name) override;
  Status rollback_to_savepoint(const CallContext& context, std::string_view name) override;
  bool in_transaction() const override { return inner_.in_transaction(); }

  void cancel() noexcept override { inner_.cancel(); }
  Status validate(const CallContext& context) override;
  bool dirty() const override { return inner_.dirty(); }
  Status reset(const CallContext& context) override;
  Result<Probe> probe(const CallContext& context) override;
  bool usable() const override { return inner_.usable(); }
  std::string session_id() const override { return inner_.session_id(); }
  void leave_to_parent() noexcept override { inner_.leave_to_parent(); }

 private:
  Status ready() const;
  Status judged(Status status) const;
  template <typename T>
  Result<T> judged(Result<T> answer) const;

  Connection& inner_;
  const ConnectionPool& pool_;
  const uint32_t slot_;
};

}  // namespace cenote
