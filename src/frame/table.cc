// One batch is the common case of a point query; more are worth Arrow's own way.
#include "frame/table.h"

#include <utility>

#include <arrow/chunked_array.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "frame/arena.h"

namespace cenote {

std::shared_ptr<arrow::Table> table_of(Arena& arena, std::shared_ptr<arrow::Schema> schema,
                                       std::vector<std::shared_ptr<arrow::Array>> arrays,
                                       int64_t rows) {
  std::vector<std::shared_ptr<arrow::ChunkedArray>> columns;
  columns.reserve(arrays.size());
  for (size_t i = 0; i < arrays.size(); ++i) {
    arrow::ArrayVector chunks(1);
    chunks[0] = std::move(arrays[i]);
    columns.push_back(arena.make<arrow::ChunkedArray>(std::move(chunks),
                                                      schema->field(static_cast<int>(i))->type()));
  }
  return arrow::Table::Make(std::move(schema), std::move(columns), rows);
}

Result<std::shared_ptr<arrow::Table>> table_of(
    std::shared_ptr<arrow::Schema> schema,
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches) {
  constexpr int64_t kPerColumn = 256;
  constexpr int kMostColumns = 32;
  if (batches.size() != 1 || batches[0]->num_columns() > kMostColumns ||
      batches[0]->schema() != schema) {
    return arrow::Table::FromRecordBatches(std::move(schema), std::move(batches));
  }
  Arena arena(kPerColumn * batches[0]->num_columns());
  return table_of(arena, std::move(schema), batches[0]->columns(), batches[0]->num_rows());
}

Result<std::shared_ptr<arrow::Table>> table_of(arrow::RecordBatchReader& reader) {
  arrow::RecordBatchVector batches;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader.ReadNext(&batch));
    if (batch == nullptr) return table_of(reader.schema(), std::move(batches));
    batches.push_back(std::move(batch));
  }
}

}  // namespace cenote
