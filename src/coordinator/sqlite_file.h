// A store's SQLite file and what is done to it. Blocks; sqlite_store.h's thread waits instead of
// its callers.
#pragma once

#include <filesystem>
#include <memory>

#include "coordinator/store.h"

struct sqlite3;

namespace cenote::coordinator {

// Used by one thread at a time. Statements end with kQueryTimeout once their context's deadline has
// passed; an fsync under way does not.
class SqliteFile {
 public:
  // kConfig for a file that cannot be opened, or that another process has.
  static Result<std::unique_ptr<SqliteFile>> open(const std::filesystem::path& file);
  virtual ~SqliteFile() = default;

  // As those of Store.
  virtual Result<std::optional<Item>> get(const CallContext& context, std::string_view key) = 0;
  virtual Result<std::vector<Item>> list(const CallContext& context, std::string_view prefix) = 0;
  virtual Result<uint64_t> commit(const CallContext& context, const StoreWrite& write) = 0;
  virtual Result<std::string> backup(const CallContext& context) = 0;
  virtual uint64_t term() const = 0;
};

}  // namespace cenote::coordinator
