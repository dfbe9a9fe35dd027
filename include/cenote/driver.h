// What a database is to cenote: Driver → Database → Connection, shaped as ADBC's so that one maps
// onto the other. A driver blocks on the caller's thread and converts straight into Arrow; it knows
// nothing of pools.
//
// To add one: a folder under src/driver, a line in registry.cc, a row in tests/driver/drivers.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/type_fwd.h>

#include "cenote/deadline.h"
#include "cenote/error.h"
#include "cenote/params.h"

namespace cenote {

// ---- What a driver can do, as data
// -------------------------------------------------------------------------------------

enum class OptionType : uint8_t { kString, kSecret, kPath, kInteger, kBoolean, kDuration, kEnum };

// One key of a pool's `config:`. The configuration's validator, its JSON Schema and the reference
// page come from these.
struct OptionSpec {
  std::string_view name;
  OptionType type = OptionType::kString;
  std::string_view default_value;  // as text; empty for none
  std::string_view doc;            // one sentence
  bool required = false;
  std::string_view choices;  // for kEnum: "a|b|c"
};

struct DriverTraits {
  std::string_view name;         // the `type:` of a pool: "postgresql"
  std::string_view system_name;  // OpenTelemetry's db.system.name
  std::string_view library;   // what it speaks through, with the version where the library tells it
  uint16_t default_port = 0;  // 0 for none
  std::span<const OptionSpec> options;
  bool has_read_lane =
      false;  // Database::access() tells reads from writes (SQLite's one writer and N readers)
  bool remote = true;  // a network lies between: keepalive and connection probes make sense
};

// ---- Parameters of the calls
// ------------------------------------------------------------------------------------------

// Which lane of a pool a statement needs. Drivers without a read lane only know kReadWrite.
enum class Access : uint8_t { kReadWrite, kReadOnly };

enum class Role : uint8_t { kUnknown, kPrimary, kReplica };

// Most rows and about the most bytes of one RecordBatch of a result. A batch ends at whichever
// comes first.
struct BatchLimits {
  // A little below 2^16: buffers of 2^k bytes, aligned, fall into an allocator's next class, a
  // quarter larger (mimalloc; a table of 110 MB took 146 MB of memory, and takes 121).
  int64_t rows = 65'000;
  int64_t bytes = int64_t{16} << 20;
  // The caller takes the whole result anyway: a driver may look at every row before it tells the
  // schema (SQLite, whose values have types of their own).
  bool whole = false;
  // With `whole`: the rows go on to somebody who is better served soon and can ask again. Then a
  // driver need not wait for the last row; if that or another contradicts the schema it told, the
  // reading ends with kData and SQLSTATE 42804 (kContradiction), and is to be asked for again
  // without `eager`.
  bool eager = false;
};
inline constexpr std::string_view kContradiction = "42804";  // datatype mismatch

enum class Isolation : uint8_t { kDefault, kReadCommitted, kRepeatableRead, kSerializable };

struct TransactionOptions {
  Isolation isolation = Isolation::kDefault;
  bool read_only = false;
};

// What to do with the target table of an ingest, as ADBC names it.
enum class IngestMode : uint8_t { kAppend, kCreate, kReplace, kCreateAppend };

struct IngestTarget {
  std::string table;  // one identifier, or schema.table; quoted by the driver
  IngestMode mode = IngestMode::kAppend;
};

struct Credentials {
  std::string username;
  std::string password;
};

// What a health check learns in one round trip.
struct Probe {
  Role role = Role::kUnknown;
  bool read_only = false;
  std::optional<std::chrono::milliseconds> lag;  // of a replica behind its primary
  std::optional<int64_t> max_connections;        // the server's own limit
  std::string server_version;
};

// What a database knows of a statement that it has compiled but not run.
struct StatementInfo {
  // One field for each placeholder, in their order; a type that the database leaves open is null().
  std::shared_ptr<arrow::Schema> parameters;
  // The columns of its rows, as far as the database knows their types; null: it gives no rows.
  std::shared_ptr<arrow::Schema> rows;
};

// ---- The interface
// ----------------------------------------------------------------------------------------------------

// One session with a database. Used by one thread at a time, except cancel().
//
// Every call honours its CallContext: at the deadline or a request to stop it cancels on the
// server, waits (5 s at the most) for the cancel to be acknowledged, and returns kQueryTimeout or
// kCancelled; where no acknowledgement came, the error poisons the connection. Statements outside
// begin()…commit() commit by themselves.
class Connection {
 public:
  virtual ~Connection() = default;

