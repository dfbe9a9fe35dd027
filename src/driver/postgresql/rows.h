// From the bytes of rows to record batches: the binary format of COPY, and single fields. Knows no
// connection, so that a fuzzer can feed it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/record_batch.h>

#include "cenote/driver.h"

#include "driver/postgresql/column.h"
#include "driver/postgresql/types.h"

namespace cenote::postgresql {

// What the rows of a statement look like.
struct RowShape {
  std::vector<std::string> names;
  std::vector<ColumnType> types;
  std::shared_ptr<arrow::Schema> schema;

  static std::shared_ptr<const RowShape> make(std::vector<std::string> names,
                                              std::vector<ColumnType> types);
  // A column that the statement must cast, or null.
  const ColumnType* first_cast(size_t* index) const;
  // Some column's Arrow type is only known once all of its values are.
  bool unsettled() const;
};

// Collects rows into one batch after the other. After an error it is of no more use.
class RowDecoder {
 public:
  RowDecoder(std::shared_ptr<const RowShape> shape, const BatchLimits& limits);

  // The content of one CopyData message: the stream's header, whole rows, its trailer.
  Status append_copy(const uint8_t* bytes, size_t size);
  // One field of the current row in binary form; null bytes for a null.
  Status append_field(size_t column, const uint8_t* bytes, size_t size);
  void end_row() { ++rows_; }

  // Ready for another execution of the same statement, if the limits are the same.
  bool fits(const std::shared_ptr<const RowShape>& shape, const BatchLimits& limits) const {
    return shape_ == shape && limits_.rows == limits.rows && limits_.bytes == limits.bytes;
  }
  void restart();

  bool full() const { return rows_ >= limits_.rows || bytes_ >= limits_.bytes; }
  int64_t rows() const { return rows_; }
  // The rows since the last batch, in the shape's schema.
  Result<std::shared_ptr<arrow::RecordBatch>> finish();
  // The same as a table.
  Result<std::shared_ptr<arrow::Table>> finish_table();

 private:
  Arena arena_for_batch() const;
  Result<arrow::ArrayVector> finish_columns(Arena& arena);
  Status refuse(size_t column, const char* wrong) const;

  std::shared_ptr<const RowShape> shape_;
  BatchLimits limits_;
  std::vector<std::unique_ptr<Column>> columns_;
  bool header_seen_ = false;
  bool trailer_seen_ = false;
  int64_t rows_ = 0;
  int64_t bytes_ = 0;
  int64_t finished_rows_ = 0;
};

// Gives the raw numerics of `batches` the one type that holds all values of their column:
// decimal128 or decimal256 with as many decimals as the longest value shows, or text where NaN, an
// infinity or more than 76 digits stand in the way. Returns the schema; replaces the batches.
Result<std::shared_ptr<arrow::Schema>> settle_numerics(
    const RowShape& shape, std::vector<std::shared_ptr<arrow::RecordBatch>>& batches);

}  // namespace cenote::postgresql
