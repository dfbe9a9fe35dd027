// The growing buffers of one column of a batch. Arrow's own builders check and count at every cell;
// here a value that is there costs one store, since room is made and marked valid beforehand.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include <arrow/array/array_base.h>
#include <arrow/buffer.h>
#include <arrow/util/bit_util.h>

#include "cenote/error.h"

namespace cenote::sqlite {

// Which buffers a column has.
enum class Layout : uint8_t { kBits, k32, k64, kBytes };

class ColumnBuilder {
 public:
  explicit ColumnBuilder(Layout layout) : layout_(layout) {}

  int64_t rows() const { return rows_; }
  int64_t room() const { return room_; }
  // Room for `rows` more cells. Every put below needs it.
  Status reserve(int64_t rows);

  void put_bit(bool value) { arrow::bit_util::SetBitTo(values_, rows_++, value); }
  void put(int32_t value) { store(value, rows_++); }
  void put(int64_t value) { store(value, rows_++); }
  void put(double value) { store(value, rows_++); }
  Status put(std::string_view value) {
    const auto size = static_cast<int64_t>(value.size());
    if (end_ + size > data_room_) ARROW_RETURN_NOT_OK(reserve_data(size));
    // An empty value, or no data yet, may be a null pointer, which memcpy must not get.
    if (size > 0) std::memcpy(data_ + end_, value.data(), value.size());
    end_ += size;
    store(static_cast<int32_t>(end_), ++rows_);
    return Status::OK();
  }
  void put_null() {
    arrow::bit_util::ClearBit(validity_, rows_);
    ++nulls_;
    switch (layout_) {
      case Layout::kBits:
        return put_bit(false);
      case Layout::k32:
        return put(int32_t{0});
      case Layout::k64:
        return put(int64_t{0});
      case Layout::kBytes:
        return store(static_cast<int32_t>(end_), ++rows_);
    }
  }

  // What was put, as an array of a type that has this layout; the builder is empty then.
  std::shared_ptr<arrow::Array> finish(const std::shared_ptr<arrow::DataType>& type);

 private:
  template <typename T>
  void store(T value, int64_t at) {
    std::memcpy(values_ + at * static_cast<int64_t>(sizeof value), &value, sizeof value);
  }
  int64_t values_size(int64_t rows) const;
  Status reserve_data(int64_t size);

  Layout layout_;
  int64_t rows_ = 0;
  int64_t room_ = 0;
  int64_t nulls_ = 0;
  uint8_t* values_ = nullptr;    // into the buffers below; of kBytes these are the offsets
  uint8_t* validity_ = nullptr;  // all ones beyond rows_
  uint8_t* data_ = nullptr;
  int64_t end_ = 0;
  int64_t data_room_ = 0;
  int64_t data_guess_ = 0;  // what the batch before took
  std::shared_ptr<arrow::ResizableBuffer> values_buffer_;
  std::shared_ptr<arrow::ResizableBuffer> validity_buffer_;
  std::shared_ptr<arrow::ResizableBuffer> data_buffer_;
};

}  // namespace cenote::sqlite
