// A pool as its node serves it: one of the node's own, or what a failover strategy makes of
// several.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cenote/manager.h"

namespace cenote::node {

// The calls of LocalPool. Immutable, so thread-safe.
class ServedPool {
 public:
  static Result<std::shared_ptr<ServedPool>> find(DistributedPoolManager& manager,
                                                  const std::string& id) {
    ARROW_ASSIGN_OR_RAISE(auto pool, manager.pool(id));
    return std::shared_ptr<ServedPool>(
        new ServedPool(id, std::move(pool), manager.has_failover(id) ? &manager : nullptr));
  }

  const std::string& id() const { return id_; }
  // Of a group: of the pool that calls went to when it was looked up.
  const std::shared_ptr<LocalPool>& local() const { return pool_; }

  Result<std::shared_ptr<arrow::RecordBatchReader>> execute_stream(
      std::string_view sql, const Params& params, const QueryOptions& options) const {
    if (group_ != nullptr) return group_->execute_stream(id_, sql, params, options);
    return pool_->execute_stream(sql, params, options);
  }
  Result<int64_t> execute(std::string_view sql, const Params& params,
                          const QueryOptions& options) const {
    if (group_ != nullptr) return group_->execute(id_, sql, params, options);
    return pool_->execute(sql, params, options);
  }
  Result<int64_t> ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                         const QueryOptions& options) const {
    if (group_ != nullptr) return group_->ingest(id_, target, rows, options);
    return pool_->ingest(target, rows, options);
  }
  Result<Transaction> begin(const TransactionOptions& transaction,
                            const QueryOptions& options) const {
    if (group_ != nullptr) return group_->begin(id_, transaction, options);
    return pool_->begin(transaction, options);
  }

 private:
  ServedPool(std::string id, std::shared_ptr<LocalPool> pool, DistributedPoolManager* group)
      : id_(std::move(id)), pool_(std::move(pool)), group_(group) {}

  const std::string id_;
  const std::shared_ptr<LocalPool> pool_;
  // Null where no strategy stands for the pool: the manager's other calls may leave this process,
  // and a node that hands calls on to nodes could be handed them back.
  DistributedPoolManager* const group_;
};

}  // namespace cenote::node
