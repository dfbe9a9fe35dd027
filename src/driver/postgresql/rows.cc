// The format of COPY's binary stream: a signature of 11 bytes, flags, an extension; for each row
// the count of fields and each field as int32 length and bytes; -1 in place of a count ends it.
#include "driver/postgresql/rows.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "driver/postgresql/numeric.h"
#include "frame/table.h"

namespace cenote::postgresql {
namespace {

constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);
constexpr size_t kHeaderSize = kSignature.size() + 8;
// A batch up to these is made in one block: its bytes as they came, its columns, and what the
// objects of a column take (seen: 600 to 900 bytes).
constexpr int64_t kSmallBytes = 2048;
constexpr int64_t kSmallColumns = 32;
constexpr int64_t kColumnObjects = 960;
constexpr uint32_t kCriticalFlags = 0xffff0000;

uint32_t word(const uint8_t* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, 4);
  return __builtin_bswap32(value);
}

Status malformed(const char* what) {
  return make_error(ErrorKind::kInternal,
                    std::string("the server's COPY stream is malformed: ") + what);
}

// Bytes of the stream's header, or 0 where there is no valid one.
size_t header_size(const uint8_t* bytes, size_t size) {
  if (size < kHeaderSize || std::memcmp(bytes, kSignature.data(), kSignature.size()) != 0) return 0;
  if ((word(bytes + kSignature.size()) & kCriticalFlags) != 0) return 0;
  const size_t extension = word(bytes + kSignature.size() + 4);
  return extension <= size - kHeaderSize ? kHeaderSize + extension : 0;
}

// What one column of raw numerics needs.
struct NumericRange {
  int scale = 0;
  int whole = 0;
  bool finite = true;

  void see(std::string_view bytes) {
    NumericView numeric;
    if (!numeric.parse(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()) ||
        numeric.kind != NumericView::Kind::kFinite) {
      finite = false;
      return;
    }
    scale = std::max(scale, numeric.scale);
    whole = std::max(whole, numeric.whole_digits());
  }
  // Always the full precision of a width: a column's type then depends on its decimals alone.
  ColumnType type() const {
    const int digits = scale + whole;
    ColumnType type = decimal_column(finite ? (digits <= 38   ? 38
                                               : digits <= 76 ? 76
                                                              : 77)
                                            : 77,
                                     finite && digits <= 76 ? scale : 0);
    return type;
  }
};

Result<std::shared_ptr<arrow::Array>> convert(const arrow::Array& raw, const ColumnType& type) {
  const auto& values = static_cast<const arrow::BinaryArray&>(raw);
  const auto column = Column::make(type);
  for (int64_t row = 0; row < values.length(); ++row) {
    const std::string_view bytes = values.GetView(row);
    const char* wrong =
        values.IsNull(row)
            ? column->append_null()
            : column->append(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    if (wrong != nullptr) return make_error(ErrorKind::kData, std::string("a numeric ") + wrong);
  }
  Arena none(0);
  auto array = column->finish(none);
  if (!array) return Status::OutOfMemory("no memory for a column");
  return array;
}

}  // namespace

std::shared_ptr<const RowShape> RowShape::make(std::vector<std::string> names,
                                               std::vector<ColumnType> types) {
  auto shape = std::make_shared<RowShape>();
  arrow::FieldVector fields;
  for (size_t i = 0; i < names.size(); ++i) fields.push_back(column_field(names[i], types[i]));
  shape->names = std::move(names);
  shape->types = std::move(types);
  shape->schema = arrow::schema(std::move(fields));
  return shape;
}

const ColumnType* RowShape::first_cast(size_t* index) const {
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i].cast.empty()) continue;
    *index = i;
    return &types[i];
  }
  return nullptr;
}

bool RowShape::unsettled() const {
  return std::any_of(types.begin(), types.end(),
                     [](const ColumnType& type) { return type.decode == Decode::kNumericRaw; });
}

RowDecoder::RowDecoder(std::shared_ptr<const RowShape> shape, const BatchLimits& limits)
    : shape_(std::move(shape)), limits_(limits) {
  for (const ColumnType& type : shape_->types) {
    columns_.push_back(Column::make(type));
  }
}

void RowDecoder::restart() {
  header_seen_ = trailer_seen_ = false;
  finished_rows_ = 0;
}

Status RowDecoder::refuse(size_t column, const char* wrong) const {
  return make_error(ErrorKind::kData, "column '" + shape_->names[column] + "': the value at row " +
                                          std::to_string(finished_rows_ + rows_ + 1) + " " + wrong);
}

