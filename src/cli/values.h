// Values on the command line.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <arrow/type_fwd.h>

#include "cenote/deadline.h"
#include "cenote/error.h"

namespace cenote::cli {

// Read as SQL writes it: a whole number, a number with a point or exponent, 'text' (with '' for a
// quote), null, true, false. Anything else is text as it stands, also numbers with leading zeros,
// which are codes.
std::shared_ptr<arrow::Scalar> scalar_from_literal(std::string_view text);

// The value of an option that bounds a time: 0 is no limit, Duration::max(). kInterface names the
// option.
Result<Duration> limit_from(std::string_view option, std::string_view text);

}  // namespace cenote::cli
