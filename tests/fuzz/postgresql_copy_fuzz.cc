// Any bytes as a COPY stream of PostgreSQL over columns of any types: whatever is taken is valid
// Arrow, and exact numbers read back as they were written.
#include <algorithm>
#include <string>
#include <vector>

#include <arrow/api.h>

#include "driver/postgresql/numeric.h"
#include "driver/postgresql/oids.h"
#include "driver/postgresql/rows.h"
#include "fuzz/check.h"

namespace cenote::postgresql {
namespace {

struct Source {
  uint32_t oid;
  int typmod;
};

constexpr int numeric_typmod(int precision, int scale) {
  return ((precision << 16) | (scale & 0x7ff)) + 4;
}

constexpr Source kSources[] = {
    {kBoolOid, -1},
    {kInt2Oid, -1},
    {kInt4Oid, -1},
    {kInt8Oid, -1},
    {kOidOid, -1},
    {kFloat4Oid, -1},
    {kFloat8Oid, -1},
    {kTextOid, -1},
    {kByteaOid, -1},
    {kCharOid, -1},
    {kJsonbOid, -1},
    {kDateOid, -1},
    {kTimeOid, -1},
    {kTimetzOid, -1},
    {kTimestampOid, -1},
    {kIntervalOid, -1},
    {kUuidOid, -1},
    {kNumericOid, -1},
    {kNumericOid, numeric_typmod(18, 4)},
    {kNumericOid, numeric_typmod(38, 38)},
    {kNumericOid, numeric_typmod(60, 20)},
    {kNumericOid, numeric_typmod(5, -2)},
    {kInt4ArrayOid, -1},
    {kTextArrayOid, -1},
    {kNumericArrayOid, numeric_typmod(10, 2)},
};

bool holds_text(const arrow::DataType& type) {
  return type.id() == arrow::Type::STRING ||
         (type.id() == arrow::Type::LIST && holds_text(*type.field(0)->type()));
}

// That text is UTF-8 is the server's to check.
void check_valid(const arrow::RecordBatch& batch) {
  for (const auto& column : batch.columns()) {
    const Status valid = holds_text(*column->type()) ? column->Validate() : column->ValidateFull();
    check(valid.ok(), valid.ToString());
  }
}

// A decimal that was read is written as bytes that read as the same decimal.
void check_numerics(const arrow::RecordBatch& batch) {
  for (const auto& column : batch.columns()) {
    if (column->type_id() != arrow::Type::DECIMAL128) continue;
    const auto& values = static_cast<const arrow::Decimal128Array&>(*column);
    const auto& type = static_cast<const arrow::Decimal128Type&>(*column->type());
    for (int64_t row = 0; row < values.length(); ++row) {
      if (values.IsNull(row)) continue;
      const arrow::Decimal128 value(values.GetValue(row));
      std::string digits = value.ToIntegerString();
      const bool negative = digits.front() == '-';
      std::string bytes;
      put_numeric(bytes, negative ? digits.substr(1) : digits, negative, type.scale());
      NumericView numeric;
      check(numeric.parse(reinterpret_cast<const uint8_t*>(bytes.data()) + 4, bytes.size() - 4),
            "what was written is a numeric");
      arrow::Decimal128 again;
      const char* wrong = to_decimal(numeric, type.precision(), type.scale(), again);
      check(wrong == nullptr && again == value, "a decimal reads back as it was written");
    }
  }
}

std::shared_ptr<const RowShape> shape_of(const uint8_t* data, size_t count, bool whole) {
  const TypeCatalog catalog;
  std::vector<std::string> names;
  std::vector<ColumnType> types;
  for (size_t i = 0; i < count; ++i) {
    const Source& source = kSources[data[i] % std::size(kSources)];
    names.push_back("c" + std::to_string(i));
    types.push_back(catalog.column(source.oid, source.typmod, whole));
  }
  return RowShape::make(std::move(names), std::move(types));
}

// Flags, the count of columns, their types, and messages of the length that the flags tell.
void run(const uint8_t* data, size_t size) {
  if (size < 2) return;
  const bool whole = (data[0] & 1) != 0;
  const bool with_header = (data[0] & 2) == 0;
  const size_t count = data[1] % 9;
  if (size < 2 + count) return;
  const auto shape = shape_of(data + 2, count, whole);
  RowDecoder decoder(shape, {.rows = 4, .bytes = 1 << 16, .whole = whole});
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  const auto take = [&] {
    const auto batch = decoder.finish();
    check(batch.ok(), "a batch can be made");
    check_valid(**batch);
    check_numerics(**batch);
    batches.push_back(*batch);
  };
  static const std::string header("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
  const auto* header_bytes = reinterpret_cast<const uint8_t*>(header.data());
  bool fine = !with_header || decoder.append_copy(header_bytes, header.size()).ok();
  // Each message is followed through to its end, so a copy of its own finds reads beyond it.
  const std::vector<uint8_t> rest(data + 2 + count, data + size);
  const size_t half = (data[0] & 4) != 0 ? rest.size() / 2 : rest.size();
  for (const auto& [from, to] : {std::pair(size_t{0}, half), std::pair(half, rest.size())}) {
    if (!fine || from == to) continue;
    const std::vector<uint8_t> message(rest.begin() + static_cast<ptrdiff_t>(from),
                                       rest.begin() + static_cast<ptrdiff_t>(to));
    fine = decoder.append_copy(message.data(), message.size()).ok();
    if (fine && decoder.full()) take();
  }
  if (!fine) return;
  take();
  if (!shape->unsettled()) return;
  if (!settle_numerics(*shape, batches).ok()) return;
  for (const auto& batch : batches) {
    check_valid(*batch);
    check_numerics(*batch);
  }
}

}  // namespace
}  // namespace cenote::postgresql

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cenote::postgresql::run(data, size);
  return 0;
}
