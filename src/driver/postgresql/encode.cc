// One class per shape of value; make() is the table of pairs.
#include "driver/postgresql/encode.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <string_view>
#include <utility>

#include <arrow/array/array_binary.h>
#include <arrow/array/array_decimal.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/array_nested.h>
#include <arrow/array/array_primitive.h>
#include <arrow/extension_type.h>
#include <arrow/type_traits.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>

#include "driver/postgresql/numeric.h"
#include "driver/postgresql/oids.h"
#include "driver/postgresql/types.h"

namespace cenote::postgresql {
namespace {

using arrow::Type;

Status bad(std::string message) {
  return make_error(ErrorKind::kData, std::move(message));
}

void put_null(std::string& out) {
  put_int32(out, -1);
}

// Keeps the typed array; a null is written here, all else by write().
template <typename Array>
class TypedEncoder : public Encoder {
 public:
  Status bind(const arrow::Array& array) override {
    array_ = static_cast<const Array*>(&array);
    return Status::OK();
  }
  Status append(int64_t row, std::string& out) final {
    if (array_->IsNull(row)) {
      put_null(out);
      return Status::OK();
    }
    return write(row, out);
  }

 protected:
  virtual Status write(int64_t row, std::string& out) = 0;
  const Array* array_ = nullptr;
};

class NullEncoder final : public Encoder {
 public:
  Status bind(const arrow::Array&) override { return Status::OK(); }
  Status append(int64_t, std::string& out) override {
    put_null(out);
    return Status::OK();
  }
};

class BoolEncoder final : public TypedEncoder<arrow::BooleanArray> {
  Status write(int64_t row, std::string& out) override {
    put_int32(out, 1);
    out += array_->Value(row) ? '\1' : '\0';
    return Status::OK();
  }
};

// An integer of any width into smallint, integer, bigint or numeric.
template <typename Array>
class IntegerEncoder final : public TypedEncoder<Array> {
 public:
  explicit IntegerEncoder(uint32_t oid) : oid_(oid) {}

 private:
  Status write(int64_t row, std::string& out) override {
    const auto value = this->array_->Value(row);
    switch (oid_) {
      case kInt2Oid:
        if (!std::in_range<int16_t>(value)) break;
        put_int32(out, 2);
        put_int16(out, static_cast<int16_t>(value));
        return Status::OK();
      case kInt4Oid:
        if (!std::in_range<int32_t>(value)) break;
        put_int32(out, 4);
        put_int32(out, static_cast<int32_t>(value));
        return Status::OK();
      case kInt8Oid:
        if (!std::in_range<int64_t>(value)) break;
        put_int32(out, 8);
        put_int64(out, static_cast<int64_t>(value));
        return Status::OK();
      default: {
        const bool negative = std::cmp_less(value, 0);
        std::string digits = std::to_string(value);
        put_numeric(out, negative ? digits.substr(1) : std::move(digits), negative, 0);
        return Status::OK();
      }
    }
    return bad("the integer " + std::to_string(value) + " does not fit into its column");
  }

  const uint32_t oid_;
};

template <typename Array, bool kSingle>
class FloatEncoder final : public TypedEncoder<Array> {
  Status write(int64_t row, std::string& out) override {
    if constexpr (std::is_same_v<Array, arrow::HalfFloatArray>) {
      put(out, arrow::util::Float16::FromBits(this->array_->Value(row)).ToFloat());
    } else {
      put(out, this->array_->Value(row));
    }
    return Status::OK();
  }
  template <typename Float>
  static void put(std::string& out, Float value) {
    if constexpr (kSingle) {
      put_int32(out, 4);
      put_int32(out, std::bit_cast<int32_t>(static_cast<float>(value)));
    } else {
      put_int32(out, 8);
      put_int64(out, std::bit_cast<int64_t>(static_cast<double>(value)));
    }
  }
};

// Text and bytes; jsonb wants its version before the text.
template <typename Array>
class BytesEncoder final : public TypedEncoder<Array> {
 public:
  explicit BytesEncoder(bool jsonb = false) : jsonb_(jsonb) {}

