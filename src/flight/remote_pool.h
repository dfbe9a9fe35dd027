// A pool on a node, with the calls of a local one: each is one round trip and is tried once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/type_fwd.h>

#include "cenote/pool.h"

#include "flight/node_channel.h"

namespace cenote::flight {

// Thread-safe. Errors carry the node's whole ErrorDetail; one that the node did not say is
// kConnection, Sent::kNo only if the call certainly never arrived.
class RemotePool {
 public:
  // `on_answer` hears of every answer, as of how busy the pool is on its node.
  RemotePool(std::shared_ptr<NodeChannel> channel, std::string id, OnAnswer on_answer = {})
      : channel_(std::move(channel)), id_(std::move(id)), on_answer_(std::move(on_answer)) {}

  const std::string& id() const { return id_; }
  const std::string& location() const { return channel_->location(); }

  // `on_begin` is told when the answer begins: the statement was executed then.
  Result<std::shared_ptr<arrow::Table>> execute_query(std::string_view sql,
                                                      const Params& params = {},
                                                      const QueryOptions& options = {},
                                                      const std::function<void()>& on_begin = {});
  // The reader cancels on the node when it is closed or destroyed before its end.
  Result<std::shared_ptr<arrow::RecordBatchReader>> execute_stream(
      std::string_view sql, const Params& params = {}, const QueryOptions& options = {});
  Result<int64_t> execute(std::string_view sql, const Params& params = {},
                          const QueryOptions& options = {});
  Result<int64_t> ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                         const QueryOptions& options = {});
  Result<Transaction> begin(const TransactionOptions& transaction = {},
                            const QueryOptions& options = {});
  // Who the node is and how busy this pool is there.
  Result<Answer> ping(const QueryOptions& options = {});

 private:
  const std::shared_ptr<NodeChannel> channel_;
  const std::string id_;
  const OnAnswer on_answer_;
};

}  // namespace cenote::flight
