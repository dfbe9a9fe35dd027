// Values bound to a statement's placeholders: scalars of a call, and columns of an ingest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "cenote/error.h"

#include "driver/odbc/session.h"

namespace cenote::odbc {

// How values of one Arrow type are bound.
struct ParameterPlan {
  SQLSMALLINT c_type = SQL_C_WCHAR;
  SQLSMALLINT sql_type = SQL_WVARCHAR;
  SQLULEN size = 1;
  SQLSMALLINT digits = 0;
  size_t width = 0;  // bytes of a value with a fixed width; 0: text or binary, as long as it is
};

// One parameter with the memory of its values: column-wise, one width for all.
class Parameter {
 public:
  // Chooses how values of `type` go to this database; kNotSupported where they cannot.
  static Result<Parameter> make(const Abilities& abilities, const arrow::DataType& type);

  // Takes rows from `begin` on, `count` at the most: fewer where long values would take more than
  // `budget` bytes. Returns how many.
  Result<int64_t> fill(const arrow::Array& values, int64_t begin, int64_t count, int64_t budget);
  // Calls SQLBindParameter; `number` counts from 1.
  SQLRETURN bind(const Library& odbc, const Statement& statement, SQLUSMALLINT number);
  // For a null without a type, what the database says its type is.
  void take_type(SQLSMALLINT sql_type, SQLULEN size, SQLSMALLINT digits);

 private:
  Status put(const arrow::Array& values, int64_t row, std::string& out) const;
  Status put_date(int64_t days, std::string& out) const;
  Status put_time(const arrow::Array& values, int64_t row, std::string& out) const;
  Status put_timestamp(const arrow::Array& values, int64_t row, std::string& out) const;

  ParameterPlan plan_;
  bool sql_server_ = false;
  bool server_types_ = false;
  size_t width_ = 0;
  std::string data_;
  std::vector<SQLLEN> indicators_;
};

}  // namespace cenote::odbc
