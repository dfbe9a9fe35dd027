// Where a coordinator keeps what must outlive it: registrations, configuration versions, the
// results of idempotent requests, the audit log. A small transactional map of keys to texts,
// because that is what SQLite, Consul and etcd all offer; nothing here is on any query's path.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/deadline.h"
#include "cenote/error.h"

namespace cenote::coordinator {

struct Item {
  std::string key;
  std::string value;
  uint64_t version = 0;  // grows with every write of the key; 0: absent
};

// All of it or nothing.
struct StoreWrite {
  struct Condition {
    std::string key;
    uint64_t version = 0;  // the key must have this version; 0: must be absent
  };
  std::vector<Condition> conditions;
  std::vector<std::pair<std::string, std::string>> puts;
  std::vector<std::string> deletes;

  bool empty() const { return puts.empty() && deletes.empty(); }
};

// Thread-safe. Every call ends by its deadline (1 s is the callers' habit); a commit that ended in
// an error other than kInterface may have happened (Sent::kMaybe): the caller reads before it
// decides.
class Store {
 public:
  virtual ~Store() = default;

  virtual Result<std::optional<Item>> get(const CallContext& context, std::string_view key) = 0;
  // All keys that begin with `prefix`, sorted.
  virtual Result<std::vector<Item>> list(const CallContext& context, std::string_view prefix) = 0;
  // The version that the written keys now have; 0, and nothing is written, if a condition does not
  // hold. kReadOnly if this process is no longer the one that may write (its term is over): the
  // write has not happened.
  virtual Result<uint64_t> commit(const CallContext& context, const StoreWrite& write) = 0;

  // The whole state as one file's bytes, of one moment. kNotSupported where the store has tools of
  // its own for that.
  virtual Result<std::string> backup(const CallContext& context) {
    (void)context;
    return make_error(
        ErrorKind::kNotSupported,
        "this store is backed up with its own tools (consul snapshot, etcdctl snapshot)");
  }

  // The fencing number of this process's right to write; larger than that of all before.
  virtual uint64_t term() const = 0;
};

// The habit: a store that does not answer within a second is not waited for.
inline CallContext store_context() {
  return {Deadline::in(std::chrono::seconds(1)), {}};
}

}  // namespace cenote::coordinator
