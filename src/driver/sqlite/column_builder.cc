// Making room, and arrays of what was put.
#include "driver/sqlite/column_builder.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/type.h>

namespace cenote::sqlite {
namespace {

constexpr int64_t kLeastData = 1024;
constexpr int64_t kPage = 4096;

Status grow(std::shared_ptr<arrow::ResizableBuffer>* buffer, int64_t size) {
  if (*buffer != nullptr) return (*buffer)->Resize(size, /*shrink_to_fit=*/false);
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<arrow::ResizableBuffer> made,
                        arrow::AllocateResizableBuffer(size));
  *buffer = std::move(made);
  return Status::OK();
}

// What is full of the buffer; room of more than half of it goes back to the allocator.
std::shared_ptr<arrow::Buffer> filled(std::shared_ptr<arrow::ResizableBuffer> buffer,
                                      int64_t size) {
  const int64_t room = buffer->size();
  const bool wasteful = room > kPage && size < room / 2;
  // Where shrinking fails the buffer stays as it was.
  if (wasteful) (void)buffer->Resize(size, /*shrink_to_fit=*/true);
  return arrow::SliceBuffer(std::move(buffer), 0, size);
}

}  // namespace

int64_t ColumnBuilder::values_size(int64_t rows) const {
  switch (layout_) {
    case Layout::kBits:
      return arrow::bit_util::BytesForBits(rows);
    case Layout::k32:
      return rows * 4;
    case Layout::k64:
      return rows * 8;
    case Layout::kBytes:
      return (rows + 1) * 4;
  }
  return 0;
}

Status ColumnBuilder::reserve(int64_t rows) {
  if (rows_ + rows <= room_) return Status::OK();
  const int64_t room = rows_ + rows;
  const int64_t old_validity = validity_buffer_ == nullptr ? 0 : validity_buffer_->size();
  const int64_t validity = arrow::bit_util::BytesForBits(room);
  ARROW_RETURN_NOT_OK(grow(&validity_buffer_, validity));
  ARROW_RETURN_NOT_OK(grow(&values_buffer_, values_size(room)));
  validity_ = validity_buffer_->mutable_data();
  values_ = values_buffer_->mutable_data();
  std::memset(validity_ + old_validity, 0xff, static_cast<size_t>(validity - old_validity));
  if (layout_ == Layout::kBytes && rows_ == 0) {
    store(int32_t{0}, 0);
    if (data_buffer_ == nullptr) ARROW_RETURN_NOT_OK(reserve_data(data_guess_));
  }
  room_ = room;
  return Status::OK();
}

Status ColumnBuilder::reserve_data(int64_t size) {
  if (end_ + size > std::numeric_limits<int32_t>::max()) {
    return make_error(ErrorKind::kData, "a batch holds more than 2 GiB of text in one column");
  }
  data_room_ = std::max({kLeastData, end_ + size, data_room_ * 2});
  ARROW_RETURN_NOT_OK(grow(&data_buffer_, data_room_));
  data_ = data_buffer_->mutable_data();
  return Status::OK();
}

std::shared_ptr<arrow::Array> ColumnBuilder::finish(const std::shared_ptr<arrow::DataType>& type) {
  std::vector<std::shared_ptr<arrow::Buffer>> buffers(layout_ == Layout::kBytes ? 3 : 2);
  if (nulls_ > 0) {
    const int64_t bits = validity_buffer_->size() * 8;
    arrow::bit_util::SetBitsTo(validity_, rows_, bits - rows_, false);
    buffers[0] = filled(std::move(validity_buffer_), arrow::bit_util::BytesForBits(rows_));
  }
  if (values_buffer_ != nullptr) buffers[1] = filled(std::move(values_buffer_), values_size(rows_));
  if (data_buffer_ != nullptr) buffers[2] = filled(std::move(data_buffer_), end_);
  auto data = arrow::ArrayData::Make(type, rows_, std::move(buffers), nulls_);
  // The next batch is like this one: a sixteenth more room saves it from growing.
  const int64_t guess = end_ + end_ / 16;
  *this = ColumnBuilder(layout_);
  data_guess_ = guess;
  return arrow::MakeArray(data);
}

}  // namespace cenote::sqlite
