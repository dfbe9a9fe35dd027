// One connection under one mutex: writes are few (registrations, configuration), each an fsync.
#include "coordinator/sqlite_store.h"

#include <array>
#include <utility>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/mutex.h"

namespace cenote::coordinator {
namespace {

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

Status failed(sqlite3* database, const std::string& file, const std::string& what) {
  const int code = sqlite3_errcode(database);
  ErrorDetail detail;
  detail.kind = ErrorKind::kOperational;
  detail.vendor_code = sqlite3_extended_errcode(database);
  detail.sent = Sent::kMaybe;
  std::string message =
      "the coordinator's store " + file + ": " + what + ": " + sqlite3_errmsg(database);
  if (code == SQLITE_FULL) message += "; free space on its disk";
  return make_error(std::move(detail), std::move(message));
}

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(std::string file) : file_(std::move(file)) {}

  Status open() {
    // The file is made here, so that nobody else ever may read it.
    const int fd = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
      return make_error(ErrorKind::kConfig, "the coordinator's store " + file_ +
                                                " cannot be opened for writing; check that its "
                                                "folder exists and belongs to this user");
    }
    ::close(fd);
    const Lock lock(mutex_);
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(file_.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
    database_.reset(raw);
    if (code != SQLITE_OK) return failed(raw, file_, "cannot be opened");
    sqlite3_extended_result_codes(raw, 1);
    // Exclusive: the first transaction takes the file until it is closed.
    for (const char* setting :
         {"pragma locking_mode = exclusive", "pragma journal_mode = wal",
          "pragma synchronous = full",
          "create table if not exists items (key text primary key, value text not null, version "
          "integer not null) without rowid",
          "create table if not exists counters (starts integer not null, writes integer not "
          "null)"}) {
      if (sqlite3_exec(raw, setting, nullptr, nullptr, nullptr) == SQLITE_OK) continue;
      if (sqlite3_errcode(raw) == SQLITE_BUSY) {
        return make_error(ErrorKind::kConfig,
                          "another coordinator uses " + file_ +
                              "; stop it, or give this one a store of its own (several "
                              "coordinators share Consul or etcd, never a file)");
      }
      return failed(raw, file_, "cannot be prepared");
    }
    return take_term();
  }

  Result<std::optional<Item>> get(const CallContext&, std::string_view key) override {
    const Lock lock(mutex_);
    ARROW_ASSIGN_OR_RAISE(const Statement statement,
                          prepare("select key, value, version from items where key = ?1"));
    bind(statement, 1, key);
    const int code = sqlite3_step(statement.get());
    if (code == SQLITE_DONE) return std::optional<Item>();
    if (code != SQLITE_ROW) return failed(database_.get(), file_, "reading " + std::string(key));
    return std::optional<Item>(item(statement));
  }

