// One checked-out connection for several statements: session state (temporary tables, SET) lives
// until it is given back.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "cenote/pool.h"

namespace cenote {

// Move-only; its destructor gives the connection back, rolling an open transaction back. Used by
// one thread at a time. Statements count in the pool's metrics and their errors name pool and
// endpoint.
class PooledConnection {
 public:
  // Checks out, and begins a transaction where `begin` is given. `options` bound the wait for the
  // connection and the begin. The connection may write unless options.access or begin->read_only
  // says otherwise.
  static Result<PooledConnection> open(std::shared_ptr<LocalPool> pool, QueryOptions options = {},
                                       std::optional<TransactionOptions> begin = std::nullopt);
  // The same without a thread while it waits.
  static void open_async(std::shared_ptr<LocalPool> pool, QueryOptions options,
                         std::optional<TransactionOptions> begin,
                         Completion<PooledConnection> done);

  // What a transaction on a node has of a connection: it ends with the transaction.
  static PooledConnection of(Transaction elsewhere);

  PooledConnection(PooledConnection&&) noexcept;
  PooledConnection& operator=(PooledConnection&&) noexcept;
  ~PooledConnection();

  Result<std::shared_ptr<arrow::Table>> execute_query(std::string_view sql,
                                                      const Params& params = {},
                                                      const QueryOptions& options = {});
  // At most one reader is open at a time: the next call fails with kInterface until it ended or was
  // closed.
  Result<std::shared_ptr<arrow::RecordBatchReader>> execute_stream(
      std::string_view sql, const Params& params = {}, const QueryOptions& options = {});
  Result<int64_t> execute(std::string_view sql, const Params& params = {},
                          const QueryOptions& options = {});
  Result<int64_t> ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                         const QueryOptions& options = {});

  Status begin(const TransactionOptions& transaction = {}, const QueryOptions& options = {});
  // A commit whose fate is unknown says so in its error (Sent::kMaybe). Both close an open reader.
  // Their limits are Transaction's.
  Status commit(const QueryOptions& options = {});
  Status rollback();
  Status savepoint(std::string_view name);
  Status release(std::string_view name);
  Status rollback_to(std::string_view name);
  bool in_transaction() const;

  bool is_open() const;
  // Rolls back what is open and gives the connection back; one whose state is in doubt is closed.
  // Idempotent.
  void give_back() noexcept;

 private:
  struct State;
  explicit PooledConnection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cenote
