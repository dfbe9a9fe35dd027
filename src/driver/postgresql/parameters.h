// Parameters as PostgreSQL reads them: the type to declare for each, and its text (or bytes).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <arrow/scalar.h>

#include "cenote/error.h"

namespace cenote::postgresql {

// How the types of parameters are declared, from the most natural to the most lenient. Each is
// tried when the server finds no operator or function for the one before, or cannot infer a type.
enum class Declare : uint8_t {
  kNatural,   // numbers by their Arrow type (int64 is bigint); texts are left to be inferred
  kText,      // like kNatural, but texts and nulls are text: for "could not determine data type"
  kNarrow,    // like kNatural, but integers that fit are integer: date + $1, substr($1, $2)
  kInferred,  // everything is left to the server
};

// The type to declare for the value of a parameter; 0 lets the server infer it.
uint32_t parameter_oid(const arrow::Scalar& value, Declare declare);

struct ParameterValue {
  std::string bytes;
  bool null = false;
  bool binary = false;
};
// kData where the value has no form in PostgreSQL (a zero byte in text, half a microsecond),
// kNotSupported where its type has none.
Result<ParameterValue> parameter_value(const arrow::Scalar& value);

// The text form of one valid value, as COPY's text format and array literals need it too.
Result<std::string> value_text(const arrow::Scalar& value);

}  // namespace cenote::postgresql
