// Opening, compiling and stepping with a deadline. sqlite3_interrupt alone could come a moment
// before the first step, where SQLite forgets it; the progress handler looks at our own flag, which
// stays.
#include "driver/sqlite/session.h"

#include <algorithm>
#include <array>
#include <functional>
#include <thread>
#include <utility>

#include <unistd.h>

#include "base/log.h"
#include "driver/sqlite/error.h"
#include "driver/sqlite/fork.h"

namespace cenote::sqlite {
namespace {

constexpr int kProgressOps = 4096;  // virtual machine steps between two looks at the flag
constexpr size_t kMostKept = 32;    // compiled statements of a session
constexpr size_t kLongestKept = 8192;
constexpr Duration kFileInterval = std::chrono::seconds(1);

// Whether nothing but `;` and comments is left.
bool is_blank(std::string_view sql) {
  SqlScanner scanner(sql, kDialect);
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (scanner.text() != ";") return false;
  }
  return true;
}

// Whether a compiled statement may run a second time. Not so a PRAGMA, which may have its effect
// while it is compiled (https://sqlite.org/pragma.html).
bool may_run_again(std::string_view sql) {
  if (sql.size() > kLongestKept) return false;
  constexpr std::array<std::string_view, 12> kWords = {
      "select", "values", "with",   "insert",   "replace",   "update",
      "delete", "begin",  "commit", "rollback", "savepoint", "release"};
  const std::string first = first_keyword(sql, kDialect);
  return std::find(kWords.begin(), kWords.end(), first) != kWords.end();
}

std::string millis_text(Duration value) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(value).count()) +
         " ms";
}

}  // namespace

sqlite3_stmt* StatementCache::take(std::string_view sql) {
  const size_t hash = std::hash<std::string_view>()(sql);
  const auto found = std::find_if(kept_.begin(), kept_.end(), [hash, sql](const auto& each) {
    return each.first == hash && sql == sqlite3_sql(each.second);
  });
  if (found == kept_.end()) return nullptr;
  sqlite3_stmt* statement = found->second;
  kept_.erase(found);
  return statement;
}

void StatementCache::keep(sqlite3_stmt* statement) noexcept {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);  // they point into the parameters of a call that is over
  const std::string_view sql = sqlite3_sql(statement);
  sqlite3_finalize(take(sql));  // the same text may have been compiled twice
  if (kept_.size() >= kMostKept) {
    sqlite3_finalize(kept_.back().second);
    kept_.pop_back();
  }
  kept_.emplace(kept_.begin(), std::hash<std::string_view>()(sql), statement);
}

void StatementCache::clear() noexcept {
  for (const auto& [hash, statement] : kept_) sqlite3_finalize(statement);
  kept_.clear();
}

std::string quote_identifier(std::string_view identifier) {
  std::string text = "\"";
  for (const char c : identifier) {
    if (c == '"') text += '"';
    text += c;
  }
  return text + '"';
}

Session::Session(std::shared_ptr<const Options> options, std::string file, std::string endpoint,
                 Access access)
    : options_(std::move(options)),
      file_(std::move(file)),
      endpoint_(std::move(endpoint)),
      access_(access) {
  enlist(this);
}

Session::~Session() {
  close();
  strike(this);
}

void Session::close() {
  cache_.clear();
  Handle old;
  {
    const Lock lock(mutex_);
    old = std::move(handle_);
  }
  old.reset();
}

Session::Call::Call(Session& session, const CallContext& context) : session_(session) {
  {
    const Lock lock(session.mutex_);
    session.call_ = this;
    session.stop_ = false;
    session.deadline_ = context.deadline;
  }
  guard_.emplace(context, [&session] { session.interrupt(); });
}

Session::Call::~Call() {
  guard_.reset();
  const Lock lock(session_.mutex_);
  session_.call_ = nullptr;
}

void Session::interrupt() noexcept {
  const Lock lock(mutex_);
  if (call_ == nullptr) return;
  stop_ = true;
  if (handle_) sqlite3_interrupt(handle_.get());
}

