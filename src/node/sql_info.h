// What the server tells of itself by CommandGetSqlInfo: every id that ADBC and JDBC read, because
// JDBC fails with a null pointer for one that is missing.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "cenote/error.h"

namespace cenote::node {

// info_name: uint32, value: dense union of six; ADBC casts the second column to it unchecked.
std::shared_ptr<arrow::Schema> sql_info_schema();

// The rows of the ids asked for, in their order; none: all. An id that is unknown has no row.
// JDBC clients (user agent "grpc-java…") hear that there are no transactions: their driver ignores
// setAutoCommit(false), and nobody should trust it.
Result<std::shared_ptr<arrow::Table>> sql_info(const std::vector<uint32_t>& ids,
                                               std::string_view user_agent);

}  // namespace cenote::node
