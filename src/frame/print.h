// A bounded look at a result: the first and the last rows with names and types, fitted to a width.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

namespace cenote {

struct PrintOptions {
  int64_t rows = 20;  // shown at most: the first half and the last half of them
  size_t width = 0;   // of a line; 0: any
  size_t cell = 60;   // of a cell at most
};

// Collects a stream of any length in the memory of the rows it will show (and of the batches they
// lie in). Used by one thread.
class Preview {
 public:
  Preview(std::shared_ptr<arrow::Schema> schema, PrintOptions options);

  void add(const std::shared_ptr<arrow::RecordBatch>& batch);
  int64_t rows() const { return total_; }

  // The table, ending in a line as "100000 rows × 6 columns, 20 shown". A statement without columns
  // gives an empty text.
  std::string str() const;

 private:
  const std::shared_ptr<arrow::Schema> schema_;
  const PrintOptions options_;
  int64_t total_ = 0;
  int64_t in_head_ = 0;
  int64_t in_tail_ = 0;
  std::vector<std::shared_ptr<arrow::RecordBatch>> head_;
  std::deque<std::shared_ptr<arrow::RecordBatch>> tail_;
};

// Of a whole result.
std::string print_table(const arrow::Table& table, const PrintOptions& options);

// Of texts that are there already: a header and rows of the same length, numbers not told from
// words.
std::string print_texts(const std::vector<std::string>& names,
                        const std::vector<std::vector<std::string>>& rows, size_t width);

}  // namespace cenote
