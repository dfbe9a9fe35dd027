// The driver: validates configuration, names the file, tells reads from writes.
#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <string>
#include <thread>
#include <utility>

#include <unistd.h>

#include "driver/registry.h"
#include "driver/sqlite/connection.h"
#include "driver/sqlite/options.h"

namespace cenote {
namespace sqlite {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Whether a WITH statement has a word that writes. Such words are also allowed as names of columns
// there; then the statement goes to the writer, which is right too.
bool may_write(std::string_view sql) {
  SqlScanner scanner(sql, kDialect);
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (token != SqlToken::kWord) continue;
    const std::string word = lower(scanner.text());
    if (word == "insert" || word == "update" || word == "delete" || word == "replace") return true;
  }
  return false;
}

// A name that no other database of this machine's processes has.
std::string memory_name() {
  static std::atomic<uint64_t> last = 0;
  return "file:/cenote-" + std::to_string(getpid()) + "-" + std::to_string(++last) + "?vfs=memdb";
}

class SqliteDatabase final : public Database {
 public:
  explicit SqliteDatabase(Options options)
      : options_(std::make_shared<const Options>(std::move(options))),
        file_(options_->memory ? memory_name() : options_->database),
        endpoint_(options_->database) {}

  // A database in memory lives as long as a handle to it: this one.
  Status anchor() {
    if (!options_->memory) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(anchor_, open({}, Access::kReadWrite));
    return Status::OK();
  }

  Result<std::unique_ptr<Connection>> connect(const CallContext& context,
                                              const ConnectOptions& options) override {
    ARROW_ASSIGN_OR_RAISE(std::unique_ptr<Session> session, open(context, options.access));
    return std::make_unique<SqliteConnection>(std::move(session));
  }
  const std::string& endpoint() const override { return endpoint_; }

  Access access(std::string_view sql) const override {
    const std::string first = first_keyword(sql, kDialect);
    if (first == "select" || first == "values" || first == "explain") return Access::kReadOnly;
    return first == "with" && !may_write(sql) ? Access::kReadOnly : Access::kReadWrite;
  }

  // In memory there is no WAL: a reader would hold up the writer.
  int default_readers() const override {
    if (options_->memory) return 0;
    return std::max(4, static_cast<int>(std::thread::hardware_concurrency()));
  }

 private:
  Result<std::unique_ptr<Session>> open(const CallContext& context, Access access) {
    auto session = std::make_unique<Session>(options_, file_, endpoint_, access);
    ARROW_RETURN_NOT_OK(session->open(context));
    return session;
  }

  const std::shared_ptr<const Options> options_;
  const std::string file_;
  const std::string endpoint_;
  std::unique_ptr<Session> anchor_;
};

class SqliteDriver final : public Driver {
 public:
  const DriverTraits& traits() const override {
    static const std::string library = std::string("SQLite ") + sqlite3_libversion();
    static const DriverTraits traits{.name = "sqlite",
                                     .system_name = "sqlite",
                                     .library = library,
                                     .options = option_specs(),
                                     .has_read_lane = true,
                                     .remote = false};
    return traits;
  }

  Result<std::shared_ptr<Database>> open(const DriverConfig& config) const override {
    ARROW_ASSIGN_OR_RAISE(Options options, parse_options(config));
    auto database = std::make_shared<SqliteDatabase>(std::move(options));
    ARROW_RETURN_NOT_OK(database->anchor());
    return database;
  }
};

}  // namespace
}  // namespace sqlite

const Driver& sqlite_driver() {
  static const sqlite::SqliteDriver driver;
  return driver;
}

}  // namespace cenote
