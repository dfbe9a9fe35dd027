// How a table is made of a reader's batches, for drivers that know no shorter way.
#include <utility>

#include <arrow/record_batch.h>

#include "cenote/driver.h"

#include "frame/table.h"

namespace cenote {

Result<std::shared_ptr<arrow::Table>> Connection::query_table(const CallContext& context,
                                                              std::string_view sql,
                                                              const Params& params,
                                                              const BatchLimits& limits) {
  BatchLimits whole = limits;
  whole.whole = true;
  ARROW_ASSIGN_OR_RAISE(const auto reader, query(context, sql, params, whole));
  return table_of(*reader);
}

}  // namespace cenote
