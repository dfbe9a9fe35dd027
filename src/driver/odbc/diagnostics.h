// What a failed ODBC call left behind: its diagnostic records.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/error.h"

#include "driver/odbc/library.h"

namespace cenote::odbc {

struct Diagnostic {
  std::string sqlstate;
  int32_t native = 0;   // the database's own number
  std::string message;  // without the bracketed names of the layers it came through
};

// All records of a handle, the most important first.
std::vector<Diagnostic> read_diagnostics(const Library& odbc, SQLSMALLINT type, SQLHANDLE handle);

// The messages in one text, each once.
std::string joined(const std::vector<Diagnostic>& records);

// What a SQLSTATE of the ODBC standard means.
ErrorKind kind_of_sqlstate(std::string_view sqlstate);

// "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Text" → "Text".
std::string_view without_origin(std::string_view message);

}  // namespace cenote::odbc
