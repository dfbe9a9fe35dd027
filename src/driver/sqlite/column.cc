// What of a column is not in the hot loop.
#include "driver/sqlite/column.h"

#include <arrow/type.h>

namespace cenote::sqlite {

void Column::make_builder() {
  const std::shared_ptr<arrow::DataType> type = arrow_type(kind_);
  switch (kind_) {
    case Kind::kBool:
      builder_ = std::make_unique<arrow::BooleanBuilder>();
      return;
    case Kind::kInt:
      builder_ = std::make_unique<arrow::Int64Builder>();
      return;
    case Kind::kDouble:
      builder_ = std::make_unique<arrow::DoubleBuilder>();
      return;
    case Kind::kDate:
      builder_ = std::make_unique<arrow::Date32Builder>();
      return;
    case Kind::kTime:
      builder_ = std::make_unique<arrow::Time64Builder>(type, arrow::default_memory_pool());
      return;
    case Kind::kTimestamp:
      builder_ = std::make_unique<arrow::TimestampBuilder>(type, arrow::default_memory_pool());
      return;
    case Kind::kBinary:
      builder_ = std::make_unique<arrow::BinaryBuilder>();
      return;
    case Kind::kText:
    case Kind::kUnknown:
      builder_ = std::make_unique<arrow::StringBuilder>();
      return;
  }
}

Status Column::decide(Kind kind) {
  const int64_t nulls = builder_->length();
  const int64_t room = builder_->capacity();
  kind_ = kind;
  make_builder();
  ARROW_RETURN_NOT_OK(builder_->Reserve(room));
  return builder_->AppendNulls(nulls);
}

std::optional<int64_t> Column::temporal(std::string_view text) const {
  switch (kind_) {
    case Kind::kDate:
      return parse_date(text);
    case Kind::kTime:
      return parse_time(text);
    case Kind::kTimestamp:
      return parse_timestamp(text);
    default:
      return std::nullopt;
  }
}

}  // namespace cenote::sqlite