  // Runs one statement and returns the reader over its rows, which borrows this connection until
  // ReadNext gave null or an error, or Close() was called (Close cancels what is left, bounded). A
  // statement without rows gives no columns and no rows. `context` holds for the reading too. The
  // statement has been executed when this returns OK.
  virtual Result<std::shared_ptr<arrow::RecordBatchReader>> query(const CallContext& context,
                                                                  std::string_view sql,
                                                                  const Params& params,
                                                                  const BatchLimits& limits) = 0;

  // The whole answer as one table, for which types may settle on all values (`limits.whole`). By
  // default what query() gives; a driver overrides it where a small answer can be made cheaper.
  virtual Result<std::shared_ptr<arrow::Table>> query_table(const CallContext& context,
                                                            std::string_view sql,
                                                            const Params& params,
                                                            const BatchLimits& limits);

  // Runs one statement, throws rows away, returns how many it affected; -1 where the database does
  // not say.
  virtual Result<int64_t> execute(const CallContext& context, std::string_view sql,
                                  const Params& params) = 0;

  // Inserts every row of `rows` by the fastest way the database has; returns how many. All or
  // nothing: inside the transaction that is open, else in one of its own.
  virtual Result<int64_t> ingest(const CallContext& context, const IngestTarget& target,
                                 arrow::RecordBatchReader& rows) = 0;

  // Compiles the statement without running it; the same errors as of running it wrongly.
  // kNotSupported where the database or its driver cannot tell.
  virtual Result<StatementInfo> describe(const CallContext& /*context*/, std::string_view /*sql*/) {
    return make_error(ErrorKind::kNotSupported, "this driver does not describe statements");
  }

  virtual Status begin(const CallContext& context, const TransactionOptions& options) = 0;
  virtual Status commit(const CallContext& context) = 0;
  virtual Status rollback(const CallContext& context) = 0;
  virtual Status savepoint(const CallContext& context, std::string_view name) = 0;
  virtual Status release_savepoint(const CallContext& context, std::string_view name) = 0;
  virtual Status rollback_to_savepoint(const CallContext& context, std::string_view name) = 0;
  virtual bool in_transaction() const = 0;

  // Asks the server to stop what runs now. From any thread; returns at once; harmless when nothing
  // runs, and never hits the statement after the one it was meant for.
  virtual void cancel() noexcept = 0;

  // One round trip that proves the session alive.
  virtual Status validate(const CallContext& context) = 0;
  // Whether the session may differ from a new one (open transaction, SET, temporary tables). Costs
  // no round trip.
  virtual bool dirty() const = 0;
  // Brings a dirty session back to a new one's state.
  virtual Status reset(const CallContext& context) = 0;
  virtual Result<Probe> probe(const CallContext& context) = 0;

  // False once the session is known to be lost or out of step: close it. Costs no round trip.
  virtual bool usable() const = 0;
  // The server's name for the session (backend pid, spid), for logs and for finding it in the
  // server's list; or empty.
  virtual std::string session_id() const = 0;

  // Called in a forked child, for each session it inherited: lets go of what the operating system
  // shares (closes the child's copy of the socket), says nothing to the server and touches no lock,
  // since the session goes on in the parent. The object is never used or destroyed afterwards.
  virtual void leave_to_parent() noexcept {}
};

struct ConnectOptions {
  Access access = Access::kReadWrite;
  std::optional<Credentials> credentials;  // in place of the configured ones
};

// One validated target: where to connect and how. Thread-safe.
class Database {
 public:
  virtual ~Database() = default;

  // Opens a session; honours the deadline, also for name resolution as far as the library lets it.
  virtual Result<std::unique_ptr<Connection>> connect(const CallContext& context,
                                                      const ConnectOptions& options) = 0;
  // "host:port/database" or a path, for messages and metrics; never credentials.
  virtual const std::string& endpoint() const = 0;
  // Which lane a statement needs; asked only where traits().has_read_lane. In doubt kReadWrite.
  virtual Access access(std::string_view /*sql*/) const { return Access::kReadWrite; }
  // How many readers suit this target where there is a read lane (0: no read lane after all).
  virtual int default_readers() const { return 0; }
};

// The keys of `config:` as text, secrets already resolved. Unknown keys were refused by the
// configuration, but a driver refuses them too (with kConfig), since pools are also made by code.
using DriverConfig = std::map<std::string, std::string, std::less<>>;

class Driver {
 public:
  virtual ~Driver() = default;
  virtual const DriverTraits& traits() const = 0;
  virtual Result<std::shared_ptr<Database>> open(const DriverConfig& config) const = 0;
};

// The driver of a `type:`, or kConfig naming the ones there are. Drivers live as long as the
// process.
Result<const Driver*> find_driver(std::string_view type);
// All drivers of this build, sorted by name.
std::vector<const Driver*> drivers();

}  // namespace cenote
