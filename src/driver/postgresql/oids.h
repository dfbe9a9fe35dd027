// The object ids of PostgreSQL's built-in types (its pg_type.dat); they never change.
#pragma once

#include <cstdint>

namespace cenote::postgresql {

enum : uint32_t {
  kBoolOid = 16,
  kByteaOid = 17,
  kCharOid = 18,  // "char", one byte
  kNameOid = 19,
  kInt8Oid = 20,
  kInt2Oid = 21,
  kInt4Oid = 23,
  kTextOid = 25,
  kOidOid = 26,
  kJsonOid = 114,
  kXmlOid = 142,
  kFloat4Oid = 700,
  kFloat8Oid = 701,
  kUnknownOid = 705,
  kMoneyOid = 790,
  kBpcharOid = 1042,
  kVarcharOid = 1043,
  kDateOid = 1082,
  kTimeOid = 1083,
  kTimestampOid = 1114,
  kTimestamptzOid = 1184,
  kIntervalOid = 1186,
  kTimetzOid = 1266,
  kNumericOid = 1700,
  kRefcursorOid = 1790,
  kVoidOid = 2278,
  kUuidOid = 2950,
  kJsonbOid = 3802,

  kBoolArrayOid = 1000,
  kByteaArrayOid = 1001,
  kInt2ArrayOid = 1005,
  kInt4ArrayOid = 1007,
  kTextArrayOid = 1009,
  kInt8ArrayOid = 1016,
  kFloat4ArrayOid = 1021,
  kFloat8ArrayOid = 1022,
  kTimestampArrayOid = 1115,
  kDateArrayOid = 1182,
  kTimestamptzArrayOid = 1185,
  kNumericArrayOid = 1231,
};

// Days and microseconds from 1970-01-01 to PostgreSQL's epoch, 2000-01-01.
inline constexpr int64_t kEpochDays = 10'957;
inline constexpr int64_t kEpochMicros = kEpochDays * 86'400'000'000;

}  // namespace cenote::postgresql