  Result<std::vector<Item>> list(const CallContext&, std::string_view prefix) override {
    const Lock lock(mutex_);
    ARROW_ASSIGN_OR_RAISE(const Statement statement,
                          prepare("select key, value, version from items where key >= ?1 and "
                                  "substr(key, 1, length(?1)) = ?1 order by key"));
    bind(statement, 1, prefix);
    std::vector<Item> items;
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(statement.get())) == SQLITE_ROW) items.push_back(item(statement));
    if (code != SQLITE_DONE)
      return failed(database_.get(), file_, "listing " + std::string(prefix));
    return items;
  }

  Result<uint64_t> commit(const CallContext&, const StoreWrite& write) override {
    const Lock lock(mutex_);
    ARROW_RETURN_NOT_OK(run("begin immediate"));
    const Result<uint64_t> written = write_all(write);
    if (written.ok() && *written != 0) {
      const Status committed = run("commit");
      if (committed.ok()) return written;
      (void)run("rollback");
      return committed;
    }
    (void)run("rollback");
    return written;
  }

  uint64_t term() const override { return term_; }

 private:
  Status take_term() CENOTE_REQUIRES(mutex_) {
    ARROW_RETURN_NOT_OK(run("begin immediate"));
    ARROW_RETURN_NOT_OK(
        run("insert into counters select 0, 0 where not exists (select 1 from counters)"));
    // At least the time in seconds: a restored copy, or a state that was lost, must not come back
    // with a term that others have seen pass.
    ARROW_ASSIGN_OR_RAISE(
        term_, count("update counters set starts = max(starts + 1, cast(strftime('%s', 'now') as "
                     "integer)) returning starts"));
    return run("commit");
  }

  Result<uint64_t> write_all(const StoreWrite& write) CENOTE_REQUIRES(mutex_) {
    for (const StoreWrite::Condition& condition : write.conditions) {
      ARROW_ASSIGN_OR_RAISE(const Statement statement,
                            prepare("select version from items where key = ?1"));
      bind(statement, 1, condition.key);
      const int code = sqlite3_step(statement.get());
      if (code != SQLITE_ROW && code != SQLITE_DONE)
        return failed(database_.get(), file_, "comparing");
      const uint64_t found =
          code == SQLITE_ROW ? static_cast<uint64_t>(sqlite3_column_int64(statement.get(), 0)) : 0;
      if (found != condition.version) return uint64_t{0};
    }
    // One number for all commits, as etcd's mod_revision: a key made anew never has an old version.
    ARROW_ASSIGN_OR_RAISE(const uint64_t version,
                          count("update counters set writes = writes + 1 returning writes"));
    for (const auto& [key, value] : write.puts) {
      ARROW_ASSIGN_OR_RAISE(const Statement statement,
                            prepare("insert or replace into items values (?1, ?2, ?3)"));
      bind(statement, 1, key);
      bind(statement, 2, value);
      sqlite3_bind_int64(statement.get(), 3, static_cast<int64_t>(version));
      if (sqlite3_step(statement.get()) != SQLITE_DONE)
        return failed(database_.get(), file_, "writing " + key);
    }
    for (const std::string& key : write.deletes) {
      ARROW_ASSIGN_OR_RAISE(const Statement statement, prepare("delete from items where key = ?1"));
      bind(statement, 1, key);
      if (sqlite3_step(statement.get()) != SQLITE_DONE)
        return failed(database_.get(), file_, "deleting " + key);
    }
    return version;
  }

  // The one number that a statement returns.
  Result<uint64_t> count(const char* sql) CENOTE_REQUIRES(mutex_) {
    ARROW_ASSIGN_OR_RAISE(const Statement statement, prepare(sql));
    if (sqlite3_step(statement.get()) != SQLITE_ROW) return failed(database_.get(), file_, sql);
    const auto value = static_cast<uint64_t>(sqlite3_column_int64(statement.get(), 0));
    if (sqlite3_step(statement.get()) != SQLITE_DONE) return failed(database_.get(), file_, sql);
    return value;
  }

  Result<Statement> prepare(std::string_view sql) CENOTE_REQUIRES(mutex_) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &raw,
                           nullptr) != SQLITE_OK) {
      return failed(database_.get(), file_, "preparing");
    }
    return Statement(raw);
  }
  Status run(const char* sql) CENOTE_REQUIRES(mutex_) {
    if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK)
      return Status::OK();
    return failed(database_.get(), file_, sql);
  }
  static void bind(const Statement& statement, int index, std::string_view text) {
    sqlite3_bind_text64(statement.get(), index, text.data(), text.size(), SQLITE_STATIC,
                        SQLITE_UTF8);
  }
  static Item item(const Statement& statement) {
    const auto text = [&](int column) {
      const auto* bytes =
          reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), column));
      return std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement.get(), column)));
    };
    return {text(0), text(1), static_cast<uint64_t>(sqlite3_column_int64(statement.get(), 2))};
  }

  const std::string file_;
  Mutex mutex_;  // guards the connection; commits wait for the disk under it
  Database database_ CENOTE_GUARDED_BY(mutex_);
  uint64_t term_ = 0;
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const std::filesystem::path& file) {
  auto store = std::make_unique<SqliteStore>(file.string());
  ARROW_RETURN_NOT_OK(store->open());
  return store;
}

}  // namespace cenote::coordinator
