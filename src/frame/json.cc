// Keys made unique, and rows.
#include "frame/json.h"

#include <set>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "frame/text.h"

namespace cenote {

std::vector<std::string> json_keys(const arrow::Schema& schema) {
  const std::vector<std::string> names = schema.field_names();
  std::set<std::string> taken;
  const std::set<std::string> original(names.begin(), names.end());
  std::vector<std::string> keys;
  for (const std::string& name : names) {
    std::string unique = name;
    // A made-up name must not take one that another column really has.
    for (int count = 2;
         (unique != name && original.contains(unique)) || !taken.insert(unique).second; ++count) {
      unique = name + "_" + std::to_string(count);
    }
    keys.emplace_back();
    append_json_string(unique, &keys.back());
  }
  return keys;
}

void append_json_row(const arrow::RecordBatch& batch, const std::vector<std::string>& keys,
                     int64_t row, std::string* out) {
  *out += '{';
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i > 0) *out += ',';
    *out += keys[i];
    *out += ':';
    const auto column = static_cast<int>(i);
    append_json(*batch.schema()->field(column), *batch.column(column), row, out);
  }
  *out += '}';
}

}  // namespace cenote
