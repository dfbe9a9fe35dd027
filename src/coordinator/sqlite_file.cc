// One connection: writes are few (registrations, configuration), each an fsync.
#include "coordinator/sqlite_file.h"

#include <utility>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

namespace cenote::coordinator {
namespace {

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
struct Free {
  void operator()(unsigned char* bytes) const { sqlite3_free(bytes); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

constexpr int kLookEvery = 1'000;  // instructions of SQLite's machine between looks at the clock

class File final : public SqliteFile {
 public:
  explicit File(std::string file) : file_(std::move(file)) {}

  Status open() {
    // The file is made here, so that nobody else ever may read it.
    const int fd = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
      return make_error(ErrorKind::kConfig, "the coordinator's store " + file_ +
                                                " cannot be opened for writing; check that its "
                                                "folder exists and belongs to this user");
    }
    ::close(fd);
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(file_.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
    database_.reset(raw);
    if (code != SQLITE_OK) return failed("cannot be opened");
    sqlite3_extended_result_codes(raw, 1);
    sqlite3_progress_handler(raw, kLookEvery, is_over, this);
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
      return failed("cannot be prepared");
    }
    return take_term();
  }

  Result<std::optional<Item>> get(const CallContext& context, std::string_view key) override {
    const During during(this, context);
    ARROW_ASSIGN_OR_RAISE(const Statement statement,
                          prepare("select key, value, version from items where key = ?1"));
    bind(statement, 1, key);
    const int code = sqlite3_step(statement.get());
    if (code == SQLITE_DONE) return std::optional<Item>();
    if (code != SQLITE_ROW) return failed("reading " + std::string(key));
    return std::optional<Item>(item(statement));
  }

  Result<std::vector<Item>> list(const CallContext& context, std::string_view prefix) override {
    const During during(this, context);
    ARROW_ASSIGN_OR_RAISE(const Statement statement,
                          prepare("select key, value, version from items where key >= ?1 and "
                                  "substr(key, 1, length(?1)) = ?1 order by key"));
    bind(statement, 1, prefix);
    std::vector<Item> items;
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(statement.get())) == SQLITE_ROW) items.push_back(item(statement));
    if (code != SQLITE_DONE) return failed("listing " + std::string(prefix));
    return items;
  }

  Result<uint64_t> commit(const CallContext& context, const StoreWrite& write) override {
    const During during(this, context);
    ARROW_RETURN_NOT_OK(run("begin immediate"));
    Result<uint64_t> written = write_all(write);
    // Small statements end before SQLite looks at the clock.
    if (written.ok() && is_over(this)) {
      ErrorDetail detail;
      detail.sent = Sent::kNo;
      written = too_late("writing", std::move(detail));
    }
    if (written.ok() && *written != 0) {
      // From here on it may be on the disk, whatever is said of it.
      const Status committed = run("commit", Sent::kMaybe);
      if (committed.ok()) return written;
      roll_back();
      return committed;
    }
    roll_back();
    return written;
  }

  Result<std::string> backup(const CallContext& context) override {
    const During during(this, context);
    sqlite3_int64 size = 0;
    const std::unique_ptr<unsigned char, Free> bytes(
        sqlite3_serialize(database_.get(), "main", &size, 0));
    if (bytes == nullptr) return failed("copying");
    return std::string(reinterpret_cast<const char*>(bytes.get()), static_cast<size_t>(size));
  }

  uint64_t term() const override { return term_; }

 private:
  // Statements within end when the context's time is over.
  class During {
   public:
    During(File* file, const CallContext& context) : file_(file) { file_->context_ = &context; }
    ~During() { file_->context_ = nullptr; }
    During(const During&) = delete;
    During& operator=(const During&) = delete;

   private:
    File* const file_;
  };
  static int is_over(void* self) {
    const CallContext* context = static_cast<File*>(self)->context_;
    return context != nullptr && (context->deadline.passed() || context->stop.stop_requested());
  }

  Status too_late(const std::string& what, ErrorDetail detail) const {
    detail.kind = ErrorKind::kQueryTimeout;
    return make_error(std::move(detail), "the coordinator's store " + file_ + ": " + what +
                                             " took too long and was given up");
  }

  // `sent`: whether the change may have happened.
  Status failed(const std::string& what, Sent sent = Sent::kNo) const {
    const int code = sqlite3_errcode(database_.get());
    ErrorDetail detail;
    detail.kind = ErrorKind::kOperational;
    detail.vendor_code = sqlite3_extended_errcode(database_.get());
    detail.sent = sent;
    if ((code & 0xFF) == SQLITE_INTERRUPT) return too_late(what, std::move(detail));
    return make_error(std::move(detail),
                      "the coordinator's store " + file_ + ": " + what + ": " +
                          sqlite3_errmsg(database_.get()) +
                          ((code & 0xFF) == SQLITE_FULL ? "; free space on its disk" : ""));
  }

  // Takes the time that it takes.
  void roll_back() {
    const CallContext* context = std::exchange(context_, nullptr);
    (void)run("rollback");
    context_ = context;
  }

  Status take_term() {
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

  Result<uint64_t> write_all(const StoreWrite& write) {
    for (const StoreWrite::Condition& condition : write.conditions) {
      ARROW_ASSIGN_OR_RAISE(const Statement statement,
                            prepare("select version from items where key = ?1"));
      bind(statement, 1, condition.key);
      const int code = sqlite3_step(statement.get());
      if (code != SQLITE_ROW && code != SQLITE_DONE) return failed("comparing");
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
      if (sqlite3_step(statement.get()) != SQLITE_DONE) return failed("writing " + key);
    }
    for (const std::string& key : write.deletes) {
      ARROW_ASSIGN_OR_RAISE(const Statement statement, prepare("delete from items where key = ?1"));
      bind(statement, 1, key);
      if (sqlite3_step(statement.get()) != SQLITE_DONE) return failed("deleting " + key);
    }
    return version;
  }

  // The one number that a statement returns.
  Result<uint64_t> count(const char* sql) {
    ARROW_ASSIGN_OR_RAISE(const Statement statement, prepare(sql));
    if (sqlite3_step(statement.get()) != SQLITE_ROW) return failed(sql);
    const auto value = static_cast<uint64_t>(sqlite3_column_int64(statement.get(), 0));
    if (sqlite3_step(statement.get()) != SQLITE_DONE) return failed(sql);
    return value;
  }

  Result<Statement> prepare(std::string_view sql) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &raw,
                           nullptr) != SQLITE_OK) {
      return failed("preparing");
    }
    return Statement(raw);
  }
  Status run(const char* sql, Sent when_failed = Sent::kNo) {
    if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK)
      return Status::OK();
    return failed(sql, when_failed);
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
  Database database_;
  const CallContext* context_ = nullptr;  // of the call under way
  uint64_t term_ = 0;
};

}  // namespace

Result<std::unique_ptr<SqliteFile>> SqliteFile::open(const std::filesystem::path& file) {
  auto opened = std::make_unique<File>(file.string());
  ARROW_RETURN_NOT_OK(opened->open());
  return opened;
}

}  // namespace cenote::coordinator
