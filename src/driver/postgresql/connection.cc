// Runs statements: sends without blocking, waits in poll() for the socket, the deadline, the stop.
#include "driver/postgresql/connection.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include <arrow/array.h>
#include <arrow/array/builder_base.h>
#include <arrow/util/config.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "driver/placeholders.h"
#include "driver/postgresql/error.h"
#include "driver/postgresql/types.h"

namespace cenote::postgresql {
namespace {

constexpr SqlDialect kDialect{
    .numbered = true, .dollar_quotes = true, .escape_strings = true, .nested_comments = true};
constexpr std::chrono::seconds kCancelWait{5};

// A descriptor that poll() waits for beside the socket. Shared: threads that cancel may outlive us.
class Signal {
 public:
  Signal() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~Signal() { ::close(fd_); }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  void raise() noexcept { (void)!::write(fd_, &kOne, sizeof kOne); }
  void clear() noexcept {
    uint64_t value = 0;
    (void)!::read(fd_, &value, sizeof value);
  }
  int fd() const { return fd_; }

 private:
  static constexpr uint64_t kOne = 1;
  int fd_;
};

// Waits for `events` on the socket; false once `until` passed or the signal was raised.
bool wait_for(int socket, short events, int signal, Deadline until) {
  pollfd fds[2] = {{socket, events, 0}, {signal, POLLIN, 0}};
  while (true) {
    int timeout = -1;
    if (!until.is_never()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until.left()).count();
      timeout = static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000));
    }
    fds[0].revents = fds[1].revents = 0;
    const int ready = ::poll(fds, 2, timeout);
    if (ready < 0 && errno == EINTR) continue;
    if (fds[1].revents != 0) return false;
    if (ready > 0) return true;
    if (until.passed()) return false;
  }
}

using StopWatch = std::stop_callback<std::function<void()>>;

std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

std::string quoted_table(std::string_view table) {
  const size_t dot = table.find('.');
  if (dot == std::string_view::npos) return quoted(table);
  return quoted(table.substr(0, dot)) + "." + quoted(table.substr(dot + 1));
}

class Session;

class Reader final : public arrow::RecordBatchReader {
 public:
  Reader(Session* session, CallContext context, BatchLimits limits)
      : session_(session), context_(std::move(context)), limits_(limits) {}
  ~Reader() override { (void)Close(); }
  Status start(PgResult first, const std::set<uint32_t>& enums);
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override;
  Status Close() override;

 private:
  Status append_row(const PGresult* row);
  Status fail(Status status);

  Session* session_;
  CallContext context_;
  BatchLimits limits_;
  std::shared_ptr<arrow::Schema> schema_ = arrow::schema({});
  std::vector<std::unique_ptr<arrow::ArrayBuilder>> builders_;
  std::vector<uint32_t> oids_;
  PgResult pending_;
  int64_t rows_ = 0;
  int64_t bytes_ = 0;
};

class Session final : public Connection {
 public:
  explicit Session(PgHandle conn) : conn_(std::move(conn)) { PQsetnonblocking(conn_.get(), 1); }

  Result<std::shared_ptr<arrow::RecordBatchReader>> query(const CallContext& context,
                                                          std::string_view sql,
                                                          const Params& params,
                                                          const BatchLimits& limits) override {
    ARROW_RETURN_NOT_OK(send(context, sql, params));
    PQsetSingleRowMode(conn_.get());
    auto reader = std::make_shared<Reader>(this, context, limits);
    ARROW_ASSIGN_OR_RAISE(PgResult first, next(context));
    ARROW_RETURN_NOT_OK(reader->start(std::move(first), enums_));
    return reader;
  }

  Result<int64_t> execute(const CallContext& context, std::string_view sql,
                          const Params& params) override {
    ARROW_RETURN_NOT_OK(send(context, sql, params));
    PQsetSingleRowMode(conn_.get());
    return drain(context);
  }

  Result<int64_t> ingest(const CallContext& context, const IngestTarget& target,
                         arrow::RecordBatchReader& rows) override;

