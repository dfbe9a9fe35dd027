// What stands behind a Transaction: a connection of this process's pool, or a transaction that a
// node holds.
#pragma once

#include <memory>
#include <string_view>

#include "cenote/pool.h"

namespace cenote {

// Called by one thread at a time, with the contracts of Transaction's methods. Destroying an open
// one rolls back, bounded.
class Transaction::State {
 public:
  virtual ~State() = default;

  virtual Result<std::shared_ptr<arrow::Table>> execute_query(std::string_view sql,
                                                              const Params& params,
                                                              const QueryOptions& options) = 0;
  virtual Result<std::shared_ptr<arrow::RecordBatchReader>> execute_stream(
      std::string_view sql, const Params& params, const QueryOptions& options) = 0;
  virtual Result<int64_t> execute(std::string_view sql, const Params& params,
                                  const QueryOptions& options) = 0;
  virtual Result<int64_t> ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                                 const QueryOptions& options) = 0;
  virtual Result<StatementInfo> describe(std::string_view sql, const QueryOptions& options) = 0;
  virtual Status savepoint(std::string_view name) = 0;
  virtual Status release(std::string_view name) = 0;
  virtual Status rollback_to(std::string_view name) = 0;
  virtual Status commit(const QueryOptions& options) = 0;
  virtual Status rollback() = 0;
  virtual bool is_open() const = 0;
};

}  // namespace cenote
