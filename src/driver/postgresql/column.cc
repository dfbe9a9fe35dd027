// One class for each shape of buffer, one decode function for each type.
#include "driver/postgresql/column.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include <arrow/type_traits.h>

#include "driver/postgresql/numeric.h"
#include "driver/postgresql/oids.h"

namespace cenote::postgresql {
namespace {

constexpr int64_t kFirstRows = 64;  // a point query must not pay for a batch
constexpr int64_t kLargeBuffer = int64_t{64} << 10;
constexpr int64_t kSlack = 1024;
constexpr int64_t kArenaShare = 512;
constexpr const char* kNoMemory = "does not fit into memory";
constexpr const char* kWrongLength = "has the wrong length: the server's answer is out of step";
constexpr const char* kTooLong = "makes its batch longer than 2 GiB: ask for smaller batches";

template <typename T>
T load(const uint8_t* bytes) {
  if constexpr (sizeof(T) == 1) {
    return static_cast<T>(bytes[0]);
  } else if constexpr (sizeof(T) == 2) {
    uint16_t value;
    std::memcpy(&value, bytes, 2);
    return static_cast<T>(__builtin_bswap16(value));
  } else if constexpr (sizeof(T) == 4) {
    uint32_t value;
    std::memcpy(&value, bytes, 4);
    return static_cast<T>(__builtin_bswap32(value));
  } else {
    uint64_t value;
    std::memcpy(&value, bytes, 8);
    return static_cast<T>(__builtin_bswap64(value));
  }
}

// ---- Decoders of fixed width: bytes in, one Value out

template <typename T>
struct Integer {
  using Value = T;
  static constexpr size_t kSize = sizeof(T);
  static const char* decode(const uint8_t* bytes, Value& value) {
    value = load<T>(bytes);
    return nullptr;
  }
};

template <typename Float, typename Bits>
struct Floating {
  using Value = Float;
  static constexpr size_t kSize = sizeof(Float);
  static const char* decode(const uint8_t* bytes, Value& value) {
    value = std::bit_cast<Float>(load<Bits>(bytes));
    return nullptr;
  }
};

struct Date {
  using Value = int32_t;
  static constexpr size_t kSize = 4;
  static const char* decode(const uint8_t* bytes, Value& value) {
    const auto days = load<int32_t>(bytes);
    if (days > std::numeric_limits<int32_t>::max() - kEpochDays ||
        days == std::numeric_limits<int32_t>::min()) {
      return "is an infinite date, which Arrow has not: cast the column to text, or map it with "
             "nullif(column, 'infinity')";
    }
    value = static_cast<int32_t>(days + kEpochDays);
    return nullptr;
  }
};

struct Time {
  using Value = int64_t;
  static constexpr size_t kSize = 8;
  static const char* decode(const uint8_t* bytes, Value& value) {
    value = load<int64_t>(bytes);
    if (value < 0 || value >= int64_t{86'400'000'000}) {
      return "is the time 24:00:00, which Arrow has not: cast the column to text";
    }
    return nullptr;
  }
};

struct Timestamp {
  using Value = int64_t;
  static constexpr size_t kSize = 8;
  static const char* decode(const uint8_t* bytes, Value& value) {
    const auto micros = load<int64_t>(bytes);
    if (micros > std::numeric_limits<int64_t>::max() - kEpochMicros ||
        micros == std::numeric_limits<int64_t>::min()) {
      return "is an infinite timestamp, which Arrow has not: cast the column to text, or map it "
             "with nullif(column, 'infinity')";
    }
    value = micros + kEpochMicros;
    return nullptr;
  }
};

struct Interval {
  using Value = arrow::MonthDayNanoIntervalType::MonthDayNanos;
  static constexpr size_t kSize = 16;
  static const char* decode(const uint8_t* bytes, Value& value) {
    const auto micros = load<int64_t>(bytes);
    value.days = load<int32_t>(bytes + 8);
    value.months = load<int32_t>(bytes + 12);
    if (__builtin_mul_overflow(micros, int64_t{1000}, &value.nanoseconds)) {
      return "is an interval of more than 292 years of time, or infinite: cast the column to text";
    }
    return nullptr;
  }
};

struct Uuid {
  using Value = std::array<uint8_t, 16>;
  static constexpr size_t kSize = 16;
  static const char* decode(const uint8_t* bytes, Value& value) {
    std::memcpy(value.data(), bytes, 16);
    return nullptr;
  }
};

// ---- Columns

// The array of the data, null of null. The common kinds in the arena, beside their data.
std::shared_ptr<arrow::Array> array_of(Arena& arena,
                                       const std::shared_ptr<arrow::ArrayData>& data) {
  if (!data) return nullptr;
  switch (data->type->id()) {
    case arrow::Type::INT32:
      return arena.make<arrow::Int32Array>(data);
    case arrow::Type::INT64:
      return arena.make<arrow::Int64Array>(data);
    case arrow::Type::DOUBLE:
      return arena.make<arrow::DoubleArray>(data);
    case arrow::Type::BOOL:
      return arena.make<arrow::BooleanArray>(data);
    case arrow::Type::DATE32:
      return arena.make<arrow::Date32Array>(data);
    case arrow::Type::TIMESTAMP:
      return arena.make<arrow::TimestampArray>(data);
    case arrow::Type::DECIMAL128:
      return arena.make<arrow::Decimal128Array>(data);
    case arrow::Type::STRING:
      return arena.make<arrow::StringArray>(data);
    default:
      return arrow::MakeArray(data);
  }
}

template <typename Decoder>
class FixedColumn final : public Column {
 public:
  using Value = typename Decoder::Value;
  using Column::Column;

