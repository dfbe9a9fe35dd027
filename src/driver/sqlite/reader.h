// Runs a statement and reads its rows into record batches of one schema.
#pragma once

#include <memory>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/type_fwd.h>

#include "cenote/driver.h"

#include "driver/sqlite/session.h"

namespace cenote::sqlite {

// Takes over `call`, which ends with the reader's last row. The first batch is read at once, since
// only the values tell the schema. `bound` are the values of its placeholders, which SQLite has
// pointers into.
Result<std::shared_ptr<arrow::RecordBatchReader>> read_rows(
    Session& session, std::unique_ptr<Session::Call> call, Statement statement,
    std::vector<std::shared_ptr<arrow::Scalar>> bound, const BatchLimits& limits);

}  // namespace cenote::sqlite