 private:
  Status write(int64_t row, std::string& out) override {
    const std::string_view bytes = this->array_->GetView(row);
    if (bytes.size() > size_t{1'000'000'000}) {
      return bad("a value of " + std::to_string(bytes.size()) +
                 " bytes is longer than the 1 GB that PostgreSQL takes");
    }
    put_int32(out, static_cast<int32_t>(bytes.size() + (jsonb_ ? 1 : 0)));
    if (jsonb_) out += '\1';
    out += bytes;
    return Status::OK();
  }

  const bool jsonb_;
};

int64_t floor_div(int64_t value, int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

template <typename Array>
class DateEncoder final : public TypedEncoder<Array> {
  Status write(int64_t row, std::string& out) override {
    int64_t days = this->array_->Value(row);
    if constexpr (std::is_same_v<Array, arrow::Date64Array>) days = floor_div(days, 86'400'000);
    put_int32(out, 4);
    put_int32(out, static_cast<int32_t>(days - kEpochDays));
    return Status::OK();
  }
};

// A count of some unit as microseconds.
template <typename Array>
class TimeEncoder : public TypedEncoder<Array> {
 public:
  TimeEncoder(arrow::TimeUnit::type unit, int64_t epoch) : epoch_(epoch) {
    if (unit == arrow::TimeUnit::SECOND) factor_ = 1'000'000;
    if (unit == arrow::TimeUnit::MILLI) factor_ = 1000;
    nanos_ = unit == arrow::TimeUnit::NANO;
  }

 protected:
  Status write(int64_t row, std::string& out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t micros, to_micros(this->array_->Value(row)));
    put_int32(out, 8);
    put_int64(out, micros - epoch_);
    return Status::OK();
  }
  Result<int64_t> to_micros(int64_t value) const {
    if (nanos_) {
      if (value % 1000 != 0) {
        return bad(
            "a time has a fraction of a microsecond, which PostgreSQL cannot hold: round "
            "the column to microseconds first");
      }
      return value / 1000;
    }
    int64_t micros = 0;
    if (__builtin_mul_overflow(value, factor_, &micros) ||
        micros < std::numeric_limits<int64_t>::min() + 1 + epoch_) {
      return bad("a time is beyond what PostgreSQL holds");
    }
    return micros;
  }

 private:
  const int64_t epoch_;
  int64_t factor_ = 1;
  bool nanos_ = false;
};

class DurationEncoder final : public TimeEncoder<arrow::DurationArray> {
 public:
  explicit DurationEncoder(arrow::TimeUnit::type unit) : TimeEncoder(unit, 0) {}

 private:
  Status write(int64_t row, std::string& out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t micros, to_micros(array_->Value(row)));
    put_int32(out, 16);
    put_int64(out, micros);
    put_int64(out, 0);  // days and months
    return Status::OK();
  }
};

class IntervalEncoder final : public TypedEncoder<arrow::MonthDayNanoIntervalArray> {
  Status write(int64_t row, std::string& out) override {
    const auto interval = array_->GetValue(row);
    if (interval.nanoseconds % 1000 != 0) {
      return bad("an interval has a fraction of a microsecond, which PostgreSQL cannot hold");
    }
    put_int32(out, 16);
    put_int64(out, interval.nanoseconds / 1000);
    put_int32(out, interval.days);
    put_int32(out, interval.months);
    return Status::OK();
  }
};

template <typename Array>
class DecimalEncoder final : public TypedEncoder<Array> {
 public:
  explicit DecimalEncoder(int scale) : scale_(scale) {}

 private:
  Status write(int64_t row, std::string& out) override {
    const typename arrow::TypeTraits<typename Array::TypeClass>::CType value(
        this->array_->GetValue(row));
    std::string digits = value.ToIntegerString();
    const bool negative = digits.front() == '-';
    put_numeric(out, negative ? digits.substr(1) : std::move(digits), negative, scale_);
    return Status::OK();
  }

  const int scale_;
};

class DictionaryEncoder final : public Encoder {
 public:
  explicit DictionaryEncoder(std::unique_ptr<Encoder> values) : values_(std::move(values)) {}
  Status bind(const arrow::Array& array) override {
    array_ = static_cast<const arrow::DictionaryArray*>(&array);
    return values_->bind(*array_->dictionary());
  }
  Status append(int64_t row, std::string& out) override {
    if (array_->IsNull(row)) {
      put_null(out);
      return Status::OK();
    }
    return values_->append(array_->GetValueIndex(row), out);
  }

 private:
  const arrow::DictionaryArray* array_ = nullptr;
  std::unique_ptr<Encoder> values_;
};

class ExtensionEncoder final : public Encoder {
 public:
  explicit ExtensionEncoder(std::unique_ptr<Encoder> storage) : storage_(std::move(storage)) {}
  Status bind(const arrow::Array& array) override {
    held_ = static_cast<const arrow::ExtensionArray&>(array).storage();
    return storage_->bind(*held_);
  }
  Status append(int64_t row, std::string& out) override { return storage_->append(row, out); }

