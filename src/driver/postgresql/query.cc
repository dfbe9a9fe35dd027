// How a statement reaches the server: by COPY, as a prepared statement, or in one message.
//
// A SELECT without parameters goes by COPY (query) TO STDOUT the first time, and again while its
// last result was large: rows come without libpq's PGresult around each, and the server formats
// them cheaper. COPY tells no types, so the statement is described before, in the same transaction,
// whose locks keep the tables as they were. Everything else is prepared, described once and
// executed under its name; behind a pooler it is parsed with each execution.
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "driver/postgresql/connection.h"
#include "driver/postgresql/error.h"
#include "driver/postgresql/reader.h"

namespace cenote::postgresql {
namespace {

// A result from which on COPY's two round trips cost less than libpq's work per row.
constexpr int64_t kCopyRows = 2000;

constexpr const char* kParseSavepoint = "SAVEPOINT cenote_parse";
constexpr const char* kParseRelease = "RELEASE SAVEPOINT cenote_parse";
constexpr const char* kParseUndo =
    "ROLLBACK TO SAVEPOINT cenote_parse; RELEASE SAVEPOINT cenote_parse";

// So many statements wait before they are deallocated in one round trip.
constexpr size_t kGarbage = 10;

std::vector<uint32_t> declared_oids(const Statement& statement, const Params& params,
                                    Declare declare) {
  std::vector<uint32_t> oids;
  for (const int index : statement.bound.order) {
    oids.push_back(parameter_oid(*params.values[static_cast<size_t>(index)], declare));
  }
  return oids;
}

// The server found no function, operator or type for the parameters as they were declared.
bool is_about_types(std::string_view sqlstate) {
  for (const std::string_view state :
       {"42P18", "42P08", "42883", "42725", "42804", "42846", "42P38"}) {
    if (sqlstate == state) return true;
  }
  return false;
}

std::vector<ColumnHead> heads_of(const PGresult* result) {
  std::vector<ColumnHead> columns;
  for (int i = 0; i < PQnfields(result); ++i) {
    columns.push_back({PQfname(result, i), PQftype(result, i), PQfmod(result, i)});
  }
  return columns;
}

bool same_types(const PGresult* result, const std::vector<ColumnHead>& columns) {
  if (PQnfields(result) != static_cast<int>(columns.size())) return false;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (PQftype(result, static_cast<int>(i)) != columns[i].oid) return false;
  }
  return true;
}

// `casts`: what the statement has to cast is marked so, not taken for done.
std::shared_ptr<const RowShape> make_shape(const std::vector<ColumnHead>& columns,
                                           const TypeCatalog& catalog, bool whole, bool casts) {
  std::vector<std::string> names;
  std::vector<ColumnType> types;
  for (const ColumnHead& column : columns) {
    names.push_back(column.name);
    types.push_back(catalog.column(column.oid, column.typmod, whole));
    if (!casts) types.back().cast.clear();
  }
  return RowShape::make(std::move(names), std::move(types));
}

Status cannot_cast(const RowShape& shape, size_t index) {
  return make_error(ErrorKind::kNotSupported,
                    "column '" + shape.names[index] + "' is of type " + shape.types[index].name +
                        ", which is read as text, and this statement cannot be made to cast it: "
                        "write the cast into the statement (column::text); nothing was done");
}

}  // namespace

bool Session::may_prepare(const Statement& statement) const {
  if (prepared_ == UsePrepared::kOff || (prepared_ == UsePrepared::kAuto && pooled_)) return false;
  return statement.kind.verb == Verb::kRead || statement.kind.verb == Verb::kWrite;
}

bool Session::may_copy(const Statement& statement, const Params& params) const {
  if (statement.kind.verb != Verb::kRead || !statement.kind.single || !params.empty()) return false;
  if (channel_.transaction() == PQTRANS_INERROR) return false;
  return statement.last_rows < 0 || statement.last_rows >= kCopyRows;
}

void Session::note(const Statement& statement) {
  if (statement.kind.marks_dirty) dirty_ = true;
}

