// Why the coordinator did not do what it was asked, as HTTP will say it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cenote/error.h"

namespace cenote::coordinator {

enum class Refusal : uint8_t {
  kNotFound,              // 404
  kConflict,              // 409
  kStale,                 // 412: If-Match names an older version
  kPreconditionRequired,  // 428: no If-Match
  kInvalid,               // 422: understood, but wrong
};

Status refuse(Refusal why, std::string message);
// None for other errors and for success.
std::optional<Refusal> refusal_of(const Status& status);

}  // namespace cenote::coordinator