  Status begin(const CallContext& context, const TransactionOptions& options) override {
    if (in_transaction()) {
      return make_error(ErrorKind::kInterface, "a transaction is already open on this connection");
    }
    std::string sql = "BEGIN";
    if (options.isolation == Isolation::kReadCommitted) sql += " ISOLATION LEVEL READ COMMITTED";
    if (options.isolation == Isolation::kRepeatableRead) sql += " ISOLATION LEVEL REPEATABLE READ";
    if (options.isolation == Isolation::kSerializable) sql += " ISOLATION LEVEL SERIALIZABLE";
    if (options.read_only) sql += " READ ONLY";
    return run(context, sql);
  }
  Status commit(const CallContext& context) override {
    const bool failed = PQtransactionStatus(conn_.get()) == PQTRANS_INERROR;
    ARROW_RETURN_NOT_OK(run(context, "COMMIT"));
    if (!failed) return Status::OK();
    return make_error(ErrorKind::kOperational,
                      "the transaction was rolled back, since a statement in it had failed");
  }
  Status rollback(const CallContext& context) override { return run(context, "ROLLBACK"); }
  Status savepoint(const CallContext& context, std::string_view name) override {
    return run(context, "SAVEPOINT " + quoted(name));
  }
  Status release_savepoint(const CallContext& context, std::string_view name) override {
    return run(context, "RELEASE SAVEPOINT " + quoted(name));
  }
  Status rollback_to_savepoint(const CallContext& context, std::string_view name) override {
    return run(context, "ROLLBACK TO SAVEPOINT " + quoted(name));
  }
  bool in_transaction() const override {
    const auto status = PQtransactionStatus(conn_.get());
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
  }

  void cancel() noexcept override {
    const Lock lock(mutex_);
    if (!running_) return;
    cancelled_ = true;
    signal_->raise();
  }

  Status validate(const CallContext& context) override { return run(context, "SELECT 1"); }
  bool dirty() const override { return dirty_ || in_transaction(); }
  Status reset(const CallContext& context) override {
    if (in_transaction()) ARROW_RETURN_NOT_OK(rollback(context));
    ARROW_RETURN_NOT_OK(run(context, "DISCARD ALL"));
    dirty_ = false;
    return Status::OK();
  }
  Result<Probe> probe(const CallContext& context) override;
  bool usable() const override { return !lost_ && PQstatus(conn_.get()) == CONNECTION_OK; }
  std::string session_id() const override { return std::to_string(PQbackendPID(conn_.get())); }

  // The next result of the running statement; null at its end. Errors have drained it.
  Result<PgResult> next(const CallContext& context);
  // Reads to the end; the rows affected.
  Result<int64_t> drain(const CallContext& context);
  // Cancels what is left and reads it away, bounded.
  void abandon();
  bool running() const { return busy_; }
  Status load_enums(const CallContext& context);

 private:
  Status send(const CallContext& context, std::string_view sql, const Params& params);
  Status run(const CallContext& context, const std::string& sql) {
    return execute(context, sql, Params()).status();
  }
  void start();
  void finish();
  Status flush(const CallContext& context);
  bool wait(const CallContext& context, short events);
  Status interrupt(const CallContext& context);
  bool cancel_on_server();
  Status lost(Sent sent = Sent::kMaybe);
  void note(std::string_view sql);

  PgHandle conn_;
  std::shared_ptr<Signal> signal_ = std::make_shared<Signal>();
  Mutex mutex_;
  bool running_ CENOTE_GUARDED_BY(mutex_) = false;
  bool cancelled_ CENOTE_GUARDED_BY(mutex_) = false;
  bool busy_ = false;
  bool dirty_ = false;
  bool lost_ = false;
  std::set<uint32_t> enums_;
};

void Session::start() {
  const Lock lock(mutex_);
  signal_->clear();
  running_ = busy_ = true;
  cancelled_ = false;
}

void Session::finish() {
  const Lock lock(mutex_);
  running_ = busy_ = false;
}

Status Session::lost(Sent sent) {
  lost_ = true;
  std::string message = PQerrorMessage(conn_.get());
  finish();
  return server_error("", "the connection to PostgreSQL was lost: " + message, sent);
}