Status Session::resolve_types(const std::vector<ColumnHead>& columns) {
  std::string unknown;
  for (const ColumnHead& column : columns) {
    if (catalog_.knows(column.oid)) continue;
    unknown += (unknown.empty() ? "{" : ",") + std::to_string(column.oid);
  }
  if (unknown.empty()) return Status::OK();
  unknown += "}";
  const char* values[] = {unknown.c_str()};
  ARROW_RETURN_NOT_OK(channel_.flush(PQsendQueryParams(channel_.conn(), TypeCatalog::kQuery.data(),
                                                       1, nullptr, values, nullptr, nullptr, 0)));
  ARROW_ASSIGN_OR_RAISE(const PgResult rows, channel_.next());
  ARROW_RETURN_NOT_OK(channel_.drain().status());
  for (int i = 0; rows && i < PQntuples(rows.get()); ++i) {
    const auto text = [&](int column) { return PQgetvalue(rows.get(), i, column); };
    const auto number = [&](int column) {
      return static_cast<uint32_t>(std::strtoul(text(column), nullptr, 10));
    };
    catalog_.add(number(0), {text(1), *text(2), number(3), number(4)});
  }
  return Status::OK();
}

Result<std::shared_ptr<const RowShape>> Session::shape_of(const PGresult* rows, bool whole) const {
  auto shape = make_shape(heads_of(rows), catalog_, whole, true);
  size_t index = 0;
  if (shape->first_cast(&index) == nullptr) return shape;
  return make_error(ErrorKind::kInternal,
                    "column '" + shape->names[index] +
                        "' came in a type that the statement did not have before (its tables were "
                        "changed meanwhile); run it again");
}

// One round trip: the scope, a savepoint against a failing parse, the parse and the description.
Status Session::describe_as(Statement& statement, const std::string& sql,
                            std::vector<uint32_t> oids, Scope scope, bool guard, PgResult* failed) {
  std::vector<std::string> statements;
  if (scope == Scope::kTransaction) statements.emplace_back("BEGIN");
  if (scope == Scope::kSavepoint) statements.emplace_back(kScopeSavepoint);
  if (guard) statements.emplace_back(kParseSavepoint);
  std::vector<Channel::Sender> senders;
  const auto send_plain = [&senders](const std::string& text) {
    senders.emplace_back([text](PGconn* conn) {
      return PQsendQueryParams(conn, text.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0);
    });
  };
  for (const std::string& text : statements) send_plain(text);
  const std::string& name = statement.prepared;
  senders.emplace_back([&](PGconn* conn) {
    return PQsendPrepare(conn, name.c_str(), sql.c_str(), static_cast<int>(oids.size()),
                         oids.data());
  });
  senders.emplace_back([&](PGconn* conn) { return PQsendDescribePrepared(conn, name.c_str()); });
  const size_t description = senders.size() - 1;
  if (guard) send_plain(kParseRelease);

  ARROW_ASSIGN_OR_RAISE(const std::vector<PgResult> results, channel_.pipeline(senders, failed));
  if (failed != nullptr && *failed) return Status::OK();
  if (results.size() != senders.size()) {
    channel_.give_up();
    channel_.finish();
    return make_error(ErrorKind::kInternal, "the server's answers do not match what was sent");
  }
  const PGresult* described = results[description].get();
  statement.columns = heads_of(described);
  statement.parameters.clear();
  for (int i = 0; i < PQnparams(described); ++i) {
    statement.parameters.push_back(PQparamtype(described, i));
  }
  statement.oids = std::move(oids);
  return Status::OK();
}

// A failing DEALLOCATE would fail the caller's transaction, so outside of one only.
Status Session::deallocate_garbage() {
  if (cache_.garbage() < kGarbage || channel_.transaction() != PQTRANS_IDLE) return Status::OK();
  std::string sql;
  for (const std::string& name : cache_.take_garbage()) sql += "DEALLOCATE " + name + ";";
  ARROW_RETURN_NOT_OK(channel_.flush(PQsendQuery(channel_.conn(), sql.c_str())));
  PgResult failed;
  do {
    ARROW_ASSIGN_OR_RAISE(const PgResult result, channel_.next(&failed));
    if (!result) return Status::OK();  // also where the server has forgotten them already
  } while (true);
}

