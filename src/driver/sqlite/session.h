// One open handle of SQLite with its deadline: everything that may block goes through here.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sqlite3.h>

#include "cenote/driver.h"

#include "base/mutex.h"
#include "base/watchdog.h"
#include "driver/placeholders.h"
#include "driver/sqlite/options.h"

namespace cenote::sqlite {

inline constexpr SqlDialect kDialect{.bracket_identifiers = true, .backtick_identifiers = true};

// "name" with its quotes doubled inside.
std::string quote_identifier(std::string_view identifier);

struct HandleCloser {
  void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
};
using Handle = std::unique_ptr<sqlite3, HandleCloser>;

// The statements of a session that were compiled and may run again, by their text; the last used
// first. Compiling costs as much as a point query itself.
class StatementCache {
 public:
  StatementCache() = default;
  ~StatementCache() { clear(); }
  StatementCache(const StatementCache&) = delete;
  StatementCache& operator=(const StatementCache&) = delete;

  // Takes the statement of this text out, or null.
  sqlite3_stmt* take(std::string_view sql);
  // Takes over a statement that is not in use any more.
  void keep(sqlite3_stmt* statement) noexcept;
  void clear() noexcept;

 private:
  std::vector<std::pair<size_t, sqlite3_stmt*>> kept_;  // with the hash of its text
};

// Back to the cache, or away where there is none.
struct StatementReturner {
  StatementCache* cache = nullptr;
  void operator()(sqlite3_stmt* statement) const {
    if (cache != nullptr) {
      cache->keep(statement);
    } else {
      sqlite3_finalize(statement);
    }
  }
};
using Statement = std::unique_ptr<sqlite3_stmt, StatementReturner>;

class Session {
 public:
  Session(std::shared_ptr<const Options> options, std::string file, std::string endpoint,
          Access access);
  ~Session();

  // Opens, or opens anew with the state of a fresh session.
  Status open(const CallContext& context);

  // Compiles the one statement in `sql`; kProgramming if there is none or more than one.
  Result<Statement> prepare(std::string_view sql);
  // An error if the file was moved, replaced or deleted since it was opened: SQLite itself would go
  // on writing into what nobody finds again. Looks at most once a second where `writes` is false.
  Status check_file(bool writes);
  // SQLITE_ROW, SQLITE_DONE or the error. Only inside a Call.
  Result<int> step(sqlite3_stmt* statement);
  // Runs a statement of ours to its end. Only inside a Call.
  Status run(std::string_view sql);
  // Runs a rollback of ours whatever the deadline says: it must not fail for lateness.
  void undo(const char* sql);

  sqlite3* handle() const { return handle_.get(); }
  const std::string& endpoint() const { return endpoint_; }
  bool in_transaction() const { return handle_ && sqlite3_get_autocommit(handle_.get()) == 0; }
  // Read-only by configuration or because the connection stands in the read lane.
  bool read_only() const { return options_->read_only || access_ == Access::kReadOnly; }
  bool usable() const { return usable_; }
  void interrupt() noexcept;

  // Around a fork: no call begins or ends. The rest only between the two.
  void hold() CENOTE_ANNOTATE(no_thread_safety_analysis) { mutex_.lock(); }
  void let_go() CENOTE_ANNOTATE(no_thread_safety_analysis) { mutex_.unlock(); }
  // Whether a thread may be inside SQLite.
  bool running() const { return call_ != nullptr || (!handle_ && !path_.empty()); }
  // Of the file, as SQLite names it; empty before it was opened, and in memory.
  const std::string& path() const { return path_; }

  // The time in which one statement of the caller runs: arms deadline, stop and cancel. One at a
  // time.
  class Call {
   public:
    Call(Session& session, const CallContext& context);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    Session& session_;
    std::optional<InterruptGuard> guard_;
    friend class Session;
  };
  bool busy() const { return call_ != nullptr; }
  // Why the call was interrupted, or OK. `waited`: it waited for a lock.
  Status interrupted(bool waited = false) const;
  Status error(int code, std::string_view doing = "");

 private:
  void close();
  Status configure(sqlite3* handle);
  Status unopened(const Status& status) const;
  Status use_journal_mode(sqlite3* handle);
  static int on_busy(void* self, int attempts);
  static int on_progress(void* self);

  const std::shared_ptr<const Options> options_;
  const std::string file_;
  const std::string endpoint_;
  const Access access_;
  std::string path_;      // changed under mutex_
  Handle handle_;         // changed under mutex_ alone, so that interrupt() finds a live one
  StatementCache cache_;  // after the handle, which must outlive its statements
  bool usable_ = false;
  TimePoint file_checked_;

  // Of the call that runs. Begins, ends and is interrupted under the mutex, so that an interrupt
  // never hits the call after the one it was meant for.
  Mutex mutex_;
  Call* call_ = nullptr;
  std::atomic<bool> stop_ = false;
  Deadline deadline_;
  TimePoint busy_since_;
};

}  // namespace cenote::sqlite
