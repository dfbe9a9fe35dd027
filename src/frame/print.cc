// Layout of the preview: which rows, how wide each column, which columns are left out.
#include "frame/print.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include "frame/text.h"
#include "frame/utf8.h"

namespace cenote {
namespace {

constexpr std::string_view kGap = " │ ";
constexpr size_t kGapWidth = 3;
constexpr size_t kLeastCell = 8;  // columns are left out before cells get narrower than this

struct Column {
  std::string name;
  std::string type;  // empty: no line of types
  bool right = false;
  std::vector<std::string> cells;
  size_t width = 0;
};

size_t natural_width(const Column& column) {
  size_t width = std::max(display_width(column.name), display_width(column.type));
  for (const std::string& cell : column.cells) width = std::max(width, display_width(cell));
  return width;
}

size_t line_width(const std::vector<Column>& columns, size_t cap) {
  size_t sum = columns.empty() ? 0 : kGapWidth * (columns.size() - 1);
  for (const Column& column : columns) sum += std::min(column.width, cap);
  return sum;
}

// Replaces columns of the middle by one mark, as few as let the rest fit with cells of kLeastCell.
void leave_out(std::vector<Column>* columns, size_t rows, size_t width) {
  if (line_width(*columns, kLeastCell) <= width) return;
  size_t front = 0;
  size_t back = 0;
  for (size_t used = 1; front + back + 1 < columns->size(); front == back ? ++front : ++back) {
    const Column& next = (*columns)[front == back ? front : columns->size() - 1 - back];
    used += kGapWidth + std::min(next.width, kLeastCell);
    if (used > width && front > 0) break;
  }
  Column mark{"…", columns->front().type.empty() ? "" : "…", false, {}, 1};
  mark.cells.assign(rows, "…");
  const auto begin = columns->begin() + static_cast<std::ptrdiff_t>(front);
  columns->erase(begin + 1, columns->end() - static_cast<std::ptrdiff_t>(back));
  (*columns)[front] = std::move(mark);
}

// Narrows the widest columns, all to the same width, until a line fits.
void narrow(std::vector<Column>* columns, size_t width) {
  size_t cap = 0;
  for (const Column& column : *columns) cap = std::max(cap, column.width);
  while (cap > kLeastCell && line_width(*columns, cap) > width) --cap;
  for (Column& column : *columns) column.width = std::min(column.width, cap);
}

void append_cell(const std::string& text, const Column& column, bool last, std::string* out) {
  const std::string cell = fitted(text, column.width);
  const size_t padding = column.width - std::min(column.width, display_width(cell));
  if (column.right) out->append(padding, ' ');
  *out += cell;
  if (!column.right && !last) out->append(padding, ' ');
}

template <typename TextOf>
void append_line(const std::vector<Column>& columns, const TextOf& text_of, std::string* out) {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) *out += kGap;
    append_cell(text_of(columns[i]), columns[i], i + 1 == columns.size(), out);
  }
  *out += '\n';
}

std::string lay_out(std::vector<Column> columns, size_t rows, size_t width) {
  for (Column& column : columns) column.width = natural_width(column);
  if (width > 0) {
    leave_out(&columns, rows, width);
    narrow(&columns, width);
  }
  std::string out;
  append_line(columns, [](const Column& each) { return each.name; }, &out);
  if (!columns.front().type.empty()) {
    append_line(columns, [](const Column& each) { return each.type; }, &out);
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) out += "─┼─";
    for (size_t j = 0; j < columns[i].width; ++j) out += "─";
  }
  out += '\n';
  for (size_t row = 0; row < rows; ++row) {
    append_line(columns, [row](const Column& each) { return each.cells[row]; }, &out);
  }
  return out;
}

std::string cell_text(const arrow::Field& field, const arrow::Array& array, int64_t row,
                      size_t most) {
  if (array.IsNull(row)) return "null";
  std::string text;
  append_text(field, array, row, &text, 4 * most + 4);
  return fitted(printable(text), most);
}

std::string counted(int64_t count, const char* thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

}  // namespace

Preview::Preview(std::shared_ptr<arrow::Schema> schema, PrintOptions options)
    : schema_(std::move(schema)), options_(options) {}

void Preview::add(const std::shared_ptr<arrow::RecordBatch>& batch) {
  const int64_t head = options_.rows - options_.rows / 2;
  const int64_t tail = options_.rows / 2;
  total_ += batch->num_rows();
  int64_t from = 0;
  if (in_head_ < head) {
    from = std::min(head - in_head_, batch->num_rows());
    in_head_ += from;
    head_.push_back(batch->Slice(0, from));
  }
  if (from == batch->num_rows()) return;
  tail_.push_back(batch->Slice(std::max(from, batch->num_rows() - tail)));
  in_tail_ += tail_.back()->num_rows();
  while (in_tail_ - tail_.front()->num_rows() >= tail) {
    in_tail_ -= tail_.front()->num_rows();
    tail_.pop_front();
    if (tail_.empty()) break;
  }
}

std::string Preview::str() const {
  if (schema_->num_fields() == 0) return "";
  const int64_t tail = std::min(options_.rows / 2, in_tail_);
  const bool gap = in_head_ + tail < total_;
  std::vector<Column> columns;
  for (int i = 0; i < schema_->num_fields(); ++i) {
    const arrow::Field& field = *schema_->field(i);
    Column column{fitted(printable(field.name()), options_.cell),
                  fitted(printable(field.type()->ToString()), options_.cell),
                  is_number(*field.type()),
                  {},
                  0};
    const auto take = [&](const arrow::RecordBatch& batch, int64_t from) {
      const auto array = batch.column(i);
      for (int64_t row = from; row < batch.num_rows(); ++row) {
        column.cells.push_back(cell_text(field, *array, row, options_.cell));
      }
    };
    for (const auto& batch : head_) take(*batch, 0);
    if (gap) column.cells.emplace_back("…");
    int64_t skip = in_tail_ - tail;
    for (const auto& batch : tail_) {
      take(*batch, std::min(skip, batch->num_rows()));
      skip -= std::min(skip, batch->num_rows());
    }
    columns.push_back(std::move(column));
  }
  const size_t rows = columns.front().cells.size();
  std::string out = lay_out(std::move(columns), rows, options_.width);
  out += counted(total_, "row") + " × " + counted(schema_->num_fields(), "column");
  if (gap) out += ", " + std::to_string(in_head_ + tail) + " shown";
  return out + "\n";
}

std::string print_table(const arrow::Table& table, const PrintOptions& options) {
  Preview preview(table.schema(), options);
  arrow::TableBatchReader batches(table);
  std::shared_ptr<arrow::RecordBatch> batch;
  while (batches.ReadNext(&batch).ok() && batch != nullptr) preview.add(batch);
  return preview.str();
}

std::string print_texts(const std::vector<std::string>& names,
                        const std::vector<std::vector<std::string>>& rows, size_t width) {
  std::vector<Column> columns;
  for (size_t i = 0; i < names.size(); ++i) {
    Column column{printable(names[i]), "", false, {}, 0};
    for (const auto& row : rows) column.cells.push_back(printable(row[i]));
    columns.push_back(std::move(column));
  }
  return columns.empty() ? "" : lay_out(std::move(columns), rows.size(), width);
}

}  // namespace cenote