// Session state is judged by the first word: what may outlive a transaction makes it dirty.
void Session::note(std::string_view sql) {
  const std::string word = first_keyword(sql, kDialect);
  for (const std::string_view clean :
       {"insert", "update", "delete", "merge", "values", "table", "begin", "commit", "rollback",
        "savepoint", "release", "copy", "truncate", "explain", "discard"}) {
    if (word == clean) return;
  }
  SqlScanner scanner(sql, kDialect);
  const bool reads = word == "select" || word == "with";
  const bool defines = word == "create" || word == "drop" || word == "alter";
  for (SqlToken token = scanner.next(); token != SqlToken::kEnd; token = scanner.next()) {
    if (token != SqlToken::kWord) continue;
    std::string text(scanner.text());
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (text == "temp" || text == "temporary" || text == "into" || text == "set_config" ||
        text.find("advisory") != std::string::npos) {
      dirty_ = true;
    }
  }
  if (!reads && !defines) dirty_ = true;
}

Status Session::send(const CallContext& context, std::string_view sql, const Params& params) {
  if (busy_) {
    return make_error(ErrorKind::kInterface,
                      "the connection still has an unread result; read or close it first");
  }
  if (!usable()) return lost(Sent::kNo);
  if (context.stop.stop_requested() || context.deadline.passed()) {
    ErrorDetail detail;
    detail.kind = context.stop.stop_requested() ? ErrorKind::kCancelled : ErrorKind::kQueryTimeout;
    detail.sent = Sent::kNo;
    return make_error(std::move(detail), "the statement was not sent: its time was already over");
  }
  ARROW_ASSIGN_OR_RAISE(const BoundStatement bound, bind_placeholders(sql, params, kDialect));
  std::vector<std::string> texts(bound.order.size());
  std::vector<const char*> values(bound.order.size(), nullptr);
  std::vector<Oid> types(bound.order.size(), 0);
  for (size_t i = 0; i < bound.order.size(); ++i) {
    const auto& scalar = *params.values.at(static_cast<size_t>(bound.order[i]));
    types[i] = parameter_oid(*scalar.type);
    if (!scalar.is_valid) continue;
    ARROW_ASSIGN_OR_RAISE(texts[i], value_text(scalar));
    values[i] = texts[i].c_str();
  }
  note(sql);
  start();
  if (PQsendQueryParams(conn_.get(), bound.sql.c_str(), static_cast<int>(values.size()),
                        types.data(), values.data(), nullptr, nullptr, 1) == 0) {
    return lost(Sent::kMaybe);
  }
  return flush(context);
}

bool Session::wait(const CallContext& context, short events) {
  const StopWatch stop(context.stop, [signal = signal_] { signal->raise(); });
  return wait_for(PQsocket(conn_.get()), events, signal_->fd(), context.deadline);
}

Status Session::flush(const CallContext& context) {
  while (true) {
    const int left = PQflush(conn_.get());
    if (left < 0) return lost();
    if (left == 0) return Status::OK();
    if (!wait(context, POLLIN | POLLOUT)) return interrupt(context);
    if (PQconsumeInput(conn_.get()) == 0) return lost();
  }
}

// PQcancel blocks, so a thread of its own sends it; its end proves that the signal was delivered,
// so that a cancel can never hit a later statement.
bool Session::cancel_on_server() {
  const std::shared_ptr<PGcancel> handle(PQgetCancel(conn_.get()), PQfreeCancel);
  if (!handle) return false;
  struct Done {
    Signal signal;
    std::atomic<bool> sent = false;
  };
  const auto done = std::make_shared<Done>();
  std::thread([handle, done] {
    char message[256];
    done->sent = PQcancel(handle.get(), message, sizeof message) == 1;
    done->signal.raise();
  }).detach();
  const Deadline until = Deadline::in(kCancelWait);
  (void)wait_for(-1, 0, done->signal.fd(), until);
  if (!done->sent) return false;
  Signal never;
  while (!until.passed()) {
    while (PQisBusy(conn_.get()) != 0) {
      if (PQflush(conn_.get()) < 0) return false;
      if (!wait_for(PQsocket(conn_.get()), POLLIN, never.fd(), until)) return false;
      if (PQconsumeInput(conn_.get()) == 0) return false;
    }
    const PgResult result(PQgetResult(conn_.get()));
    if (!result) return PQstatus(conn_.get()) == CONNECTION_OK;
    if (PQresultStatus(result.get()) == PGRES_COPY_IN) {
      PQputCopyEnd(conn_.get(), "cancelled");
    }
    // A COPY to the client is not read away here: the connection is given up instead.
    if (PQresultStatus(result.get()) == PGRES_COPY_OUT) return false;
  }
  return false;
}

