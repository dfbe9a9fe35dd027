// Who decided last where a group's calls go. Epochs only grow; a process that knows a lower one
// follows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cenote/deadline.h"
#include "cenote/error.h"

namespace cenote::failover {

// The reason of a switch that a person asked for, by which other processes know it for one.
inline constexpr std::string_view kByOperator = "an operator asked for it";

struct Record {
  uint64_t epoch = 0;  // 0: nothing was decided yet, the preferred target is active
  std::string target;
  std::string reason;
  std::string by;  // the process that decided

  bool operator==(const Record&) const = default;
};

// Kept by this process, or by what all processes share. Thread-safe; every call ends by its
// deadline. Errors: what kept the store from answering; then nothing is known of the record.
class EpochStore {
 public:
  virtual ~EpochStore() = default;
  virtual Result<Record> read(const CallContext& context, std::string_view group) = 0;
  // Writes `wanted` if the stored epoch is lower, in one step. Returns what is stored then: by it
  // the caller sees whether it won. (Lower, not one lower: a store that was wiped takes up again.)
  virtual Result<Record> decide(const CallContext& context, std::string_view group,
                                const Record& wanted) = 0;
};

}  // namespace cenote::failover
