// One session with PostgreSQL: its transactions, its statements and its state.
// connection.cc: life and transactions; query.cc: statements; reader.cc: their rows; ingest.cc.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "cenote/driver.h"

#include "driver/postgresql/channel.h"
#include "driver/postgresql/statement.h"
#include "driver/postgresql/types.h"

namespace cenote::postgresql {

enum class UsePrepared : uint8_t {
  kAuto,  // unless a pooler stands between
  kOn,
  kOff,
};

struct SessionOptions {
  UsePrepared prepared = UsePrepared::kAuto;
  std::shared_ptr<Canceller> canceller;
};

// Connects within the context's deadline; the keywords end with a null.
Result<std::unique_ptr<Connection>> open_session(const CallContext& context,
                                                 const char* const* keywords,
                                                 const char* const* values,
                                                 const SessionOptions& options);

// What we have put around a statement, so that closing its reader early harms nothing else.
enum class Scope : uint8_t {
  kNone,
  kTransaction,  // BEGIN … COMMIT of ours
  kSavepoint,    // in the caller's transaction
};
inline constexpr const char* kScopeSavepoint = "SAVEPOINT cenote_rows";
inline constexpr const char* kScopeRelease = "RELEASE SAVEPOINT cenote_rows";
inline constexpr const char* kScopeUndo =
    "ROLLBACK TO SAVEPOINT cenote_rows; RELEASE SAVEPOINT cenote_rows";

class Reader;

class Session final : public Connection {
 public:
  Session(PgHandle conn, const SessionOptions& options);
  // The first round trip: learns whether a pooler stands between.
  Status greet(const CallContext& context);

  Result<std::shared_ptr<arrow::Table>> query_table(const CallContext& context,
                                                    std::string_view sql, const Params& params,
                                                    const BatchLimits& limits) override;
  Result<std::shared_ptr<arrow::RecordBatchReader>> query(const CallContext& context,
                                                          std::string_view sql,
                                                          const Params& params,
                                                          const BatchLimits& limits) override;
  Result<int64_t> execute(const CallContext& context, std::string_view sql,
                          const Params& params) override;
  Result<int64_t> ingest(const CallContext& context, const IngestTarget& target,
                         arrow::RecordBatchReader& rows) override;

  Result<StatementInfo> describe(const CallContext& context, std::string_view sql) override;
  Status begin(const CallContext& context, const TransactionOptions& options) override;
  Status commit(const CallContext& context) override;
  Status rollback(const CallContext& context) override;
  Status savepoint(const CallContext& context, std::string_view name) override;
  Status release_savepoint(const CallContext& context, std::string_view name) override;
  Status rollback_to_savepoint(const CallContext& context, std::string_view name) override;
  bool in_transaction() const override;

  void cancel() noexcept override { channel_.cancel(); }
  Status validate(const CallContext& context) override;
  bool dirty() const override { return dirty_ || in_transaction(); }
  Status reset(const CallContext& context) override;
  Result<Probe> probe(const CallContext& context) override;
  bool usable() const override { return channel_.usable(); }
  std::string session_id() const override { return std::to_string(PQbackendPID(channel_.conn())); }

  // The socket is closed, libpq's memory of it is kept: PQfinish() would end the parent's session.
  void leave_to_parent() noexcept override { ::close(PQsocket(channel_.conn())); }

  // For the reader of this session.
  Channel& channel() { return channel_; }
  // The shape of rows that came without being described as expected, or kNotSupported.
  Result<std::shared_ptr<const RowShape>> shape_of(const PGresult* rows, bool whole) const;
  // A statement of ours inside the call that is under way, with its rows thrown away.
  Status run_inside(const char* sql);
  // Takes back what we put around a statement that failed or was abandoned.
  void undo_scope(Scope scope, bool failed);

 private:
  // A statement of ours, with its rows thrown away.
  Status run(const CallContext& context, const std::string& sql);

  // What the server's description says; ends the call.
  Result<StatementInfo> described(const PGresult* description);
  // Makes the server parse and describe `statement` (and prepare it, if it may), after `scope`.
  Status describe_for(Statement& statement, const Params& params, Scope scope);
  Status describe_as(Statement& statement, const std::string& sql, std::vector<uint32_t> oids,
                     Scope scope, bool guard, PgResult* failed);
  std::shared_ptr<const RowShape> shape_of(const std::vector<ColumnHead>& columns) const;
  Status deallocate_garbage();
  Status resolve_types(const std::vector<ColumnHead>& columns);
  Status cast_unknown(Statement& statement, const RowShape& shape);
  // What is wanted of a statement's rows: nothing, some at a time, all at once.
  enum class Rows { kNone, kStream, kWhole };
  // Sends the described statement with its values.
  Status send(const Statement& statement, const Params& params, Rows rows);
  // Describes where needed, sends, and takes the first result. A prepared statement that the
  // server has forgotten or that changed is prepared anew, once.
  Result<PgResult> run_statement(StatementPtr& statement, std::string_view sql,
                                 const Params& params, Rows rows, Scope scope);
  bool may_copy(const Statement& statement, const Params& params) const;
  Result<std::shared_ptr<Reader>> open_reader(const CallContext& context, std::string_view sql,
                                              const Params& params, const BatchLimits& limits);
  Result<std::shared_ptr<Reader>> query_by_copy(const StatementPtr& statement,
                                                const BatchLimits& limits);
  bool may_prepare(const Statement& statement) const;
  void note(const Statement& statement);

  Result<int64_t> load(const CallContext& context, const IngestTarget& target,
                       arrow::RecordBatchReader& rows);
  Result<std::vector<uint32_t>> target_types(const std::string& table, const std::string& columns);

  Channel channel_;
  const UsePrepared prepared_;
  bool pooled_ = false;  // a pooler stands between: sessions are not what they seem
  bool dirty_ = false;
  StatementCache cache_;
  TypeCatalog catalog_;
  // Of the statement that is being sent; kept for their memory.
  struct {
    std::vector<ParameterValue> values;
    std::vector<const char*> texts;
    std::vector<int> lengths;
    std::vector<int> formats;
  } outgoing_;
};

}  // namespace cenote::postgresql
