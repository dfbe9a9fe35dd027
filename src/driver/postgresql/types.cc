// The table of types.
#include "driver/postgresql/types.h"

#include <algorithm>
#include <array>
#include <utility>

#include <arrow/extension/uuid.h>
#include <arrow/extension_type.h>
#include <arrow/util/key_value_metadata.h>

#include "driver/postgresql/oids.h"

namespace cenote::postgresql {
namespace {

using TypeMaker = std::shared_ptr<arrow::DataType> (*)();

struct Builtin {
  uint32_t oid;
  uint32_t array_oid;
  Decode decode;
  TypeMaker arrow;
  const char* name;  // for the metadata; null where the Arrow type says it all
};

const std::shared_ptr<arrow::DataType>& micros() {
  static const auto type = arrow::timestamp(arrow::TimeUnit::MICRO);
  return type;
}

constexpr Builtin kBuiltins[] = {
    {kBoolOid, 1000, Decode::kBool, [] { return arrow::boolean(); }, nullptr},
    {kByteaOid, 1001, Decode::kBinary, [] { return arrow::binary(); }, nullptr},
    {kCharOid, 1002, Decode::kByte, [] { return arrow::utf8(); }, "\"char\""},
    {kNameOid, 1003, Decode::kText, [] { return arrow::utf8(); }, nullptr},
    {kInt2Oid, 1005, Decode::kInt16, [] { return arrow::int16(); }, nullptr},
    {kInt4Oid, 1007, Decode::kInt32, [] { return arrow::int32(); }, nullptr},
    {kTextOid, 1009, Decode::kText, [] { return arrow::utf8(); }, nullptr},
    {kBpcharOid, 1014, Decode::kText, [] { return arrow::utf8(); }, nullptr},
    {kVarcharOid, 1015, Decode::kText, [] { return arrow::utf8(); }, nullptr},
    {kInt8Oid, 1016, Decode::kInt64, [] { return arrow::int64(); }, nullptr},
    {kFloat4Oid, 1021, Decode::kFloat, [] { return arrow::float32(); }, nullptr},
    {kFloat8Oid, 1022, Decode::kDouble, [] { return arrow::float64(); }, nullptr},
    {kOidOid, 1028, Decode::kUint32, [] { return arrow::uint32(); }, "oid"},
    {kTimestampOid, 1115, Decode::kTimestamp, [] { return micros(); }, nullptr},
    {kDateOid, 1182, Decode::kDate, [] { return arrow::date32(); }, nullptr},
    {kTimeOid, 1183, Decode::kTime, [] { return arrow::time64(arrow::TimeUnit::MICRO); }, nullptr},
    {kTimestamptzOid, 1185, Decode::kTimestamp,
     [] { return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"); }, nullptr},
    {kIntervalOid, 1187, Decode::kInterval, [] { return arrow::month_day_nano_interval(); },
     nullptr},
    {kTimetzOid, 1270, Decode::kTimetz, [] { return arrow::utf8(); }, "time with time zone"},
    {kUuidOid, 2951, Decode::kUuid, [] { return arrow::extension::uuid(); }, "uuid"},
    {kJsonOid, 199, Decode::kText, [] { return arrow::utf8(); }, "json"},
    {kJsonbOid, 3807, Decode::kJsonb, [] { return arrow::utf8(); }, "jsonb"},
    {kXmlOid, 143, Decode::kText, [] { return arrow::utf8(); }, "xml"},
    {kRefcursorOid, 2201, Decode::kText, [] { return arrow::utf8(); }, nullptr},
    {kUnknownOid, 0, Decode::kText, [] { return arrow::utf8(); }, nullptr},
    {kVoidOid, 0, Decode::kText, [] { return arrow::utf8(); }, "void"},
};

// Money's digits after the point depend on the server's locale, its text on the session's: as a
// numeric of four decimals no locale loses anything.
constexpr int kMoneyPrecision = 23;
constexpr int kMoneyScale = 4;
constexpr const char* kMoneyCast = "CAST({} AS numeric(23,4))";
constexpr const char* kMoneyArrayCast = "CAST({} AS numeric(23,4)[])";
constexpr uint32_t kMoneyArrayOid = 791;

// The text that psql shows. A cast to text may differ (inet's appends the mask), and format() makes
// an empty text of a null.
constexpr const char* kTextCast =
    "CASE WHEN {} IS NOT DISTINCT FROM NULL THEN NULL ELSE pg_catalog.format('%s', {}) END";
constexpr const char* kTextArrayCast = "CAST(CAST({} AS text) AS text[])";

const Builtin* builtin(uint32_t oid) {
  for (const Builtin& row : kBuiltins) {
    if (row.oid == oid) return &row;
  }
  return nullptr;
}

const Builtin* builtin_array(uint32_t oid) {
  for (const Builtin& row : kBuiltins) {
    if (row.array_oid == oid && oid != 0) return &row;
  }
  return nullptr;
}

bool is_numeric(uint32_t oid) {
  return oid == kNumericOid || oid == kNumericArrayOid || oid == kMoneyOid || oid == kMoneyArrayOid;
}

ColumnType list_of(ColumnType element) {
  ColumnType type;
  type.decode = Decode::kList;
  type.arrow = arrow::list(arrow::field("item", element.arrow, true));
  if (!element.name.empty()) type.name = element.name + "[]";
  if (!element.cast.empty()) {
    type.cast = element.cast == kMoneyCast ? kMoneyArrayCast : kTextArrayCast;
  }
  element.cast.clear();
  type.element = std::make_shared<const ColumnType>(std::move(element));
  return type;
}

ColumnType text_of(std::string name) {
  ColumnType type;
  type.arrow = arrow::utf8();
  type.name = std::move(name);
  return type;
}

ColumnType numeric_column(int typmod, bool whole) {
  NumericModifier modifier;
  ColumnType type;
  if (numeric_modifier(typmod, modifier)) {
    type = decimal_column(modifier.precision, modifier.scale);
  } else {
    type.decode = whole ? Decode::kNumericRaw : Decode::kNumericText;
    type.arrow = whole ? arrow::binary() : arrow::utf8();
  }
  type.name = "numeric";
  return type;
}

ColumnType money_column() {
  ColumnType type = decimal_column(kMoneyPrecision, kMoneyScale);
  type.name = "money";
  type.cast = kMoneyCast;
  return type;
}

}  // namespace

uint32_t element_of(uint32_t array_oid) {
  if (array_oid == kNumericArrayOid) return kNumericOid;
  const Builtin* row = builtin_array(array_oid);
  return row == nullptr ? 0 : row->oid;
}

bool numeric_modifier(int typmod, NumericModifier& modifier) {
  if (typmod < 4) return false;
  modifier.precision = ((typmod - 4) >> 16) & 0xffff;
  modifier.scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
  return true;
}

ColumnType decimal_column(int precision, int scale) {
  // numeric(3,-2) and numeric(3,5) are legal in PostgreSQL; few readers of Arrow expect such.
  if (scale < 0) {
    precision -= scale;
    scale = 0;
  }
  precision = std::max({precision, scale, 1});
  ColumnType type;
  if (precision <= 38) {
    type.decode = Decode::kDecimal128;
    type.arrow = arrow::decimal128(precision, scale);
  } else if (precision <= 76) {
    type.decode = Decode::kDecimal256;
    type.arrow = arrow::decimal256(precision, scale);
  } else {
    type.decode = Decode::kNumericText;
    type.arrow = arrow::utf8();
  }
  type.name = "numeric";
  return type;
}

bool TypeCatalog::knows(uint32_t oid) const {
  return is_numeric(oid) || builtin(oid) != nullptr || builtin_array(oid) != nullptr ||
         rows_.contains(oid);
}

ColumnType TypeCatalog::column(uint32_t oid, int typmod, bool whole) const {
  if (const Builtin* row = builtin(oid)) {
    ColumnType type;
    type.decode = row->decode;
    type.arrow = row->arrow();
    if (row->name != nullptr) type.name = row->name;
    return type;
  }
  if (const Builtin* row = builtin_array(oid)) return list_of(column(row->oid, typmod, false));
  if (oid == kNumericOid) return numeric_column(typmod, whole);
  if (oid == kNumericArrayOid) return list_of(numeric_column(typmod, false));
  if (oid == kMoneyOid) return money_column();
  if (oid == kMoneyArrayOid) return list_of(money_column());

  const auto found = rows_.find(oid);
  ColumnType type = text_of(found == rows_.end() ? std::to_string(oid) : found->second.name);
  if (found == rows_.end()) {
    type.cast = kTextCast;
    return type;
  }
  const CatalogRow& row = found->second;
  if (row.kind == 'e') return type;  // an enum's binary form is its label
  if (row.kind == 'd' && row.base != 0) {
    ColumnType base = column(row.base, -1, false);
    base.name = row.name;
    return base;
  }
  if (row.element != 0) {
    ColumnType list = list_of(column(row.element, -1, false));
    list.name = row.name;
    return list;
  }
  type.cast = kTextCast;
  return type;
}

std::shared_ptr<arrow::Field> column_field(std::string name, const ColumnType& type) {
  if (type.name.empty()) return arrow::field(std::move(name), type.arrow, true);
  return arrow::field(std::move(name), type.arrow, true,
                      arrow::key_value_metadata({"cenote.database_type"}, {type.name}));
}

Result<std::string> column_type(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return "boolean";
    case arrow::Type::INT8:
    case arrow::Type::UINT8:
    case arrow::Type::INT16:
      return "smallint";
    case arrow::Type::UINT16:
    case arrow::Type::INT32:
      return "integer";
    case arrow::Type::UINT32:
    case arrow::Type::INT64:
      return "bigint";
    case arrow::Type::UINT64:
      return "numeric(20,0)";
    case arrow::Type::HALF_FLOAT:
    case arrow::Type::FLOAT:
      return "real";
    case arrow::Type::DOUBLE:
      return "double precision";
    case arrow::Type::NA:
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
      return "text";
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::FIXED_SIZE_BINARY:
      return "bytea";
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
      return "date";
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return "time";
    case arrow::Type::TIMESTAMP:
      return static_cast<const arrow::TimestampType&>(type).timezone().empty() ? "timestamp"
                                                                               : "timestamptz";
    case arrow::Type::DURATION:
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
      return "interval";
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(type);
      const int scale = std::max(decimal.scale(), 0);
      const int precision = decimal.precision() - std::min(decimal.scale(), 0);
      return "numeric(" + std::to_string(precision) + "," + std::to_string(scale) + ")";
    }
    case arrow::Type::LIST:
    case arrow::Type::LARGE_LIST:
    case arrow::Type::FIXED_SIZE_LIST: {
      ARROW_ASSIGN_OR_RAISE(const std::string element, column_type(*type.field(0)->type()));
      if (!element.ends_with(']')) return element + "[]";
      return make_error(ErrorKind::kNotSupported,
                        "lists of lists cannot be loaded into PostgreSQL, whose arrays must be "
                        "rectangular: load them as JSON text");
    }
    case arrow::Type::DICTIONARY:
      return column_type(*static_cast<const arrow::DictionaryType&>(type).value_type());
    case arrow::Type::EXTENSION: {
      const auto& extension = static_cast<const arrow::ExtensionType&>(type);
      if (extension.extension_name() == "arrow.uuid") return "uuid";
      if (extension.extension_name() == "arrow.json") return "jsonb";
      return column_type(*extension.storage_type());
    }
    default:
      return make_error(ErrorKind::kNotSupported,
                        "PostgreSQL has no column type for Arrow's " + type.ToString() +
                            ": flatten the column, or load it as JSON text");
  }
}

}  // namespace cenote::postgresql