  const char* append(const uint8_t* bytes, size_t size) override {
    if (size != Decoder::kSize) return kWrongLength;
    if (rows_ == room_ && !grow(values_, sizeof(Value))) return kNoMemory;
    Value value{};
    if (const char* wrong = Decoder::decode(bytes, value)) return wrong;
    std::memcpy(values_.data() + rows_ * static_cast<int64_t>(sizeof(Value)), &value,
                sizeof(Value));
    ++rows_;
    return nullptr;
  }
  const char* append_null() override {
    if (rows_ == room_ && !grow(values_, sizeof(Value))) return kNoMemory;
    if (!mark_null()) return kNoMemory;
    std::memset(values_.data() + rows_ * static_cast<int64_t>(sizeof(Value)), 0, sizeof(Value));
    ++rows_;
    return nullptr;
  }
  std::shared_ptr<arrow::Array> finish(Arena& arena) override {
    auto values = values_.take(rows_ * static_cast<int64_t>(sizeof(Value)), arena);
    return array_of(arena, wrap(arena, std::move(values)));
  }

 private:
  Memory values_;
};

template <typename Decimal, int kWidth>
class DecimalColumn final : public Column {
 public:
  explicit DecimalColumn(const std::shared_ptr<arrow::DataType>& type)
      : Column(type),
        precision_(static_cast<const arrow::DecimalType&>(*type).precision()),
        scale_(static_cast<const arrow::DecimalType&>(*type).scale()) {}

  const char* append(const uint8_t* bytes, size_t size) override {
    if (rows_ == room_ && !grow(values_, kWidth)) return kNoMemory;
    NumericView numeric;
    if (!numeric.parse(bytes, size)) return kWrongLength;
    Decimal value;
    if (const char* wrong = to_decimal(numeric, precision_, scale_, value)) return wrong;
    value.ToBytes(values_.data() + rows_ * kWidth);
    ++rows_;
    return nullptr;
  }
  const char* append_null() override {
    if (rows_ == room_ && !grow(values_, kWidth)) return kNoMemory;
    if (!mark_null()) return kNoMemory;
    std::memset(values_.data() + rows_ * kWidth, 0, kWidth);
    ++rows_;
    return nullptr;
  }
  std::shared_ptr<arrow::Array> finish(Arena& arena) override {
    auto values = values_.take(rows_ * kWidth, arena);
    return array_of(arena, wrap(arena, std::move(values)));
  }

 private:
  const int precision_;
  const int scale_;
  Memory values_;
};

class BoolColumn final : public Column {
 public:
  using Column::Column;

  const char* append(const uint8_t* bytes, size_t size) override {
    if (size != 1) return kWrongLength;
    return put(bytes[0] != 0);
  }
  const char* append_null() override { return mark_null() ? put(false) : kNoMemory; }
  std::shared_ptr<arrow::Array> finish(Arena& arena) override {
    auto bits = bits_.take((rows_ + 7) / 8, arena);
    return array_of(arena, wrap(arena, std::move(bits)));
  }

 private:
  const char* put(bool value) {
    if (rows_ % 8 == 0) {
      if (rows_ / 8 >= bits_.capacity() &&
          !bits_.reserve(std::max<int64_t>(kFirstRows / 8, rows_ / 4))) {
        return kNoMemory;
      }
      bits_.data()[rows_ / 8] = 0;
    }
    bits_.data()[rows_ / 8] |= static_cast<uint8_t>(static_cast<unsigned>(value) << (rows_ % 8));
    ++rows_;
    return nullptr;
  }

