// What a result column's type is to Arrow: a table of the built-in types, and what the server's
// catalogue says of all others. docs/types-postgresql.md is the same for users.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type.h>

#include "cenote/error.h"

namespace cenote::postgresql {

// How the binary form of a value is read.
enum class Decode : uint8_t {
  kBool,
  kInt16,
  kInt32,
  kInt64,
  kUint32,
  kFloat,
  kDouble,
  kText,
  kJsonb,  // a version byte before the text
  kByte,   // "char"
  kBinary,
  kDate,
  kTime,
  kTimetz,  // as text
  kTimestamp,
  kInterval,
  kUuid,
  kDecimal128,
  kDecimal256,
  kNumericText,
  kNumericRaw,  // kept as the wire's bytes until all values were seen
  kList,
};

struct ColumnType {
  Decode decode = Decode::kText;
  std::shared_ptr<arrow::DataType> arrow;
  std::shared_ptr<const ColumnType> element;  // of a list
  // The expression by which the statement must cast the column ({} in it), since the binary form of
  // its type is not known here; or empty.
  std::string cast;
  std::string name;  // the database's, for the field's metadata; empty for the obvious ones
};

// What pg_type tells of one type that is not built in.
struct CatalogRow {
  std::string name;
  char kind = 'b';       // typtype: b(ase), c(omposite), d(omain), e(num), p(seudo), r(ange)
  uint32_t element = 0;  // of a true array
  uint32_t base = 0;     // of a domain
};

// The types that one session has met. Ids differ between servers, so each session has its own.
class TypeCatalog {
 public:
  // False where `oid` is neither built in nor known: ask the server with kQuery.
  bool knows(uint32_t oid) const;
  void add(uint32_t oid, CatalogRow row) { rows_[oid] = std::move(row); }
  void clear() { rows_.clear(); }

  // The type of a result column. A numeric without precision is kept raw if the result is `whole`,
  // and text otherwise.
  ColumnType column(uint32_t oid, int typmod, bool whole) const;

  // $1: an array of ids. Rows of oid, name, typtype, element, base; also of what those refer to.
  static constexpr std::string_view kQuery =
      "WITH RECURSIVE met(id) AS (SELECT unnest($1::oid[]) UNION SELECT CASE WHEN t.typtype = 'd' "
      "THEN t.typbasetype ELSE t.typelem END FROM met JOIN pg_catalog.pg_type t ON t.oid = met.id "
      "WHERE t.typtype = 'd' OR t.typcategory = 'A') "
      "SELECT t.oid::text, pg_catalog.format_type(t.oid, NULL), t.typtype::text, CASE WHEN "
      "t.typcategory = 'A' AND t.typlen = -1 THEN t.typelem ELSE 0 END::text, t.typbasetype::text "
      "FROM met JOIN pg_catalog.pg_type t ON t.oid = met.id";

 private:
  std::map<uint32_t, CatalogRow> rows_;
};

// The field of a column, with the database's name of the type in "cenote.database_type".
std::shared_ptr<arrow::Field> column_field(std::string name, const ColumnType& type);

// The element type of a built-in array type; 0 for all others.
uint32_t element_of(uint32_t array_oid);

// precision and scale of numeric(p,s) as pg_attribute has them; false for a plain numeric.
struct NumericModifier {
  int precision = 0;
  int scale = 0;
};
bool numeric_modifier(int typmod, NumericModifier& modifier);
// A decimal type for this many digits, and how to read it: decimal128, decimal256, or text.
ColumnType decimal_column(int precision, int scale);

// The type of a column that is made for `type`; kNotSupported where there is none.
Result<std::string> column_type(const arrow::DataType& type);

}  // namespace cenote::postgresql