 private:
  std::shared_ptr<arrow::Array> held_;
  std::unique_ptr<Encoder> storage_;
};

// One dimension, of the element type `oid`.
template <typename Array>
class ListEncoder final : public TypedEncoder<Array> {
 public:
  ListEncoder(std::unique_ptr<Encoder> values, uint32_t oid)
      : values_(std::move(values)), oid_(oid) {}
  Status bind(const arrow::Array& array) override {
    ARROW_RETURN_NOT_OK(TypedEncoder<Array>::bind(array));
    held_ = this->array_->values();
    return values_->bind(*held_);
  }

 private:
  Status write(int64_t row, std::string& out) override {
    const size_t length_at = out.size();
    put_int32(out, 0);
    const int64_t begin = this->array_->value_offset(row);
    const int64_t count = this->array_->value_length(row);
    put_int32(out, count == 0 ? 0 : 1);
    put_int32(out, 1);  // may hold nulls
    put_int32(out, static_cast<int32_t>(oid_));
    if (count > 0) {
      put_int32(out, static_cast<int32_t>(count));
      put_int32(out, 1);  // lower bound
    }
    for (int64_t i = 0; i < count; ++i) ARROW_RETURN_NOT_OK(values_->append(begin + i, out));
    std::string length;
    put_int32(length, static_cast<int32_t>(out.size() - length_at - 4));
    out.replace(length_at, 4, length);
    return Status::OK();
  }

