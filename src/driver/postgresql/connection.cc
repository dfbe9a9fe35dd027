// A session's life: connecting, transactions, its state and its reset.
#include "driver/postgresql/connection.h"

#include <cstdlib>
#include <utility>

#include <poll.h>

#include "driver/postgresql/error.h"

namespace cenote::postgresql {
namespace {

// One round trip. A replica that has replayed all it received is not behind, however old the last
// transaction is.
constexpr const char* kProbe =
    "SELECT pg_catalog.pg_is_in_recovery()::text, "
    "pg_catalog.current_setting('transaction_read_only'), "
    "CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN NULL "
    "WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() THEN '0' "
    "ELSE (extract(epoch FROM pg_catalog.clock_timestamp() - "
    "pg_catalog.pg_last_xact_replay_timestamp()) * 1000)::bigint::text END, "
    "pg_catalog.current_setting('max_connections'), pg_catalog.current_setting('server_version')";

}  // namespace

Session::Session(PgHandle conn, const SessionOptions& options)
    : channel_(std::move(conn), options.canceller), prepared_(options.prepared) {}

Status Session::greet(const CallContext& context) {
  ARROW_RETURN_NOT_OK(channel_.start(context));
  ARROW_RETURN_NOT_OK(
      channel_.flush(PQsendQuery(channel_.conn(), "SELECT pg_catalog.pg_backend_pid()")));
  ARROW_ASSIGN_OR_RAISE(const PgResult row, channel_.next());
  ARROW_RETURN_NOT_OK(channel_.drain().status());
  channel_.finish();
  // A pooler gives its clients process ids of its own.
  if (row && PQntuples(row.get()) == 1) {
    pooled_ = std::atoi(PQgetvalue(row.get(), 0, 0)) != PQbackendPID(channel_.conn());
  }
  return Status::OK();
}

Status Session::run_inside(const char* sql) {
  ARROW_RETURN_NOT_OK(channel_.flush(PQsendQuery(channel_.conn(), sql)));
  return channel_.drain().status();
}

Status Session::run(const CallContext& context, const std::string& sql) {
  ARROW_RETURN_NOT_OK(channel_.start(context));
  ARROW_RETURN_NOT_OK(run_inside(sql.c_str()));
  channel_.finish();
  return Status::OK();
}

Status Session::begin(const CallContext& context, const TransactionOptions& options) {
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

Status Session::commit(const CallContext& context) {
  const bool failed = channel_.transaction() == PQTRANS_INERROR;
  ARROW_RETURN_NOT_OK(run(context, "COMMIT"));
  if (!failed) return Status::OK();
  return make_error(ErrorKind::kOperational,
                    "the transaction was rolled back, since a statement in it had failed");
}

Status Session::rollback(const CallContext& context) {
  return run(context, "ROLLBACK");
}
Status Session::savepoint(const CallContext& context, std::string_view name) {
  return run(context, "SAVEPOINT " + quote_identifier(name));
}
Status Session::release_savepoint(const CallContext& context, std::string_view name) {
  return run(context, "RELEASE SAVEPOINT " + quote_identifier(name));
}
Status Session::rollback_to_savepoint(const CallContext& context, std::string_view name) {
  return run(context, "ROLLBACK TO SAVEPOINT " + quote_identifier(name));
}

bool Session::in_transaction() const {
  const auto status = channel_.transaction();
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

// Called between calls: what failed or was abandoned has ended.
void Session::undo_scope(Scope scope, bool failed) {
  if (scope == Scope::kNone || !usable()) return;
  const CallContext bounded{Deadline::in(kCancelWait), {}};
  Status undone;
  if (scope == Scope::kTransaction) {
    if (in_transaction()) undone = rollback(bounded);
  } else if (channel_.transaction() == PQTRANS_INERROR) {
    // After an error of its own the caller's transaction is as failed as the caller expects.
    if (!failed) undone = run(bounded, kScopeUndo);
  }
  if (!undone.ok()) channel_.give_up();
}

Status Session::validate(const CallContext& context) {
  return run(context, "SELECT 1");
}

Status Session::reset(const CallContext& context) {
  if (in_transaction()) ARROW_RETURN_NOT_OK(rollback(context));
  if (!dirty_) return Status::OK();
  // Behind a pooler DISCARD ALL may reach any session but the one that was changed. A new
  // connection is clean with a pooler that resets its own sessions, and as good as any otherwise.
  if (pooled_) {
    channel_.give_up();
    return make_error(ErrorKind::kOperational,
                      "the session was changed (SET, temporary tables, …) and lies behind a "
                      "pooler, where it cannot be reset; it is closed instead");
  }
  ARROW_RETURN_NOT_OK(run(context, "DISCARD ALL"));
  cache_.clear();
  dirty_ = false;
  return Status::OK();
}

Result<Probe> Session::probe(const CallContext& context) {
  ARROW_RETURN_NOT_OK(channel_.start(context));
  ARROW_RETURN_NOT_OK(channel_.flush(PQsendQuery(channel_.conn(), kProbe)));
  ARROW_ASSIGN_OR_RAISE(const PgResult row, channel_.next());
  ARROW_RETURN_NOT_OK(channel_.drain().status());
  channel_.finish();
  if (!row || PQntuples(row.get()) != 1) {
    return make_error(ErrorKind::kInternal, "the server's answer to a probe has no row");
  }
  const auto text = [&](int i) { return std::string_view(PQgetvalue(row.get(), 0, i)); };
  Probe probe;
  probe.role = text(0) == "true" ? Role::kReplica : Role::kPrimary;
  probe.read_only = text(1) == "on";
  if (PQgetisnull(row.get(), 0, 2) == 0) {
    probe.lag = std::chrono::milliseconds(std::strtoll(text(2).data(), nullptr, 10));
  }
  probe.max_connections = std::strtoll(text(3).data(), nullptr, 10);
  probe.server_version = text(4);
  return probe;
}

Result<std::unique_ptr<Connection>> open_session(const CallContext& context,
                                                 const char* const* keywords,
                                                 const char* const* values,
                                                 const SessionOptions& options) {
  PgHandle conn(PQconnectStartParams(keywords, values, 0));
  if (!conn || PQstatus(conn.get()) == CONNECTION_BAD) return connect_error(conn.get());
  PQsetErrorVerbosity(conn.get(), PQERRORS_VERBOSE);
  Signal signal;
  const std::stop_callback stop(context.stop, [&signal] { signal.raise(); });
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED) return connect_error(conn.get());
    const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for(PQsocket(conn.get()), events, signal.fd(), context.deadline)) {
      const bool asked = context.stop.stop_requested();
      ErrorDetail detail;
      detail.kind = asked ? ErrorKind::kCancelled : ErrorKind::kConnection;
      detail.sent = Sent::kNo;
      return make_error(std::move(detail),
                        asked ? "connecting was cancelled by its caller"
                              : "no connection could be made before the deadline: the server did "
                                "not answer (check host, port and firewalls)");
    }
    state = PQconnectPoll(conn.get());
  }
  PQsetErrorVerbosity(conn.get(), PQERRORS_DEFAULT);
  PQsetNoticeProcessor(conn.get(), [](void*, const char*) {}, nullptr);
  auto session = std::make_unique<Session>(std::move(conn), options);
  ARROW_RETURN_NOT_OK(session->greet(context));
  return session;
}

}  // namespace cenote::postgresql