Status Session::interrupt(const CallContext& context) {
  ErrorDetail detail;
  bool asked = context.stop.stop_requested();
  {
    const Lock lock(mutex_);
    asked = asked || cancelled_;
  }
  detail.kind = asked ? ErrorKind::kCancelled : ErrorKind::kQueryTimeout;
  detail.sqlstate = "57014";
  const bool acknowledged = cancel_on_server();
  lost_ = lost_ || !acknowledged;
  detail.poisons_connection = !acknowledged;
  finish();
  return make_error(std::move(detail), asked ? "the statement was cancelled by its caller"
                                             : "the statement did not end before its deadline and "
                                               "was cancelled on the server");
}

void Session::abandon() {
  if (!busy_) return;
  if (!cancel_on_server()) lost_ = true;
  finish();
}

Result<PgResult> Session::next(const CallContext& context) {
  while (PQisBusy(conn_.get()) != 0) {
    if (!wait(context, POLLIN)) return interrupt(context);
    if (PQconsumeInput(conn_.get()) == 0) return lost();
  }
  PgResult result(PQgetResult(conn_.get()));
  if (!result) {
    finish();
    return result;
  }
  if (PQresultStatus(result.get()) != PGRES_FATAL_ERROR) return result;
  const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  Status status = server_error(state == nullptr ? "" : state, PQresultErrorMessage(result.get()),
                               state == nullptr ? Sent::kMaybe : Sent::kYes);
  for (PgResult rest = std::move(result); rest; rest.reset(PQgetResult(conn_.get()))) {
    while (PQisBusy(conn_.get()) != 0) {
      if (!wait(context, POLLIN)) return interrupt(context);
      if (PQconsumeInput(conn_.get()) == 0) break;
    }
  }
  if (cenote::poisons_connection(status)) lost_ = true;
  finish();
  return status;
}

Result<int64_t> Session::drain(const CallContext& context) {
  int64_t affected = -1;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const PgResult result, next(context));
    if (!result) return affected;
    const auto status = PQresultStatus(result.get());
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
      abandon();
      return make_error(ErrorKind::kNotSupported, "COPY to or from the client needs ingest()");
    }
    const std::string count = PQcmdTuples(const_cast<PGresult*>(result.get()));
    if (!count.empty()) affected = std::stoll(count);
  }
}

Result<Probe> Session::probe(const CallContext& context) {
  ARROW_RETURN_NOT_OK(
      send(context,
           "SELECT pg_is_in_recovery()::text, current_setting('transaction_read_only'), CASE WHEN "
           "pg_is_in_recovery() THEN (extract(epoch FROM now() - "
           "pg_last_xact_replay_timestamp()) * 1000)::bigint::text END, "
           "current_setting('max_connections'), current_setting('server_version')",
           Params()));
  ARROW_ASSIGN_OR_RAISE(const PgResult row, next(context));
  ARROW_RETURN_NOT_OK(drain(context).status());
  if (!row || PQntuples(row.get()) != 1) {
    return make_error(ErrorKind::kInternal, "the server's answer to a probe has no row");
  }
  const auto text = [&](int i) { return std::string(PQgetvalue(row.get(), 0, i)); };
  Probe probe;
  probe.role = text(0) == "true" ? Role::kReplica : Role::kPrimary;
  probe.read_only = text(1) == "on";
  if (PQgetisnull(row.get(), 0, 2) == 0) probe.lag = std::chrono::milliseconds(std::stoll(text(2)));
  probe.max_connections = std::stoll(text(3));
  probe.server_version = text(4);
  return probe;
}

Status Session::load_enums(const CallContext& context) {
  ARROW_RETURN_NOT_OK(send(context, "SELECT oid::text FROM pg_type WHERE typtype = 'e'", Params()));
  ARROW_ASSIGN_OR_RAISE(const PgResult rows, next(context));
  ARROW_RETURN_NOT_OK(drain(context).status());
  for (int i = 0; rows && i < PQntuples(rows.get()); ++i) {
    enums_.insert(static_cast<uint32_t>(std::stoul(PQgetvalue(rows.get(), i, 0))));
  }
  return Status::OK();
}

