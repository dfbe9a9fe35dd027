// A table of a query's batches.
#pragma once

#include <memory>
#include <vector>

#include <arrow/type_fwd.h>

#include "cenote/error.h"

#include "frame/arena.h"

namespace cenote {

// The batches one under the other, without a copy. What arrow::Table::FromRecordBatches() does, at
// a fraction of its price for a single batch.
Result<std::shared_ptr<arrow::Table>> table_of(
    std::shared_ptr<arrow::Schema> schema,
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches);

// Of arrays of `rows` values each; the table's own parts lie in the arena as far as it has room.
std::shared_ptr<arrow::Table> table_of(Arena& arena, std::shared_ptr<arrow::Schema> schema,
                                       std::vector<std::shared_ptr<arrow::Array>> arrays,
                                       int64_t rows);

// All that the reader gives.
Result<std::shared_ptr<arrow::Table>> table_of(arrow::RecordBatchReader& reader);

}  // namespace cenote
