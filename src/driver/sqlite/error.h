// From SQLite's result codes to cenote's errors.
#pragma once

#include <string>
#include <string_view>

#include <sqlite3.h>

#include "cenote/error.h"

namespace cenote::sqlite {

// The kind of an (extended) result code.
ErrorKind kind_of(int code);

// A failed Status for `code`, with the handle's own message where it has one. `doing` says what was
// tried: "could not open the database".
Status error_of(int code, sqlite3* handle, const std::string& endpoint, std::string_view doing);

}  // namespace cenote::sqlite
