// ODBC's buffers of any content: what a driver may leave there becomes a valid Arrow array or an
// error, and nothing is read beyond a buffer.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>

#include <arrow/array/array_base.h>

#include "driver/odbc/column.h"
#include "fuzz/check.h"

namespace {

using cenote::odbc::Column;
using cenote::odbc::ColumnInfo;

constexpr size_t kRows = 3;
constexpr std::array<SQLSMALLINT, 19> kTypes = {SQL_BIT,
                                                SQL_TINYINT,
                                                SQL_SMALLINT,
                                                SQL_INTEGER,
                                                SQL_BIGINT,
                                                SQL_REAL,
                                                SQL_DOUBLE,
                                                SQL_DECIMAL,
                                                SQL_NUMERIC,
                                                SQL_VARCHAR,
                                                SQL_WVARCHAR,
                                                SQL_VARBINARY,
                                                SQL_GUID,
                                                SQL_TYPE_DATE,
                                                SQL_TYPE_TIME,
                                                SQL_TYPE_TIMESTAMP,
                                                cenote::odbc::kServerTime2,
                                                cenote::odbc::kServerTimestampOffset,
                                                SQL_LONGVARCHAR};

// Ticks in the unit that the values ask for: no value is lost there.
void check_ticks(const cenote::odbc::ColumnPlan& plan, const arrow::Array& ticks) {
  cenote::odbc::TickFit fit;
  fit.see(ticks);
  const auto converted = cenote::odbc::convert_ticks(plan, ticks, fit.unit());
  cenote::check(converted.ok() && (*converted)->ValidateFull().ok(), "the unit holds all ticks");
  cenote::check((*converted)->null_count() == ticks.null_count(), "no value became null");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kHead = 5;
  if (size < kHead) return 0;
  ColumnInfo info;
  info.name = "c";
  info.type = kTypes.at(data[0] % kTypes.size());
  info.size = data[1] % 80;
  info.digits = static_cast<SQLSMALLINT>(data[2] % 10);
  if (info.type == SQL_DECIMAL || info.type == SQL_NUMERIC) {
    info.digits = std::min(info.digits, static_cast<SQLSMALLINT>(info.size));
  }
  info.is_unsigned = (data[3] & 1) != 0;
  cenote::odbc::Abilities abilities;
  abilities.numeric_struct = (data[3] & 2) != 0;
  abilities.server_types = (data[3] & 4) != 0;
  const uint8_t lengths = data[4];
  data += kHead;
  size -= kHead;

  const auto plan = cenote::odbc::plan_column(info, abilities, 8000);
  Column column(plan, kRows);
  if (plan.is_long) {
    const std::string bytes(reinterpret_cast<const char*>(data), size);  // aligned, as a driver's
    cenote::check(column.append_long(bytes, false).ok() && column.append_long({}, true).ok(),
                  "long values are taken");
  } else {
    const size_t room = plan.width * kRows;
    std::memcpy(column.buffer(), data, std::min(size, room));
    for (size_t row = 0; row < kRows; ++row) {
      const int choice = (lengths >> (2 * row)) & 3;
      const SQLLEN any = size > row ? static_cast<int8_t>(data[size - 1 - row]) : 0;
      column.indicators()[row] = choice == 0   ? SQLLEN{SQL_NULL_DATA}
                                 : choice == 1 ? static_cast<SQLLEN>(plan.width)
                                 : choice == 2 ? any
                                               : static_cast<SQLLEN>(size % 40);
    }
    int64_t bytes = 0;
    if (!column.append(kRows, bytes).ok()) return 0;
  }
  const auto array = column.finish();
  cenote::check(array.ok() && (*array)->ValidateFull().ok(), "the array is valid");
  if (plan.is_ticks) check_ticks(plan, **array);
  return 0;
}
