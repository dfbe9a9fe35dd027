// The table of ids (enum SqlInfo of Apache Arrow's FlightSql.proto) and their values.
#include "node/sql_info.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_nested.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/builder_union.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/config.h>

namespace cenote::node {
namespace {

using List = std::vector<std::string>;
struct Conversions {};  // SQL_SUPPORTS_CONVERT: none
// In the order of the union's type codes.
using Value = std::variant<std::string, bool, int64_t, int32_t, List, Conversions>;

struct Info {
  uint32_t id;
  Value value;
};

constexpr int32_t bits(std::initializer_list<int> set) {
  uint32_t mask = 0;
  for (const int bit : set) mask |= 1U << static_cast<unsigned>(bit);
  return static_cast<int32_t>(mask);
}

std::vector<Info> of_the_server(bool transactions) {
  return {
      {0, std::string("cenote")},
      {1, std::string("0.1.0")},
      {2, std::string(ARROW_VERSION_STRING)},
      {3, false},                          // read-only
      {4, true},                           // SQL
      {5, false},                          // Substrait
      {8, int32_t{transactions ? 2 : 0}},  // transactions: 2 with savepoints
      {9, true},                           // cancel
      {10, true},                          // bulk ingestion
      {11, transactions},                  // ingestion inside transactions
      {100, int32_t{0}},                   // statement timeout: none of the server's own
      {101, int32_t{60'000}},              // transaction timeout in ms, while idle
      {500, false},                        // create and drop catalogs
      {501, true},                         // … schemas
      {502, true},                         // … tables
      {503, int32_t{1}},                   // identifiers: case-insensitive
      {504, std::string("\"")},            // quote
      {505, int32_t{1}},
      {506, true},        // all tables are selectable
      {507, int32_t{0}},  // nulls sort high
  };
}

std::vector<Info> of_the_language() {
  return {
      {508, List{}},  // keywords beyond SQL:2003
      {509, List{"ABS", "CEILING", "FLOOR", "MOD", "POWER", "ROUND", "SIGN", "SQRT"}},
      {510, List{"CONCAT", "LENGTH", "LOWER", "LTRIM", "REPLACE", "RTRIM", "SUBSTRING", "UPPER"}},
      {511, List{}},  // system functions
      {512, List{"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"}},
      {513, std::string("\\")},  // escapes % and _ in patterns of metadata
      {514, std::string()},      // extra characters of names
      {515, true},               // column aliases
      {516, true},               // null + null is null
      {517, Conversions{}},
      {518, true},          // correlation names
      {519, false},         // … need not differ from tables'
      {520, true},          // expressions in ORDER BY
      {521, true},          // ORDER BY of what is not selected
      {522, bits({0, 1})},  // GROUP BY
      {523, true},          // LIKE … ESCAPE
      {524, true},          // NOT NULL
      {525, bits({0, 1})},  // grammar: minimum, core
      {526, bits({0})},     // SQL-92: entry
      {527, true},          // constraints
      {528, bits({2})},     // full outer joins
      {529, std::string("schema")},
      {530, std::string("procedure")},
      {531, std::string("pool")},  // a catalog is a pool of this node
      {532, true},
      {533, bits({})},
      {534, bits({})},            // a pool's name never stands in a statement
      {535, bits({})},            // positioned commands
      {536, false},               // SELECT FOR UPDATE
      {537, false},               // stored procedures
      {538, bits({0, 1, 2, 3})},  // subqueries
      {539, true},                // … correlated
      {540, bits({0, 1})},        // UNION, UNION ALL
  };
}

std::vector<Info> of_the_limits(bool transactions) {
  std::vector<Info> infos;
  // Lengths and counts whose limit is the database's: 0 is "no limit, or unknown".
  for (uint32_t id = 541; id <= 562; ++id) {
    if (id != 556) infos.push_back({id, int64_t{0}});
  }
  infos.back() = {562, int64_t{2}};  // default isolation: read committed
  const std::vector<Info> rest = {
      {556, false},  // row size includes BLOBs
      {563, transactions}, {564, transactions ? bits({2, 3, 4}) : bits({0})},  // isolation levels
      {565, false},                                                            // DDL commits
      {566, false},         // DDL is ignored in transactions
      {567, bits({0, 1})},  // result sets: forward only
      {568, bits({0, 1})},  // … read-only
      {569, bits({0, 1})}, {570, bits({})},
      {571, bits({})},     {572, true},  // batch updates
      {573, transactions},               // savepoints
      {574, true},                       // named parameters
      {575, false},                      // locators
      {576, false},                      // function call syntax
  };
  infos.insert(infos.end(), rest.begin(), rest.end());
  return infos;
}

std::vector<Info> all_infos(bool transactions) {
  std::vector<Info> infos = of_the_server(transactions);
  for (std::vector<Info> part : {of_the_language(), of_the_limits(transactions)}) {
    infos.insert(infos.end(), part.begin(), part.end());
  }
  std::sort(infos.begin(), infos.end(), [](const Info& a, const Info& b) { return a.id < b.id; });
  return infos;
}

std::shared_ptr<arrow::DataType> value_type() {
  return arrow::dense_union(
      {arrow::field("string_value", arrow::utf8(), false),
       arrow::field("bool_value", arrow::boolean(), false),
       arrow::field("bigint_value", arrow::int64(), false),
       arrow::field("int32_bitmask", arrow::int32(), false),
       arrow::field("string_list", arrow::list(arrow::utf8()), false),
       arrow::field("int32_to_int32_list_map",
                    arrow::map(arrow::int32(), arrow::list(arrow::int32())), false)});
}

// The six builders below the union.
struct Builders {
  arrow::MemoryPool* pool = arrow::default_memory_pool();
  std::shared_ptr<arrow::StringBuilder> text = std::make_shared<arrow::StringBuilder>(pool);
  std::shared_ptr<arrow::BooleanBuilder> boolean = std::make_shared<arrow::BooleanBuilder>(pool);
  std::shared_ptr<arrow::Int64Builder> wide = std::make_shared<arrow::Int64Builder>(pool);
  std::shared_ptr<arrow::Int32Builder> mask = std::make_shared<arrow::Int32Builder>(pool);
  std::shared_ptr<arrow::StringBuilder> item = std::make_shared<arrow::StringBuilder>(pool);
  std::shared_ptr<arrow::ListBuilder> list = std::make_shared<arrow::ListBuilder>(pool, item);
  std::shared_ptr<arrow::MapBuilder> map = std::make_shared<arrow::MapBuilder>(
      pool, std::make_shared<arrow::Int32Builder>(pool),
      std::make_shared<arrow::ListBuilder>(pool, std::make_shared<arrow::Int32Builder>(pool)));
  arrow::DenseUnionBuilder value{pool, {text, boolean, wide, mask, list, map}, value_type()};

  Status append(const Value& what) {
    ARROW_RETURN_NOT_OK(value.Append(static_cast<int8_t>(what.index())));
    if (const auto* string = std::get_if<std::string>(&what)) return text->Append(*string);
    if (const auto* flag = std::get_if<bool>(&what)) return boolean->Append(*flag);
    if (const auto* number = std::get_if<int64_t>(&what)) return wide->Append(*number);
    if (const auto* set = std::get_if<int32_t>(&what)) return mask->Append(*set);
    if (const auto* words = std::get_if<List>(&what)) {
      ARROW_RETURN_NOT_OK(list->Append());
      return item->AppendValues(*words);
    }
    return map->Append();
  }
};

}  // namespace

std::shared_ptr<arrow::Schema> sql_info_schema() {
  return arrow::schema({arrow::field("info_name", arrow::uint32(), false),
                        arrow::field("value", value_type(), false)});
}

Result<std::shared_ptr<arrow::Table>> sql_info(const std::vector<uint32_t>& ids,
                                               std::string_view user_agent) {
  const std::vector<Info> infos = all_infos(user_agent.find("grpc-java") == std::string_view::npos);
  arrow::UInt32Builder names;
  Builders builders;
  const auto append = [&](const Info& info) -> Status {
    ARROW_RETURN_NOT_OK(names.Append(info.id));
    return builders.append(info.value);
  };
  if (ids.empty()) {
    for (const Info& info : infos) ARROW_RETURN_NOT_OK(append(info));
  }
  for (const uint32_t id : ids) {
    for (const Info& info : infos) {
      if (info.id == id) ARROW_RETURN_NOT_OK(append(info));
    }
  }
  std::shared_ptr<arrow::Array> name;
  std::shared_ptr<arrow::Array> value;
  ARROW_RETURN_NOT_OK(names.Finish(&name));
  ARROW_RETURN_NOT_OK(builders.value.Finish(&value));
  return arrow::Table::Make(sql_info_schema(), {name, value});
}

}  // namespace cenote::node