Status Session::interrupted(bool waited) const {
  if (!stop_ && !deadline_.passed()) return Status::OK();
  ErrorDetail detail;
  detail.kind = ErrorKind::kCancelled;
  if (call_ != nullptr) {
    detail.kind = call_->guard_->fired().value_or(deadline_.passed() ? ErrorKind::kQueryTimeout
                                                                     : ErrorKind::kCancelled);
  }
  detail.vendor_code = SQLITE_INTERRUPT;
  detail.endpoint = endpoint_;
  const bool timeout = detail.kind == ErrorKind::kQueryTimeout;
  if (waited) {
    detail.vendor_code = SQLITE_BUSY;
    return make_error(std::move(detail),
                      std::string(timeout ? "the deadline passed" : "it was cancelled") +
                          " after the statement had waited " +
                          millis_text(Clock::now() - busy_since_) +
                          " for the lock that another connection to the database holds: shorten "
                          "the other's transactions or allow more time");
  }
  return make_error(std::move(detail),
                    timeout ? "the deadline passed while the statement ran; it was interrupted"
                            : "the statement was cancelled");
}

Status Session::error(int code, std::string_view doing) {
  const int primary = code & 0xff;
  if (primary == SQLITE_INTERRUPT || primary == SQLITE_BUSY) {
    ARROW_RETURN_NOT_OK(interrupted(primary == SQLITE_BUSY));
  }
  if (code == SQLITE_READONLY && read_only()) {
    ErrorDetail detail;
    detail.kind = ErrorKind::kOperational;  // by wish, so that it speaks not against the target
    detail.vendor_code = code;
    detail.endpoint = endpoint_;
    return make_error(std::move(detail), options_->read_only
                                             ? "the database was opened with read_only: true; the "
                                               "statement writes"
                                             : "the statement writes, but runs on a connection for "
                                               "reading: ask for read-write access");
  }
  Status status = error_of(code, handle_.get(), endpoint_, doing);
  if (poisons_connection(status)) usable_ = false;
  return status;
}

int Session::on_progress(void* self) {
  return static_cast<Session*>(self)->stop_.load(std::memory_order_relaxed) ? 1 : 0;
}

