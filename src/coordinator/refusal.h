// Why the coordinator did not do what it was asked, as HTTP will say it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cenote/error.h"

namespace cenote::coordinator {

enum class Refusal : uint8_t {
  kBadRequest,            // 400: not understood
  kForbidden,             // 403
  kNotFound,              // 404
  kConflict,              // 409
  kGone,                  // 410: the history does not reach back that far
  kStale,                 // 412: If-Match names an older version
  kInvalid,               // 422: understood, but wrong
  kPreconditionRequired,  // 428: no If-Match
  kBusy,                  // 503: come back later
};

Status refuse(Refusal why, std::string message);
// None for other errors and for success.
std::optional<Refusal> refusal_of(const Status& status);

}  // namespace cenote::coordinator