  Memory bits_;
};

// Text and bytes of any length. What the text is of the value's bytes is up to the subclass.
class BytesColumn : public Column {
 public:
  using Column::Column;

  const char* append(const uint8_t* bytes, size_t size) override { return put(bytes, size); }
  const char* append_null() override { return mark_null() ? put(nullptr, 0) : kNoMemory; }
  std::shared_ptr<arrow::Array> finish(Arena& arena) override {
    if (room_ == 0 && !grow(offsets_, 4, 4)) return nullptr;
    if (rows_ == 0) std::memset(offsets_.data(), 0, 4);
    auto offsets = offsets_.take((rows_ + 1) * 4, arena);
    // The next batch is likely of the same size; this one keeps no more than it needs.
    expected_ = used_ + used_ / 16;
    auto values = values_.take(used_, arena);
    used_ = 0;
    return array_of(arena, wrap(arena, std::move(offsets), std::move(values)));
  }

 protected:
  const char* put(const uint8_t* bytes, size_t size) {
    if (rows_ == room_ && !grow(offsets_, 4, 4)) return kNoMemory;
    const auto length = static_cast<int64_t>(size);
    if (used_ + length > std::numeric_limits<int32_t>::max()) return kTooLong;
    if (used_ + length > values_.capacity() && !more(length)) return kNoMemory;
    if (size > 0) std::memcpy(values_.data() + used_, bytes, size);
    used_ += length;
    auto* offsets = reinterpret_cast<int32_t*>(offsets_.data());
    if (rows_ == 0) offsets[0] = 0;
    offsets[++rows_] = static_cast<int32_t>(used_);
    return nullptr;
  }

 private:
  bool more(int64_t length) {
    const int64_t wanted =
        used_ == 0 ? std::max(expected_, length) : std::max(used_ + length, 2 * used_);
    return values_.reserve(std::max<int64_t>(wanted, 64));
  }

  Memory offsets_;
  Memory values_;
  int64_t used_ = 0;
  int64_t expected_ = 0;
};

class JsonbColumn final : public BytesColumn {
 public:
  using BytesColumn::BytesColumn;
  const char* append(const uint8_t* bytes, size_t size) override {
    if (size == 0 || bytes[0] != 1) return "is a jsonb of a version that is not known here";
    return BytesColumn::append(bytes + 1, size - 1);
  }
};

// "char" holds any byte; beyond ASCII it is shown as newer servers do.
class ByteColumn final : public BytesColumn {
 public:
  using BytesColumn::BytesColumn;
  const char* append(const uint8_t* bytes, size_t size) override {
    if (size != 1) return kWrongLength;
    const uint8_t byte = bytes[0];
    if (byte < 0x80) return put(bytes, byte == 0 ? 0 : 1);
    const uint8_t octal[] = {'\\', static_cast<uint8_t>('0' + (byte >> 6)),
                             static_cast<uint8_t>('0' + ((byte >> 3) & 7)),
                             static_cast<uint8_t>('0' + (byte & 7))};
    return put(octal, sizeof octal);
  }
};

class NumericTextColumn final : public BytesColumn {
 public:
  using BytesColumn::BytesColumn;
  const char* append(const uint8_t* bytes, size_t size) override {
    NumericView numeric;
    if (!numeric.parse(bytes, size)) return kWrongLength;
    const std::string text = to_text(numeric);
    return put(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  }
};

// 12:34:56.789+02:30, as the server writes it.
class TimetzColumn final : public BytesColumn {
 public:
  using BytesColumn::BytesColumn;
  const char* append(const uint8_t* bytes, size_t size) override {
    if (size != 12) return kWrongLength;
    const auto micros = load<int64_t>(bytes);
    const int32_t west = load<int32_t>(bytes + 8);
    if (micros < 0 || micros > int64_t{86'400'000'000} || west < -86'400 || west > 86'400) {
      return "is no time of a day";
    }
    const auto seconds = static_cast<int>(micros / 1'000'000);
    char text[48];
    int end = std::snprintf(text, sizeof text, "%02d:%02d:%02d", seconds / 3600, seconds / 60 % 60,
                            seconds % 60);
    if (micros % 1'000'000 != 0) {
      end += std::snprintf(text + end, sizeof text - static_cast<size_t>(end), ".%06d",
                           static_cast<int>(micros % 1'000'000));
      while (text[end - 1] == '0') --end;
    }
    const int zone = west < 0 ? -west : west;
    const auto add = [&](const char* format, int number) {
      end += std::snprintf(text + end, sizeof text - static_cast<size_t>(end), format, number);
    };
    add(west <= 0 ? "+%02d" : "-%02d", zone / 3600);
    if (zone % 3600 != 0) add(":%02d", zone / 60 % 60);
    if (zone % 60 != 0) add(":%02d", zone % 60);
    return put(reinterpret_cast<const uint8_t*>(text), static_cast<size_t>(end));
  }
};

class ListColumn final : public Column {
 public:
  explicit ListColumn(const ColumnType& type)
      : Column(type.arrow), values_(Column::make(*type.element)) {}