Status Session::describe_for(Statement& statement, const Params& params, Scope scope) {
  ARROW_RETURN_NOT_OK(deallocate_garbage());
  const bool prepare = may_prepare(statement) && scope != Scope::kTransaction;
  const bool guard = !params.empty() && channel_.transaction() == PQTRANS_INTRANS;
  std::vector<std::vector<uint32_t>> tried;
  Status first_error;
  for (const Declare declare :
       {Declare::kNatural, Declare::kText, Declare::kNarrow, Declare::kInferred}) {
    auto oids = declared_oids(statement, params, declare);
    if (std::find(tried.begin(), tried.end(), oids) != tried.end()) continue;
    tried.push_back(oids);
    statement.declare = declare;
    statement.prepared = prepare ? cache_.new_name() : std::string();
    PgResult failed;
    ARROW_RETURN_NOT_OK(
        describe_as(statement, statement.bound.sql, std::move(oids), scope, guard, &failed));
    if (!failed) {
      first_error = Status::OK();
      break;
    }
    statement.prepared.clear();
    if (first_error.ok()) first_error = result_error(failed.get());
    if (guard && is_about_types(sqlstate_of(failed.get()))) {
      ARROW_RETURN_NOT_OK(run_inside(kParseUndo));
    }
    if (params.empty() || !is_about_types(sqlstate_of(failed.get()))) break;
  }
  if (!first_error.ok()) {
    channel_.finish();
    return first_error;
  }
  ARROW_RETURN_NOT_OK(resolve_types(statement.columns));
  statement.sql = statement.bound.sql;
  const std::vector<ColumnHead> columns = statement.columns;
  const auto marked = make_shape(columns, catalog_, false, true);
  size_t index = 0;
  if (marked->first_cast(&index) != nullptr) {
    ARROW_RETURN_NOT_OK(cast_unknown(statement, *marked));
  }
  // Rows come as the wrap has them, under the names and types of the statement itself.
  statement.shape = make_shape(columns, catalog_, false, false);
  statement.whole_shape = make_shape(columns, catalog_, true, false);
  if (!statement.whole_shape->unsettled()) statement.whole_shape = statement.shape;
  statement.described = true;
  return Status::OK();
}

// libpq asks for all columns in one format, so a type whose binary form is not known here is cast
// to text by the statement itself.
Status Session::cast_unknown(Statement& statement, const RowShape& shape) {
  size_t index = 0;
  shape.first_cast(&index);
  const std::string wrapped = wrap_with_casts(statement, shape);
  if (wrapped.empty()) {
    channel_.finish();
    return cannot_cast(shape, index);
  }
  if (!statement.prepared.empty()) {
    cache_.forget_name(statement.prepared);
    statement.prepared = cache_.new_name();
  }
  PgResult failed;
  const bool guard = channel_.transaction() == PQTRANS_INTRANS;
  ARROW_RETURN_NOT_OK(
      describe_as(statement, wrapped, statement.oids, Scope::kNone, guard, &failed));
  if (failed) {
    statement.prepared.clear();
    if (guard) ARROW_RETURN_NOT_OK(run_inside(kParseUndo));
    channel_.finish();
    return cannot_cast(shape, index);
  }
  statement.sql = wrapped;
  return Status::OK();
}

