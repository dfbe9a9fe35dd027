// Columns of Arrow that are filled from PostgreSQL's binary values, one value at a time: plain
// buffers without arrow::ArrayBuilder's per-value checks.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/memory_pool.h>

#include "cenote/error.h"

#include "driver/postgresql/types.h"
#include "frame/arena.h"

namespace cenote::postgresql {

// A buffer under construction.
class Memory {
 public:
  uint8_t* data() { return data_; }
  int64_t capacity() const { return capacity_; }
  // Makes room for `bytes` in all; false where there is no memory.
  bool reserve(int64_t bytes);
  // Hands out the first `bytes`, and starts anew.
  std::shared_ptr<arrow::Buffer> take(int64_t bytes, Arena& arena);

 private:
  std::shared_ptr<arrow::ResizableBuffer> buffer_;
  uint8_t* data_ = nullptr;
  int64_t capacity_ = 0;
  arrow::MemoryPool* pool_ = nullptr;
};

// One column under construction. append() and append_null() return null, or what stands against
// the value, in words that follow "the value at row 7"; the column is then of no more use.
class Column {
 public:
  explicit Column(std::shared_ptr<arrow::DataType> type) : type_(std::move(type)) {}
  virtual ~Column() = default;
  Column(const Column&) = delete;
  Column& operator=(const Column&) = delete;

  virtual const char* append(const uint8_t* bytes, size_t size) = 0;
  virtual const char* append_null() = 0;
  // What was appended, as an array; the column is empty again and keeps its size in mind. Null
  // where there is no memory.
  virtual std::shared_ptr<arrow::Array> finish(Arena& arena) = 0;

  int64_t rows() const { return rows_; }

  static std::unique_ptr<Column> make(const ColumnType& type);

 protected:
  // Room for one more row, in units of `width` bytes plus `extra` bytes at the end.
  bool grow(Memory& memory, int64_t width, int64_t extra = 0);
  // Notes a null for the row that follows; false where there is no memory.
  bool mark_null();
  // The data over a validity that this fills in and the buffers that follow it; null where there
  // is no memory.
  std::shared_ptr<arrow::ArrayData> wrap(Arena& arena, std::shared_ptr<arrow::Buffer> first,
                                         std::shared_ptr<arrow::Buffer> second = nullptr);

  const std::shared_ptr<arrow::DataType> type_;
  int64_t rows_ = 0;
  int64_t room_ = 0;  // rows for which the value buffer has room

 private:
  int64_t nulls_ = 0;
  int64_t last_rows_ = 0;    // of the batch before: the next one is likely as long
  int64_t valid_bytes_ = 0;  // of validity_ that are initialised
  Memory validity_;
};

}  // namespace cenote::postgresql