Status RowDecoder::append_field(size_t column, const uint8_t* bytes, size_t size) {
  Column& target = *columns_[column];
  const char* wrong = bytes == nullptr ? target.append_null() : target.append(bytes, size);
  if (wrong != nullptr) return refuse(column, wrong);
  bytes_ += static_cast<int64_t>(size);
  return Status::OK();
}

Status RowDecoder::append_copy(const uint8_t* bytes, size_t size) {
  const uint8_t* at = bytes;
  const uint8_t* const end = bytes + size;
  if (!header_seen_) {
    const size_t header = header_size(bytes, size);
    if (header == 0) return malformed("no valid header");
    header_seen_ = true;
    at += header;
  }
  while (at != end) {
    if (trailer_seen_) return malformed("more data after its end");
    if (end - at < 2) return malformed("half a row");
    const auto count = static_cast<int16_t>((at[0] << 8) | at[1]);
    at += 2;
    if (count == -1) {
      trailer_seen_ = true;
      continue;
    }
    if (count < 0 || static_cast<size_t>(count) != columns_.size()) {
      return malformed("a row has another number of fields than the statement has columns");
    }
    for (const std::unique_ptr<Column>& column : columns_) {
      if (end - at < 4) return malformed("half a field");
      const auto length = static_cast<int32_t>(word(at));
      at += 4;
      const char* wrong = nullptr;
      if (length == -1) {
        wrong = column->append_null();
      } else {
        if (length < 0 || end - at < length) return malformed("half a field");
        wrong = column->append(at, static_cast<size_t>(length));
        at += length;
      }
      if (wrong != nullptr) return refuse(static_cast<size_t>(&column - columns_.data()), wrong);
    }
    end_row();
  }
  bytes_ += static_cast<int64_t>(size);
  return Status::OK();
}

Arena RowDecoder::arena_for_batch() const {
  const auto columns = static_cast<int64_t>(columns_.size());
  const bool small = bytes_ <= kSmallBytes && columns <= kSmallColumns;
  return Arena(small ? columns * kColumnObjects + 2 * bytes_ : 0);
}

Result<arrow::ArrayVector> RowDecoder::finish_columns(Arena& arena) {
  arrow::ArrayVector arrays;
  arrays.reserve(columns_.size());
  for (const auto& column : columns_) {
    arrays.push_back(column->finish(arena));
    if (!arrays.back()) return Status::OutOfMemory("no memory for a batch of the result");
  }
  return arrays;
}

Result<std::shared_ptr<arrow::RecordBatch>> RowDecoder::finish() {
  Arena arena = arena_for_batch();
  ARROW_ASSIGN_OR_RAISE(arrow::ArrayVector arrays, finish_columns(arena));
  finished_rows_ += rows_;
  bytes_ = 0;
  return arrow::RecordBatch::Make(shape_->schema, std::exchange(rows_, 0), std::move(arrays));
}

Result<std::shared_ptr<arrow::Table>> RowDecoder::finish_table() {
  Arena arena = arena_for_batch();
  ARROW_ASSIGN_OR_RAISE(arrow::ArrayVector arrays, finish_columns(arena));
  finished_rows_ += rows_;
  bytes_ = 0;
  return table_of(arena, shape_->schema, std::move(arrays), std::exchange(rows_, 0));
}

Result<std::shared_ptr<arrow::Schema>> settle_numerics(
    const RowShape& shape, std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  arrow::FieldVector fields = shape.schema->fields();
  for (size_t i = 0; i < shape.types.size(); ++i) {
    if (shape.types[i].decode != Decode::kNumericRaw) continue;
    const auto index = static_cast<int>(i);
    NumericRange range;
    for (const auto& batch : batches) {
      const auto& values = static_cast<const arrow::BinaryArray&>(*batch->column(index));
      for (int64_t row = 0; row < values.length(); ++row) {
        if (values.IsValid(row)) range.see(values.GetView(row));
      }
    }
    const ColumnType type = range.type();
    fields[i] = column_field(shape.names[i], type);
    for (auto& batch : batches) {
      ARROW_ASSIGN_OR_RAISE(auto array, convert(*batch->column(index), type));
      ARROW_ASSIGN_OR_RAISE(batch, batch->SetColumn(index, fields[i], array));
    }
  }
  auto schema = arrow::schema(std::move(fields));
  // Columns of one name keep each batch from finding them by name, not from being replaced.
  for (auto& batch : batches) {
    batch = arrow::RecordBatch::Make(schema, batch->num_rows(), batch->columns());
  }
  return schema;
}

}  // namespace cenote::postgresql
