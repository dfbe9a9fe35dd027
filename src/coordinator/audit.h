// The append-only log of every administrative change: who did what, from which state to which, with
// what result. Each entry carries the hash of the one before it, so that a deleted or edited line
// shows.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "base/json.h"
#include "base/sha256.h"
#include "coordinator/store.h"

namespace cenote::coordinator {

// UTC, RFC 3339, milliseconds.
std::string time_text(std::chrono::system_clock::time_point time);
std::string now_text();

struct Actor {
  std::string who;         // the token's name; "anonymous" where no authentication is set up
  std::string request_id;  // of the request, also in the log and in the answer
};

class Audit {
 public:
  // Where the chain ends in the store.
  static Result<Audit> load(const CallContext& context, Store& store);

  // Adds the entry to a write, so that the change and its entry are committed together or not at
  // all. Call advance() with the version that the commit gave.
  void append(StoreWrite* write, const Actor& actor, std::string_view action, Json from, Json to);
  void advance(uint64_t version);
  // Whatever was appended before and given up cannot arrive any more: the end that it compares has
  // moved on. An error: it has arrived meanwhile, or nobody knows; load() again.
  Status seal(const CallContext& context, Store& store);

  // The newest entries first, at most `limit`, those before `before` (0: from the end).
  static Result<Json> read(const CallContext& context, Store& store, uint64_t before, size_t limit);
  // kData names the first entry that was edited or is missing, also at the end.
  static Status verify(const CallContext& context, Store& store);
  // The same for entries alone, oldest first: a missing end does not show.
  static Status verify(std::span<const Item> entries);

 private:
  struct End {
    uint64_t seq = 0;
    std::string hash;
    uint64_t version = 0;  // of the key that holds it
  };
  End end_;
  End next_;
};

}  // namespace cenote::coordinator
