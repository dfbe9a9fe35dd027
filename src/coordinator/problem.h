// Errors as HTTP tells them: one shape (RFC 9457, application/problem+json) that says what to do.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cenote/error.h"

#include "base/json.h"

namespace cenote::coordinator {

struct Problem {
  int status = 500;
  std::string detail;   // for a person: what is wrong, what to do
  std::string pointer;  // JSON pointer into the body; empty: the request as a whole
};

// A refusal keeps its status; a wrong body is 422 with its place; a store that does not answer is
// 503.
Problem problem_of(const Status& status);
std::string_view title_of(int status);
Json to_json(const Problem& problem);

}  // namespace cenote::coordinator