  // int32 dimensions, flags, element type; for each dimension int32 size and lower bound; then
  // each element as int32 length and bytes, -1 for null.
  const char* append(const uint8_t* bytes, size_t size) override {
    if (rows_ == room_ && !grow(offsets_, 4, 4)) return kNoMemory;
    if (size < 12) return kWrongLength;
    const auto dimensions = load<int32_t>(bytes);
    if (dimensions == 0) return close_row();
    if (dimensions != 1) {
      return "is an array of more than one dimension, which a list cannot tell from others: cast "
             "the column to text, or use to_json(column)";
    }
    if (size < 20) return kWrongLength;
    const auto count = load<int32_t>(bytes + 12);
    size_t at = 20;
    for (int32_t i = 0; i < count; ++i) {
      if (size - at < 4) return kWrongLength;
      const auto length = load<int32_t>(bytes + at);
      at += 4;
      const char* wrong = nullptr;
      if (length == -1) {
        wrong = values_->append_null();
      } else {
        if (length < 0 || size - at < static_cast<size_t>(length)) return kWrongLength;
        wrong = values_->append(bytes + at, static_cast<size_t>(length));
        at += static_cast<size_t>(length);
      }
      if (wrong != nullptr) return wrong;
    }
    return at == size ? close_row() : kWrongLength;
  }
  const char* append_null() override {
    if (rows_ == room_ && !grow(offsets_, 4, 4)) return kNoMemory;
    return mark_null() ? close_row() : kNoMemory;
  }
  std::shared_ptr<arrow::Array> finish(Arena& arena) override {
    if (room_ == 0 && !grow(offsets_, 4, 4)) return nullptr;
    if (rows_ == 0) std::memset(offsets_.data(), 0, 4);
    auto offsets = offsets_.take((rows_ + 1) * 4, arena);
    const auto values = values_->finish(arena);
    if (!values) return nullptr;
    auto data = wrap(arena, std::move(offsets));
    if (!data) return nullptr;
    data->child_data.push_back(values->data());
    return arrow::MakeArray(data);
  }

 private:
  const char* close_row() {
    if (values_->rows() > std::numeric_limits<int32_t>::max()) return kTooLong;
    auto* offsets = reinterpret_cast<int32_t*>(offsets_.data());
    if (rows_ == 0) offsets[0] = 0;
    offsets[++rows_] = static_cast<int32_t>(values_->rows());
    return nullptr;
  }