// COPY's text form: tabs between the values, backslashes before what would end them.
Result<std::string> copy_line(const arrow::RecordBatch& batch, int64_t row) {
  std::string line;
  for (int column = 0; column < batch.num_columns(); ++column) {
    if (column > 0) line += '\t';
    ARROW_ASSIGN_OR_RAISE(const auto scalar, batch.column(column)->GetScalar(row));
    if (!scalar->is_valid) {
      line += "\\N";
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(const std::string text, value_text(*scalar));
    for (const char c : text) {
      if (c == '\\')
        line += "\\\\";
      else if (c == '\t')
        line += "\\t";
      else if (c == '\n')
        line += "\\n";
      else if (c == '\r')
        line += "\\r";
      else
        line += c;
    }
  }
  return line + "\n";
}

Result<int64_t> Session::ingest(const CallContext& context, const IngestTarget& target,
                                arrow::RecordBatchReader& rows) {
  const bool own = !in_transaction();
  if (own) ARROW_RETURN_NOT_OK(begin(context, {}));
  const auto work = [&]() -> Result<int64_t> {
    const std::string table = quoted_table(target.table);
    std::string columns;
    std::string definitions;
    for (const auto& field : rows.schema()->fields()) {
      ARROW_ASSIGN_OR_RAISE(const std::string type, column_type(*field->type()));
      columns += (columns.empty() ? "" : ", ") + quoted(field->name());
      definitions += (definitions.empty() ? "" : ", ") + quoted(field->name()) + " " + type;
    }
    if (target.mode == IngestMode::kReplace) {
      ARROW_RETURN_NOT_OK(run(context, "DROP TABLE IF EXISTS " + table));
    }
    if (target.mode != IngestMode::kAppend) {
      const bool maybe = target.mode == IngestMode::kCreateAppend;
      ARROW_RETURN_NOT_OK(run(context, std::string("CREATE TABLE ") +
                                           (maybe ? "IF NOT EXISTS " : "") + table + " (" +
                                           definitions + ")"));
    }
    ARROW_RETURN_NOT_OK(send(context, "COPY " + table + " (" + columns + ") FROM STDIN", Params()));
    ARROW_RETURN_NOT_OK(next(context).status());
    const auto pump = [&]() -> Status {
      while (true) {
        std::shared_ptr<arrow::RecordBatch> batch;
        ARROW_RETURN_NOT_OK(rows.ReadNext(&batch));
        if (!batch) return Status::OK();
        for (int64_t row = 0; row < batch->num_rows(); ++row) {
          ARROW_ASSIGN_OR_RAISE(const std::string line, copy_line(*batch, row));
          if (PQputCopyData(conn_.get(), line.data(), static_cast<int>(line.size())) < 0) {
            return lost();
          }
          if (row % 256 == 0) ARROW_RETURN_NOT_OK(flush(context));
        }
        ARROW_RETURN_NOT_OK(flush(context));
      }
    };
    if (Status pumped = pump(); !pumped.ok()) {
      abandon();
      return pumped;
    }
    if (PQputCopyEnd(conn_.get(), nullptr) < 0) return lost();
    ARROW_RETURN_NOT_OK(flush(context));
    return drain(context);
  };
  Result<int64_t> count = work();
  if (!own || !usable()) return count;
  if (count.ok()) {
    ARROW_RETURN_NOT_OK(commit(context));
  } else {
    CallContext bounded;
    bounded.deadline = Deadline::in(kCancelWait);
    if (!rollback(bounded).ok()) lost_ = true;
  }
  return count;
}

Status Reader::fail(Status status) {
  session_->abandon();
  return status;
}

Status Reader::start(PgResult first, const std::set<uint32_t>& enums) {
  if (!first) return Status::OK();
  const auto status = PQresultStatus(first.get());
  if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
    return fail(make_error(ErrorKind::kNotSupported, "COPY to or from the client is not a query"));
  }
  if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK) {
    return session_->drain(context_).status();
  }
  arrow::FieldVector fields;
  for (int i = 0; i < PQnfields(first.get()); ++i) {
    const uint32_t oid = PQftype(first.get(), i);
    auto field =
        column_field(PQfname(first.get(), i), oid, PQfmod(first.get(), i), enums.contains(oid));
    if (!field.ok()) return fail(field.status());
    std::unique_ptr<arrow::ArrayBuilder> builder;
    if (Status made = arrow::MakeBuilder(arrow::default_memory_pool(), (*field)->type(), &builder);
        !made.ok()) {
      return fail(made);
    }
    fields.push_back(*field);
    oids_.push_back(oid);
    builders_.push_back(std::move(builder));
  }
  schema_ = arrow::schema(std::move(fields));
  // An empty result is over already; so is the statement then.
  if (status == PGRES_TUPLES_OK) return session_->drain(context_).status();
  pending_ = std::move(first);
  return Status::OK();
}

