// What of a column is not in the hot loop.
#include "driver/sqlite/column.h"

namespace cenote::sqlite {

Layout Column::layout_of(Kind kind) {
  switch (kind) {
    case Kind::kBool:
      return Layout::kBits;
    case Kind::kDate:
      return Layout::k32;
    case Kind::kInt:
    case Kind::kDouble:
    case Kind::kTime:
    case Kind::kTimestamp:
      return Layout::k64;
    case Kind::kText:
    case Kind::kBinary:
    case Kind::kUnknown:  // nulls until a value decides
      return Layout::kBytes;
  }
  return Layout::kBytes;
}

Status Column::decide(Kind kind) {
  const int64_t nulls = builder_.rows();
  const int64_t room = builder_.room();
  kind_ = kind;
  restart();
  ARROW_RETURN_NOT_OK(builder_.reserve(room));
  for (int64_t i = 0; i < nulls; ++i) builder_.put_null();
  return Status::OK();
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
