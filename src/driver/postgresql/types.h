// PostgreSQL's types as Arrow's: the binary decoders of results, and the text form of parameters.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/array/builder_base.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include "cenote/error.h"

namespace cenote::postgresql {

// The Arrow field of a result column, or kNotSupported where the binary form is not known here.
Result<std::shared_ptr<arrow::Field>> column_field(std::string name, uint32_t oid, int typmod,
                                                   bool is_enum);

// Appends one binary value of type `oid`; kData if it is malformed or beyond Arrow's type.
Status append_value(uint32_t oid, std::string_view value, arrow::ArrayBuilder& builder);

// The text form the server reads. The scalar must be valid.
Result<std::string> value_text(const arrow::Scalar& scalar);
// The type to declare for a parameter; 0 lets the server infer it.
uint32_t parameter_oid(const arrow::DataType& type);
// The type for a column of a table made for `type`.
Result<std::string> column_type(const arrow::DataType& type);

}  // namespace cenote::postgresql