  std::unique_ptr<Column> values_;
  Memory offsets_;
};

}  // namespace

// The memory of large columns comes from the system: Arrow's default pool keeps a third more than
// the table needs (seen with 2,000,000 rows of 9 columns: 173 MB for 129; the system's: 132).
bool Memory::reserve(int64_t bytes) {
  if (bytes <= capacity_) return true;
  arrow::MemoryPool* pool =
      bytes >= kLargeBuffer ? arrow::system_memory_pool() : arrow::default_memory_pool();
  if (buffer_ && pool == pool_) {
    if (!buffer_->Resize(bytes, false).ok()) return false;
  } else {
    auto made = arrow::AllocateResizableBuffer(bytes, pool);
    if (!made.ok()) return false;
    if (buffer_) std::memcpy((*made)->mutable_data(), data_, static_cast<size_t>(capacity_));
    buffer_ = std::move(*made);
    pool_ = pool;
  }
  data_ = buffer_->mutable_data();
  capacity_ = buffer_->capacity();
  return true;
}

std::shared_ptr<arrow::Buffer> Memory::take(int64_t bytes, Arena& arena) {
  if (bytes <= kArenaShare) {
    if (auto copy = arena.copy(data_, bytes)) return copy;
  }
  std::shared_ptr<arrow::ResizableBuffer> taken = std::move(buffer_);
  buffer_.reset();
  data_ = nullptr;
  // Some slack is cheaper than a copy; much is given back.
  const bool shrink = capacity_ - bytes > std::max(bytes / 4, kSlack);
  capacity_ = 0;
  // Empty buffers have an address, too: Arrow's validation wants one.
  if (!taken) return std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(""), 0);
  if (!taken->Resize(bytes, shrink).ok()) return nullptr;
  return taken;
}

bool Column::grow(Memory& memory, int64_t width, int64_t extra) {
  const int64_t wanted = room_ == 0 ? std::max(kFirstRows, last_rows_) : 2 * room_;
  if (!memory.reserve(wanted * width + extra)) return false;
  room_ = (memory.capacity() - extra) / width;
  return true;
}

bool Column::mark_null() {
  const int64_t needed = rows_ / 8 + 1;
  if (needed > valid_bytes_) {
    if (needed > validity_.capacity() &&
        !validity_.reserve(std::max({needed, 2 * valid_bytes_, last_rows_ / 8 + 1}))) {
      return false;
    }
    // Rows are valid until one is not.
    std::memset(validity_.data() + valid_bytes_, 0xff,
                static_cast<size_t>(validity_.capacity() - valid_bytes_));
    valid_bytes_ = validity_.capacity();
  }
  validity_.data()[rows_ / 8] &= static_cast<uint8_t>(~(1U << (rows_ % 8)));
  ++nulls_;
  return true;
}

std::shared_ptr<arrow::ArrayData> Column::wrap(Arena& arena, std::shared_ptr<arrow::Buffer> first,
                                               std::shared_ptr<arrow::Buffer> second) {
  if (!first) return nullptr;
  std::vector<std::shared_ptr<arrow::Buffer>> buffers(second ? 3 : 2);
  buffers[1] = std::move(first);
  if (second) buffers[2] = std::move(second);
  if (nulls_ > 0) {
    const int64_t needed = (rows_ + 7) / 8;
    if (!validity_.reserve(needed)) return nullptr;
    if (needed > valid_bytes_) {
      // The rows after the last null were not marked yet.
      std::memset(validity_.data() + valid_bytes_, 0xff,
                  static_cast<size_t>(needed - valid_bytes_));
    }
    buffers[0] = validity_.take(needed, arena);
    if (!buffers[0]) return nullptr;
  }
  auto data = arena.make<arrow::ArrayData>(type_, rows_, std::move(buffers), nulls_);
  last_rows_ = rows_;
  rows_ = nulls_ = room_ = valid_bytes_ = 0;
  return data;
}

std::unique_ptr<Column> Column::make(const ColumnType& type) {
  const auto& arrow = type.arrow;
  switch (type.decode) {
    case Decode::kBool:
      return std::make_unique<BoolColumn>(arrow);
    case Decode::kInt16:
      return std::make_unique<FixedColumn<Integer<int16_t>>>(arrow);
    case Decode::kInt32:
      return std::make_unique<FixedColumn<Integer<int32_t>>>(arrow);
    case Decode::kInt64:
      return std::make_unique<FixedColumn<Integer<int64_t>>>(arrow);
    case Decode::kUint32:
      return std::make_unique<FixedColumn<Integer<uint32_t>>>(arrow);
    case Decode::kFloat:
      return std::make_unique<FixedColumn<Floating<float, uint32_t>>>(arrow);
    case Decode::kDouble:
      return std::make_unique<FixedColumn<Floating<double, uint64_t>>>(arrow);
    case Decode::kDate:
      return std::make_unique<FixedColumn<Date>>(arrow);
    case Decode::kTime:
      return std::make_unique<FixedColumn<Time>>(arrow);
    case Decode::kTimestamp:
      return std::make_unique<FixedColumn<Timestamp>>(arrow);
    case Decode::kInterval:
      return std::make_unique<FixedColumn<Interval>>(arrow);
    case Decode::kUuid:
      return std::make_unique<FixedColumn<Uuid>>(arrow);
    case Decode::kDecimal128:
      return std::make_unique<DecimalColumn<arrow::Decimal128, 16>>(arrow);
    case Decode::kDecimal256:
      return std::make_unique<DecimalColumn<arrow::Decimal256, 32>>(arrow);
    case Decode::kText:
    case Decode::kBinary:
    case Decode::kNumericRaw:
      return std::make_unique<BytesColumn>(arrow);
    case Decode::kJsonb:
      return std::make_unique<JsonbColumn>(arrow);
    case Decode::kByte:
      return std::make_unique<ByteColumn>(arrow);
    case Decode::kTimetz:
      return std::make_unique<TimetzColumn>(arrow);
    case Decode::kNumericText:
      return std::make_unique<NumericTextColumn>(arrow);
    case Decode::kList:
      return std::make_unique<ListColumn>(type);
  }
  return nullptr;
}

}  // namespace cenote::postgresql
