// Runs a statement and reads its rows into record batches of one schema.
#pragma once

#include <memory>

#include <arrow/record_batch.h>

#include "cenote/driver.h"

#include "driver/sqlite/session.h"

namespace cenote::sqlite {

// Takes over `call`, which ends with the reader's last row. The first batch is read at once, since
// only the values tell the schema.
Result<std::shared_ptr<arrow::RecordBatchReader>> read_rows(Session& session,
                                                            std::unique_ptr<Session::Call> call,
                                                            Statement statement,
                                                            const BatchLimits& limits);

}  // namespace cenote::sqlite