Status Reader::append_row(const PGresult* row) {
  for (size_t i = 0; i < builders_.size(); ++i) {
    const int column = static_cast<int>(i);
    if (PQgetisnull(row, 0, column) != 0) {
      ARROW_RETURN_NOT_OK(builders_[i]->AppendNull());
      continue;
    }
    const auto size = static_cast<size_t>(PQgetlength(row, 0, column));
    ARROW_RETURN_NOT_OK(append_value(oids_[i], {PQgetvalue(row, 0, column), size}, *builders_[i]));
    bytes_ += static_cast<int64_t>(size);
  }
  ++rows_;
  return Status::OK();
}

Status Reader::ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) {
  batch->reset();
  if (session_ == nullptr) return make_error(ErrorKind::kInterface, "the reader was closed");
  while (pending_ && rows_ < limits_.rows && bytes_ < limits_.bytes) {
    if (PQresultStatus(pending_.get()) == PGRES_SINGLE_TUPLE) {
      if (Status status = append_row(pending_.get()); !status.ok()) {
        pending_.reset();
        return fail(status);
      }
    }
    auto following = session_->next(context_);
    pending_.reset();
    ARROW_RETURN_NOT_OK(following.status());
    pending_ = std::move(*following);
  }
  if (rows_ == 0) return Status::OK();
  arrow::ArrayVector columns(builders_.size());
  for (size_t i = 0; i < builders_.size(); ++i) {
    if (Status status = builders_[i]->Finish(&columns[i]); !status.ok()) return fail(status);
  }
  *batch = arrow::RecordBatch::Make(schema_, rows_, std::move(columns));
  rows_ = bytes_ = 0;
  return Status::OK();
}

Status Reader::Close() {
  if (session_ == nullptr) return Status::OK();
  if (pending_) session_->abandon();
  pending_.reset();
  session_ = nullptr;
  return Status::OK();
}

Status connect_error(PGconn* conn) {
  const std::string message = PQerrorMessage(conn);
  ErrorKind kind = ErrorKind::kConnection;
  // libpq keeps no SQLSTATE of a failed connect; the messages are the server's, in its language.
  if (message.find("authentication failed") != std::string::npos ||
      message.find("no password supplied") != std::string::npos ||
      message.find("no pg_hba.conf entry") != std::string::npos) {
    kind = ErrorKind::kAuthentication;
  } else if (message.find("too many clients") != std::string::npos ||
             message.find("remaining connection slots") != std::string::npos) {
    kind = ErrorKind::kOverload;
  }
  ErrorDetail detail;
  detail.kind = kind;
  detail.sent = Sent::kNo;
  detail.poisons_connection = true;
  return make_error(std::move(detail), message);
}

}  // namespace

Result<std::unique_ptr<Connection>> open_session(const CallContext& context,
                                                 const char* const* keywords,
                                                 const char* const* values) {
  PgHandle conn(PQconnectStartParams(keywords, values, 0));
  if (!conn || PQstatus(conn.get()) == CONNECTION_BAD) return connect_error(conn.get());
  const auto signal = std::make_shared<Signal>();
  const StopWatch stop(context.stop, [signal] { signal->raise(); });
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED) return connect_error(conn.get());
    const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for(PQsocket(conn.get()), events, signal->fd(), context.deadline)) {
      ErrorDetail detail;
      detail.kind = context.stop.stop_requested() ? ErrorKind::kCancelled : ErrorKind::kConnection;
      detail.sent = Sent::kNo;
      return make_error(std::move(detail), "no connection could be made before the deadline");
    }
    state = PQconnectPoll(conn.get());
  }
  PQsetNoticeProcessor(conn.get(), [](void*, const char*) {}, nullptr);
  auto session = std::make_unique<Session>(std::move(conn));
  ARROW_RETURN_NOT_OK(session->load_enums(context));
  return session;
}

}  // namespace cenote::postgresql
