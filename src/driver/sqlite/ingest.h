// Inserts a stream of record batches, all or nothing.
#pragma once

#include <arrow/record_batch.h>

#include "cenote/driver.h"

#include "driver/sqlite/session.h"

namespace cenote::sqlite {

// Inside a Call of the session.
Result<int64_t> ingest_rows(Session& session, const IngestTarget& target,
                            arrow::RecordBatchReader& rows);

}  // namespace cenote::sqlite
