// Rows as JSON objects, one to a line; values by the rules of frame/text.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

namespace cenote {

// The keys of the objects: the columns' names as JSON strings. An object with one key twice would
// lose a value in most readers, so the second "id" is called "id_2".
std::vector<std::string> json_keys(const arrow::Schema& schema);

// Row `row` as {"key":value,…}.
void append_json_row(const arrow::RecordBatch& batch, const std::vector<std::string>& keys,
                     int64_t row, std::string* out);

}  // namespace cenote
