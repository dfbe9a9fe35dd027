// Batches as CSV by RFC 4180, but with a line feed alone at the end of a line.
//
// A null is nothing between the commas, an empty text is `""`; a text is quoted where it needs to
// be (comma, quote, line break, leading or trailing space). Arrow's own CSV writer is not used: it
// writes small decimals with an exponent and refuses binary that is no UTF-8, lists, structs,
// intervals and extension types.
#pragma once

#include <cstdint>
#include <string>

#include <arrow/type_fwd.h>

namespace cenote {

void append_csv_header(const arrow::Schema& schema, std::string* out);
// Rows from `begin` to before `end`.
void append_csv(const arrow::RecordBatch& batch, int64_t begin, int64_t end, std::string* out);

}  // namespace cenote
