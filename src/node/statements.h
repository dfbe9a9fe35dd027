// Runs the statements of clients on the pools, with the caller's rights: in a transaction that the
// client holds, in a read-only one where the caller may only read, else by themselves.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/pool.h"

#include "node/auth.h"
#include "node/held_transaction.h"
#include "node/result_reader.h"
#include "node/served_pool.h"

namespace cenote::node {

// Where and for whom a statement runs.
struct Work {
  const Caller* caller = nullptr;
  std::shared_ptr<const ServedPool> pool;
  std::shared_ptr<HeldTransaction> transaction;  // or null
  QueryOptions options;                          // its stop token is `stop`'s
  std::stop_source stop;                         // requested when the client gives up
};

// Runs it; the rows are read from the result, which owns what it needs.
Result<std::shared_ptr<ResultReader>> run_query(const Work& work, std::string_view sql,
                                                const Params& params);
// Affected rows; -1 where the database does not say.
Result<int64_t> run_execute(const Work& work, std::string_view sql, const Params& params);
// Once for each row of parameters, all or nothing; the sum of the affected rows.
Result<int64_t> run_many(const Work& work, std::string_view sql, const std::vector<Params>& rows);
Result<int64_t> run_ingest(const Work& work, const IngestTarget& target,
                           arrow::RecordBatchReader& rows);

struct Description {
  StatementInfo info;  // parameters may be null where the database cannot tell
  bool gives_rows = true;
  bool certain = true;  // the database said so, not the statement's words
};
Result<Description> describe(const Work& work, std::string_view sql);

// Whether the words alone say that it gives rows and changes nothing, so that nobody need ask.
bool only_reads(std::string_view sql);

}  // namespace cenote::node
