// A table of a query's batches.
#pragma once

#include <memory>
#include <vector>

#include <arrow/type_fwd.h>

#include "cenote/error.h"

namespace cenote {

// The batches one under the other, without a copy. What arrow::Table::FromRecordBatches() does, at
// a fraction of its price for a single batch.
Result<std::shared_ptr<arrow::Table>> table_of(
    std::shared_ptr<arrow::Schema> schema,
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches);

}  // namespace cenote
