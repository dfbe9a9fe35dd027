// Binds Arrow scalars and cells to a statement's placeholders.
#pragma once

#include <cstdint>

#include <arrow/type_fwd.h>
#include <sqlite3.h>

#include "cenote/error.h"

namespace cenote::sqlite {

// `index` counts from 1. The scalar or array must outlive the step.
Status bind_scalar(sqlite3_stmt* statement, int index, const arrow::Scalar& value);
Status bind_cell(sqlite3_stmt* statement, int index, const arrow::Array& column, int64_t row);

}  // namespace cenote::sqlite
