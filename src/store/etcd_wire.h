// The JSON of etcd's gateway (/v3). Its traps are handled here and nowhere else: a field that is
// misspelt is ignored by the server (a comparison would compare 0 with 0 and hold), 64-bit numbers
// are texts, a value of zero is left out, bytes are base64.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace cenote::store::etcd {

struct KeyValue {
  std::string key;
  std::string value;
  uint64_t create_revision = 0;
  uint64_t mod_revision = 0;
  uint64_t lease = 0;
};

// What must hold for a transaction to write. 0 of either: the key is absent.
struct Compare {
  enum class Target : uint8_t { kModRevision, kCreateRevision, kValue };
  std::string key;
  Target target = Target::kModRevision;
  uint64_t value = 0;
  std::string text{};  // of kValue, which an absent key never has
};

struct Put {
  std::string key;
  std::string value;
  uint64_t lease = 0;  // 0: none
};

struct Transaction {
  std::vector<Compare> compares;
  std::vector<Put> puts;
  std::vector<std::string> deletes;
};

struct Range {
  uint64_t revision = 0;  // of the store
  uint64_t count = 0;     // of all keys in the range, also of those that the request left out
  std::vector<KeyValue> items;
};

struct Committed {
  bool succeeded = false;
  uint64_t revision = 0;
};

// The end of the range that holds all keys with this prefix.
std::string end_of_prefix(std::string prefix);

// Bodies of requests. An empty `end` means the one key.
std::string range_body(std::string_view key, std::string_view end, uint64_t min_mod_revision = 0);
std::string transaction_body(const Transaction& transaction);
std::string grant_body(uint64_t seconds);
std::string lease_body(uint64_t lease);
std::string watch_body(std::string_view key, std::string_view end, uint64_t from_revision);
std::string login_body(std::string_view name, std::string_view password);

Result<Range> range_from(const Json& answer);
Result<Committed> committed_from(const Json& answer);
Result<uint64_t> lease_from(const Json& answer);
// Seconds that a lease has left; 0: it is no more, which etcd says with status 200.
Result<uint64_t> kept_alive_from(const Json& answer);
Result<std::string> token_from(const Json& answer);

// One message of a watch.
struct WatchMessage {
  bool events = false;
  std::string error;  // why the watch is over; empty: it goes on
};
Result<WatchMessage> watch_message_from(std::string_view text);

// Whole JSON objects out of pieces of a body. A piece is no message, and the last object has no
// line end.
class ObjectSplitter {
 public:
  explicit ObjectSplitter(size_t limit = size_t{16} << 20) : limit_(limit) {}
  // The objects that the piece completes. False once one grew beyond the limit.
  bool feed(std::string_view piece, std::vector<std::string>* objects);

 private:
  const size_t limit_;
  std::string object_;
  int depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
};

}  // namespace cenote::store::etcd