int Session::on_busy(void* self, int attempts) {
  auto& session = *static_cast<Session*>(self);
  const TimePoint now = Clock::now();
  if (attempts == 0) session.busy_since_ = now;
  if (session.stop_ || session.deadline_.passed() ||
      now - session.busy_since_ >= session.options_->busy_timeout) {
    return 0;
  }
  // SQLite has nothing to wait on: look again, soon at first, then every 10 ms.
  const Duration pause = std::chrono::microseconds(std::min(100 << std::min(attempts, 7), 10'000));
  std::this_thread::sleep_for(std::min(pause, session.deadline_.left()));
  return 1;
}

Status Session::open(const CallContext& context) {
  const Call call(*this, context);
  usable_ = false;
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_URI;
  if (options_->read_only) {
    flags |= SQLITE_OPEN_READONLY;
  } else {
    flags |= SQLITE_OPEN_READWRITE | (options_->create ? SQLITE_OPEN_CREATE : 0);
  }
  // The old handle first: SQLite would keep its file descriptor for the next one to open the file.
  close();
  ARROW_RETURN_NOT_OK(take_over(file_, endpoint_));
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(file_.c_str(), &raw, flags, nullptr);
  Handle fresh(raw);
  if (code != SQLITE_OK) {
    return error_of(code, raw, endpoint_, "could not open the database " + endpoint_);
  }
  const char* path = sqlite3_db_filename(raw, "main");
  ARROW_RETURN_NOT_OK(take_over(path == nullptr ? "" : path, endpoint_));
  sqlite3_busy_handler(raw, &Session::on_busy, this);
  sqlite3_progress_handler(raw, kProgressOps, &Session::on_progress, this);
  {
    const Lock lock(mutex_);
    path_ = path == nullptr ? "" : path;
    handle_ = std::move(fresh);
  }
  if (const Status status = configure(raw); !status.ok()) return unopened(status);
  usable_ = true;
  return Status::OK();
}

// What the codes do not tell: SQLite reads a database in WAL mode only where it may write beside
// it.
Status Session::unopened(const Status& status) const {
  const ErrorDetail* known = error_detail(status);
  const int primary = known == nullptr ? 0 : known->vendor_code & 0xff;
  if (primary != SQLITE_CANTOPEN && primary != SQLITE_READONLY) return status;
  const char* file = sqlite3_db_filename(handle_.get(), "main");
  if (file == nullptr || ::access(file, R_OK) != 0) return status;
  ErrorDetail detail = *known;
  detail.kind = ErrorKind::kConnection;
  detail.sent = Sent::kNo;
  return make_error(std::move(detail),
                    std::string(file) +
                        " is in WAL mode, which even readers need write access to its folder for: "
                        "give it, or have its owner set journal_mode to delete, or open it as "
                        "file:PATH?immutable=1 if nobody writes to it meanwhile");
}

Status Session::configure(sqlite3* handle) {
  // Reads the file's header, so that what is no database is found here and not by the first
  // statement.
  ARROW_RETURN_NOT_OK(run("pragma schema_version"));
  const bool writable = sqlite3_db_readonly(handle, "main") == 0;
  if (writable && !options_->memory) ARROW_RETURN_NOT_OK(use_journal_mode(handle));
  for (const auto& [name, value] : options_->pragmas) {
    ARROW_RETURN_NOT_OK(run("pragma " + name + " = " + value));
  }
  return access_ == Access::kReadOnly ? run("pragma query_only = on") : Status::OK();
}

Status Session::use_journal_mode(sqlite3* handle) {
  ARROW_ASSIGN_OR_RAISE(Statement asked, prepare("pragma journal_mode"));
  ARROW_RETURN_NOT_OK(step(asked.get()));
  const auto* now = reinterpret_cast<const char*>(sqlite3_column_text(asked.get(), 0));
  if (now != nullptr && options_->journal_mode == now) return Status::OK();
  asked.reset();
  // SQLite does not call the busy handler for a change of the journal mode; two connections that
  // open a new file at once would collide.
  const std::string change = "pragma journal_mode = " + options_->journal_mode;
  std::string got;
  const auto take = [](void* text, int, char** values, char**) {
    *static_cast<std::string*>(text) = values[0] == nullptr ? "" : values[0];
    return 0;
  };
  for (int attempts = 0;; ++attempts) {
    const int code = sqlite3_exec(handle, change.c_str(), take, &got, nullptr);
    if (code == SQLITE_OK) break;
    if ((code & 0xff) != SQLITE_BUSY || on_busy(this, attempts) == 0) {
      return error(code, "could not set journal_mode");
    }
  }
  // Where no memory can be shared between processes (a network's file system) there is no WAL, and
  // SQLite keeps the mode it had.
  if (got != options_->journal_mode && access_ == Access::kReadWrite) {
    log(LogLevel::kWarning, "sqlite",
        "the database " + endpoint_ + " cannot use journal_mode " + options_->journal_mode +
            " and stays with " + got + ": readers and the writer wait for each other");
  }
  return Status::OK();
}

Status Session::check_file(bool writes) {
  if (options_->memory) return Status::OK();
  const TimePoint now = Clock::now();
  if (!writes && now - file_checked_ < kFileInterval) return Status::OK();
  file_checked_ = now;
  int moved = 0;
  const int code = sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (code != SQLITE_OK || moved == 0) return Status::OK();
  usable_ = false;
  return error_of(SQLITE_READONLY_DBMOVED, nullptr, endpoint_, "nothing was done");
}

Result<Statement> Session::prepare(std::string_view sql) {
  if (sqlite3_stmt* kept = cache_.take(sql)) return Statement(kept, {&cache_});
  if (sql.find('\0') != std::string_view::npos) {
    return make_error(ErrorKind::kProgramming,
                      "the statement holds a NUL byte: pass such text as a parameter");
  }
  SqlScanner scanner(sql, kDialect);
  while (scanner.next() == SqlToken::kSymbol && scanner.text() == ";") {
  }
  sql.remove_prefix(scanner.begin());
  if (sql.size() > 1'000'000'000) return error(SQLITE_TOOBIG);
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  const bool again = may_run_again(sql);
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      again ? SQLITE_PREPARE_PERSISTENT : 0, &raw, &tail);
  Statement statement(raw, {again ? &cache_ : nullptr});
  if (code != SQLITE_OK) return error(code);
  if (!statement) return make_error(ErrorKind::kProgramming, "the statement is empty");
  if (!is_blank(sql.substr(static_cast<size_t>(tail - sql.data())))) {
    return make_error(ErrorKind::kProgramming,
                      "the text holds more than one statement: run one statement per call");
  }
  return statement;
}

Result<int> Session::step(sqlite3_stmt* statement) {
  if (stop_.load(std::memory_order_relaxed)) return interrupted();
  const int code = sqlite3_step(statement);
  if (code == SQLITE_ROW || code == SQLITE_DONE) return code;
  return error(code);
}

void Session::undo(const char* sql) {
  const bool stopped = stop_.exchange(false);
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) usable_ = false;
  if (stopped) stop_ = true;
}

Status Session::run(std::string_view sql) {
  ARROW_ASSIGN_OR_RAISE(const Statement statement, prepare(sql));
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(const int code, step(statement.get()));
    if (code == SQLITE_DONE) return Status::OK();
  }
}

}  // namespace cenote::sqlite
