// Cells of the text rules, quoted.
#include "frame/csv.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "frame/text.h"

namespace cenote {
namespace {

// Quotes what was appended since `begin`, if it needs quotes.
void quote(size_t begin, std::string* out) {
  const std::string_view cell = std::string_view(*out).substr(begin);
  const bool needed = cell.empty() || cell.find_first_of(",\"\r\n") != std::string_view::npos ||
                      cell.front() == ' ' || cell.back() == ' ';
  if (!needed) return;
  std::string quoted = "\"";
  for (const char c : cell) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  quoted += '"';
  out->replace(begin, std::string::npos, quoted);
}

}  // namespace

void append_csv_header(const arrow::Schema& schema, std::string* out) {
  for (int i = 0; i < schema.num_fields(); ++i) {
    if (i > 0) *out += ',';
    const size_t begin = out->size();
    *out += schema.field(i)->name();
    quote(begin, out);
  }
  *out += '\n';
}

void append_csv(const arrow::RecordBatch& batch, int64_t begin, int64_t end, std::string* out) {
  const arrow::ArrayVector& columns = batch.columns();
  for (int64_t row = begin; row < end; ++row) {
    for (size_t i = 0; i < columns.size(); ++i) {
      if (i > 0) *out += ',';
      if (columns[i]->IsNull(row)) continue;
      const size_t start = out->size();
      append_text(*batch.schema()->field(static_cast<int>(i)), *columns[i], row, out);
      quote(start, out);
    }
    *out += '\n';
  }
}

}  // namespace cenote
