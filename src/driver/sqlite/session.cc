// Opening, compiling and stepping with a deadline. sqlite3_interrupt alone could come a moment
// before the first step, where SQLite forgets it; the progress handler looks at our own flag, which
// stays.
#include "driver/sqlite/session.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "driver/sqlite/error.h"

namespace cenote::sqlite {
namespace {

constexpr int kProgressOps = 4096;  // virtual machine steps between two looks at the flag

// Whether nothing but `;` and comments is left.
bool is_blank(std::string_view sql) {
  SqlScanner scanner(sql, kDialect);
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (scanner.text() != ";") return false;
  }
  return true;
}

}  // namespace

std::string quoted(std::string_view identifier) {
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
      access_(access) {}

Session::Call::Call(Session& session, const CallContext& context) : session_(session) {
  session.call_ = this;
  session.stop_ = false;
  session.deadline_ = context.deadline;
  session.busy_since_ = {};
  guard_.emplace(context, [&session] { session.interrupt(); });
}

Session::Call::~Call() {
  guard_.reset();
  session_.call_ = nullptr;
}

void Session::interrupt() noexcept {
  stop_ = true;
  const Lock lock(swap_);
  if (handle_) sqlite3_interrupt(handle_.get());
}

Status Session::interrupted() const {
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
  return make_error(std::move(detail),
                    timeout ? "the deadline passed while the statement ran; it was interrupted"
                            : "the statement was cancelled");
}

Status Session::error(int code, std::string_view doing) {
  const int primary = code & 0xff;
  if (primary == SQLITE_INTERRUPT || primary == SQLITE_BUSY) {
    ARROW_RETURN_NOT_OK(interrupted());
  }
  if (primary == SQLITE_READONLY && read_only()) {
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
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(file_.c_str(), &raw, flags, nullptr);
  Handle fresh(raw);
  if (code != SQLITE_OK) {
    return error_of(code, raw, endpoint_, "could not open the database " + endpoint_);
  }
  sqlite3_busy_handler(raw, &Session::on_busy, this);
  sqlite3_progress_handler(raw, kProgressOps, &Session::on_progress, this);
  {
    const Lock lock(swap_);
    std::swap(handle_, fresh);
  }
  fresh.reset();
  ARROW_RETURN_NOT_OK(configure(raw));
  usable_ = true;
  return Status::OK();
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
  for (int attempts = 0;; ++attempts) {
    const int code = sqlite3_exec(handle, change.c_str(), nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return Status::OK();
    if ((code & 0xff) != SQLITE_BUSY || on_busy(this, attempts) == 0) {
      return error(code, "could not set journal_mode");
    }
  }
}

Result<Statement> Session::prepare(std::string_view sql) {
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
  const int code =
      sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()), 0, &raw, &tail);
  Statement statement(raw);
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
