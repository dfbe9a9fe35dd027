// One batch is the common case of a point query; more are worth Arrow's own way.
#include "frame/table.h"

#include <utility>

#include <arrow/chunked_array.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "frame/arena.h"

namespace cenote {

Result<std::shared_ptr<arrow::Table>> table_of(
    std::shared_ptr<arrow::Schema> schema,
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches) {
  constexpr int64_t kPerColumn = 256;
  constexpr int kMostColumns = 32;
  if (batches.size() != 1 || batches[0]->num_columns() > kMostColumns ||
      batches[0]->schema() != schema) {
    return arrow::Table::FromRecordBatches(std::move(schema), std::move(batches));
  }
  const arrow::RecordBatch& batch = *batches[0];
  Arena arena(kPerColumn * batch.num_columns());
  std::vector<std::shared_ptr<arrow::ChunkedArray>> columns;
  columns.reserve(static_cast<size_t>(batch.num_columns()));
  for (int i = 0; i < batch.num_columns(); ++i) {
    arrow::ArrayVector chunks(1);
    chunks[0] = batch.column(i);
    columns.push_back(arena.make<arrow::ChunkedArray>(std::move(chunks), schema->field(i)->type()));
  }
  return arrow::Table::Make(std::move(schema), std::move(columns), batch.num_rows());
}

}  // namespace cenote