Status Session::send(const Statement& statement, const Params& params, Rows rows) {
  auto& [values, texts, lengths, formats] = outgoing_;
  const size_t size = statement.bound.order.size();
  values.resize(size);
  texts.resize(size);
  lengths.resize(size);
  formats.resize(size);
  for (size_t i = 0; i < size; ++i) {
    auto value = parameter_value(*params.values[static_cast<size_t>(statement.bound.order[i])]);
    if (!value.ok()) {
      channel_.finish();
      return value.status();
    }
    values[i] = std::move(*value);
    texts[i] = values[i].null ? nullptr : values[i].bytes.c_str();
    lengths[i] = static_cast<int>(values[i].bytes.size());
    formats[i] = values[i].binary ? 1 : 0;
  }
  const auto count = static_cast<int>(size);
  PGconn* const conn = channel_.conn();
  const int queued =
      statement.prepared.empty()
          ? PQsendQueryParams(conn, statement.sql.c_str(), count,
                              statement.oids.empty() ? nullptr : statement.oids.data(),
                              texts.data(), lengths.data(), formats.data(), 1)
          : PQsendQueryPrepared(conn, statement.prepared.c_str(), count, texts.data(),
                                lengths.data(), formats.data(), 1);
  // A result that is wanted whole comes as one PGresult if it was small the last time: libpq's mode
  // of single rows copies each result's head (a tenth of what a point query costs the client).
  // Should it have many rows this time, they are in memory twice for once.
  const bool few = statement.last_rows >= 0 && statement.last_rows <= kSmallResult;
  if (queued != 0 && !(rows == Rows::kWhole && few)) PQsetSingleRowMode(conn);
  note(statement);
  return channel_.flush(queued);
}