  std::shared_ptr<arrow::Array> held_;
  std::unique_ptr<Encoder> values_;
  const uint32_t oid_;
};

template <typename Array>
std::unique_ptr<Encoder> integer(uint32_t oid) {
  if (oid != kInt2Oid && oid != kInt4Oid && oid != kInt8Oid && oid != kNumericOid) return nullptr;
  return std::make_unique<IntegerEncoder<Array>>(oid);
}

template <typename Array>
std::unique_ptr<Encoder> real(uint32_t oid) {
  if (oid == kFloat4Oid) return std::make_unique<FloatEncoder<Array, true>>();
  if (oid == kFloat8Oid) return std::make_unique<FloatEncoder<Array, false>>();
  return nullptr;
}

template <typename Array>
std::unique_ptr<Encoder> text(uint32_t oid) {
  for (const uint32_t plain : {kTextOid, kVarcharOid, kBpcharOid, kNameOid, kJsonOid, kXmlOid}) {
    if (oid == plain) return std::make_unique<BytesEncoder<Array>>();
  }
  if (oid == kJsonbOid) return std::make_unique<BytesEncoder<Array>>(true);
  return nullptr;
}

template <typename Array>
std::unique_ptr<Encoder> bytes(uint32_t oid) {
  return oid == kByteaOid ? std::make_unique<BytesEncoder<Array>>() : nullptr;
}

template <typename Array>
std::unique_ptr<Encoder> list(const arrow::DataType& type, uint32_t oid) {
  const uint32_t element = element_of(oid);
  if (element == 0) return nullptr;
  auto values = Encoder::make(*type.field(0)->type(), element);
  if (!values) return nullptr;
  return std::make_unique<ListEncoder<Array>>(std::move(values), element);
}

std::unique_ptr<Encoder> extension(const arrow::DataType& type, uint32_t oid) {
  const auto& extension = static_cast<const arrow::ExtensionType&>(type);
  std::unique_ptr<Encoder> storage;
  if (extension.extension_name() == "arrow.uuid" && oid == kUuidOid) {
    storage = std::make_unique<BytesEncoder<arrow::FixedSizeBinaryArray>>();
  } else {
    storage = Encoder::make(*extension.storage_type(), oid);
  }
  if (!storage) return nullptr;
  return std::make_unique<ExtensionEncoder>(std::move(storage));
}

std::unique_ptr<Encoder> dictionary(const arrow::DataType& type, uint32_t oid) {
  auto values = Encoder::make(*static_cast<const arrow::DictionaryType&>(type).value_type(), oid);
  if (!values) return nullptr;
  return std::make_unique<DictionaryEncoder>(std::move(values));
}

std::unique_ptr<Encoder> temporal(const arrow::DataType& type, uint32_t oid) {
  switch (type.id()) {
    case Type::DATE32:
      if (oid != kDateOid) return nullptr;
      return std::make_unique<DateEncoder<arrow::Date32Array>>();
    case Type::DATE64:
      if (oid != kDateOid) return nullptr;
      return std::make_unique<DateEncoder<arrow::Date64Array>>();
    case Type::TIME32:
      if (oid != kTimeOid) return nullptr;
      return std::make_unique<TimeEncoder<arrow::Time32Array>>(
          static_cast<const arrow::Time32Type&>(type).unit(), 0);
    case Type::TIME64:
      if (oid != kTimeOid) return nullptr;
      return std::make_unique<TimeEncoder<arrow::Time64Array>>(
          static_cast<const arrow::Time64Type&>(type).unit(), 0);
    case Type::TIMESTAMP: {
      const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
      // Without a zone, timestamptz is the session's to read: by text.
      const bool fits =
          oid == kTimestampOid || (oid == kTimestamptzOid && !timestamp.timezone().empty());
      if (!fits) return nullptr;
      return std::make_unique<TimeEncoder<arrow::TimestampArray>>(timestamp.unit(), kEpochMicros);
    }
    case Type::DURATION:
      if (oid != kIntervalOid) return nullptr;
      return std::make_unique<DurationEncoder>(
          static_cast<const arrow::DurationType&>(type).unit());
    default:
      if (oid != kIntervalOid) return nullptr;
      return std::make_unique<IntervalEncoder>();
  }
}

template <typename Array>
std::unique_ptr<Encoder> decimal(const arrow::DataType& type, uint32_t oid) {
  if (oid != kNumericOid) return nullptr;
  return std::make_unique<DecimalEncoder<Array>>(
      static_cast<const arrow::DecimalType&>(type).scale());
}

}  // namespace

std::unique_ptr<Encoder> Encoder::make(const arrow::DataType& type, uint32_t oid) {
  switch (type.id()) {
    case Type::NA:
      return std::make_unique<NullEncoder>();
    case Type::BOOL:
      return oid == kBoolOid ? std::make_unique<BoolEncoder>() : nullptr;
    case Type::INT8:
      return integer<arrow::Int8Array>(oid);
    case Type::INT16:
      return integer<arrow::Int16Array>(oid);
    case Type::INT32:
      return integer<arrow::Int32Array>(oid);
    case Type::INT64:
      return integer<arrow::Int64Array>(oid);
    case Type::UINT8:
      return integer<arrow::UInt8Array>(oid);
    case Type::UINT16:
      return integer<arrow::UInt16Array>(oid);
    case Type::UINT32:
      return integer<arrow::UInt32Array>(oid);
    case Type::UINT64:
      return integer<arrow::UInt64Array>(oid);
    case Type::HALF_FLOAT:
      return real<arrow::HalfFloatArray>(oid);
    case Type::FLOAT:
      return real<arrow::FloatArray>(oid);
    case Type::DOUBLE:
      return oid == kFloat8Oid ? real<arrow::DoubleArray>(oid) : nullptr;
    case Type::STRING:
      return text<arrow::StringArray>(oid);
    case Type::LARGE_STRING:
      return text<arrow::LargeStringArray>(oid);
    case Type::STRING_VIEW:
      return text<arrow::StringViewArray>(oid);
    case Type::BINARY:
      return bytes<arrow::BinaryArray>(oid);
    case Type::LARGE_BINARY:
      return bytes<arrow::LargeBinaryArray>(oid);
    case Type::BINARY_VIEW:
      return bytes<arrow::BinaryViewArray>(oid);
    case Type::FIXED_SIZE_BINARY: {
      const bool uuid = oid == kUuidOid &&
                        static_cast<const arrow::FixedSizeBinaryType&>(type).byte_width() == 16;
      return bytes<arrow::FixedSizeBinaryArray>(uuid ? uint32_t{kByteaOid} : oid);
    }
    case Type::DATE32:
    case Type::DATE64:
    case Type::TIME32:
    case Type::TIME64:
    case Type::TIMESTAMP:
    case Type::DURATION:
    case Type::INTERVAL_MONTH_DAY_NANO:
      return temporal(type, oid);
    case Type::DECIMAL32:
      return decimal<arrow::Decimal32Array>(type, oid);
    case Type::DECIMAL64:
      return decimal<arrow::Decimal64Array>(type, oid);
    case Type::DECIMAL128:
      return decimal<arrow::Decimal128Array>(type, oid);
    case Type::DECIMAL256:
      return decimal<arrow::Decimal256Array>(type, oid);
    case Type::LIST:
      return list<arrow::ListArray>(type, oid);
    case Type::LARGE_LIST:
      return list<arrow::LargeListArray>(type, oid);
    case Type::FIXED_SIZE_LIST:
      return list<arrow::FixedSizeListArray>(type, oid);
    case Type::DICTIONARY:
      return dictionary(type, oid);
    case Type::EXTENSION:
      return extension(type, oid);
    default:
      return nullptr;
  }
}

}  // namespace cenote::postgresql