Result<PgResult> Session::run_statement(StatementPtr& statement, std::string_view sql,
                                        const Params& params, Rows rows, Scope scope) {
  for (bool again = false;; again = true) {
    // The types of numbers may depend on their values.
    if (statement->described && statement->declare == Declare::kNarrow &&
        declared_oids(*statement, params, Declare::kNarrow) != statement->oids) {
      statement->forget_description();
    }
    const bool describes = statement->kind.verb == Verb::kRead ||
                           statement->kind.verb == Verb::kWrite || !params.empty() ||
                           (rows != Rows::kNone && statement->kind.verb == Verb::kShow);
    if (!statement->described && describes) {
      ARROW_RETURN_NOT_OK(describe_for(*statement, params, scope));
      if (statement->kind.verb != Verb::kShow) cache_.keep(statement);
    } else if (scope == Scope::kSavepoint) {
      ARROW_RETURN_NOT_OK(run_inside(kScopeSavepoint));
    }
    if (statement->sql.empty()) statement->sql = statement->bound.sql;
    const bool prepared = !statement->prepared.empty();
    const bool idle = channel_.transaction() == PQTRANS_IDLE;
    ARROW_RETURN_NOT_OK(send(*statement, params, rows));
    PgResult failed;
    ARROW_ASSIGN_OR_RAISE(PgResult first, channel_.next(&failed));
    if (!failed) return first;
    if (prepared && is_stale_statement(failed.get())) {
      cache_.drop(statement);
      // Where one was forgotten, all are.
      if (sqlstate_of(failed.get()) == "26000") cache_.clear();
      if (idle && !again) {
        ARROW_ASSIGN_OR_RAISE(statement, cache_.find(sql, params));
        continue;
      }
    }
    channel_.finish();
    return result_error(failed.get());
  }
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Session::query(const CallContext& context,
                                                                 std::string_view sql,
                                                                 const Params& params,
                                                                 const BatchLimits& limits) {
  return open_reader(context, sql, params, limits);
}

Result<std::shared_ptr<arrow::Table>> Session::query_table(const CallContext& context,
                                                           std::string_view sql,
                                                           const Params& params,
                                                           const BatchLimits& limits) {
  BatchLimits whole = limits;
  whole.whole = true;
  ARROW_ASSIGN_OR_RAISE(const auto reader, open_reader(context, sql, params, whole));
  return reader->table();
}

Result<std::shared_ptr<Reader>> Session::open_reader(const CallContext& context,
                                                     std::string_view sql, const Params& params,
                                                     const BatchLimits& limits) {
  ARROW_ASSIGN_OR_RAISE(StatementPtr statement, cache_.find(sql, params));
  ARROW_RETURN_NOT_OK(channel_.start(context));
  if (may_copy(*statement, params)) {
    note(*statement);
    return query_by_copy(statement, limits);
  }
  // A stream may be closed early, which must not fail the transaction it runs in.
  const bool in_transaction = channel_.transaction() == PQTRANS_INTRANS;
  const bool guarded = in_transaction && !limits.whole && statement->kind.verb == Verb::kRead;
  const Scope scope = guarded ? Scope::kSavepoint : Scope::kNone;
  const Rows rows = limits.whole ? Rows::kWhole : Rows::kStream;
  ARROW_ASSIGN_OR_RAISE(PgResult first, run_statement(statement, sql, params, rows, scope));
  if (statement->kind.forgets_prepared) cache_.clear();
  auto reader = std::make_shared<Reader>(this, statement, limits, scope);
  std::shared_ptr<const RowShape> shape = statement->shape_for(limits);
  if (const Status refused = channel_.refuse(first.get()); !refused.ok()) {
    undo_scope(scope, true);
    return refused;
  }
  const int fields = first ? PQnfields(first.get()) : 0;
  const bool expected = shape && same_types(first.get(), statement->columns);
  if (fields > 0 && !expected) {
    auto found = shape_of(first.get(), limits.whole);
    if (!found.ok()) {
      cache_.drop(statement);
      channel_.abandon();
      undo_scope(scope, true);
      return found.status();
    }
    shape = *found;
  }
  ARROW_RETURN_NOT_OK(reader->open_rows(std::move(first), std::move(shape)));
  return reader;
}

Result<std::shared_ptr<Reader>> Session::query_by_copy(const StatementPtr& statement,
                                                       const BatchLimits& limits) {
  const bool idle = channel_.transaction() == PQTRANS_IDLE;
  const Scope scope = idle ? Scope::kTransaction : limits.whole ? Scope::kNone : Scope::kSavepoint;
  if (!statement->prepared.empty()) cache_.drop(statement);
  const auto failed = [&](const Status& status) {
    undo_scope(scope, true);
    return status;
  };
  // Unnamed: a statement that runs once must not fill the server's memory.
  statement->forget_description();
  const int64_t last_rows = statement->last_rows;
  if (const Status described = describe_for(*statement, {}, scope); !described.ok()) {
    return failed(described);
  }
  cache_.keep(statement);
  statement->last_rows = last_rows;
  auto reader = std::make_shared<Reader>(this, statement, limits, scope);
  const bool wrapped = statement->sql != statement->bound.sql;
  std::string copy = "COPY (" + (wrapped ? statement->sql : as_part(*statement));
  copy += ") TO STDOUT (FORMAT binary)";
  if (scope == Scope::kTransaction) copy += "; COMMIT";
  if (scope == Scope::kSavepoint) copy += std::string("; ") + kScopeRelease;
  const std::shared_ptr<const RowShape> shape = statement->shape_for(limits);
  // The description was for this execution alone: COPY's rows carry no types to check it by.
  statement->described = false;
  if (const Status sent = channel_.flush(PQsendQuery(channel_.conn(), copy.c_str())); !sent.ok()) {
    return failed(sent);
  }
  ARROW_RETURN_NOT_OK(reader->open_copy(shape));
  return reader;
}

Result<int64_t> Session::execute(const CallContext& context, std::string_view sql,
                                 const Params& params) {
  ARROW_ASSIGN_OR_RAISE(StatementPtr statement, cache_.find(sql, params));
  ARROW_RETURN_NOT_OK(channel_.start(context));
  ARROW_ASSIGN_OR_RAISE(PgResult first,
                        run_statement(statement, sql, params, Rows::kNone, Scope::kNone));
  int64_t affected = -1;
  for (PgResult result = std::move(first); result;) {
    const char* count = PQcmdTuples(result.get());
    if (*count != '\0') affected = std::strtoll(count, nullptr, 10);
    ARROW_RETURN_NOT_OK(channel_.refuse(result.get()));
    ARROW_ASSIGN_OR_RAISE(result, channel_.next());
  }
  channel_.finish();
  if (statement->kind.forgets_prepared) cache_.clear();
  return affected;
}

}  // namespace cenote::postgresql
