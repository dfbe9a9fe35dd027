// The calls of cenote's own client: everything in one message, one round trip, and the pool's load
// comes back with every answer.
#include <algorithm>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "node/answer_stream.h"
#include "node/flight_server.h"

namespace cenote::node {
namespace {

template <typename E>
Result<E> checked(int32_t number, E last, std::string_view what) {
  if (number < 0 || number > static_cast<int32_t>(last)) {
    return make_error(ErrorKind::kNotSupported, "this node does not know the " + std::string(what) +
                                                    " " + std::to_string(number) +
                                                    " of the call; is the client newer?");
  }
  return static_cast<E>(number);
}

Status outside(std::string_view what) {
  return make_error(ErrorKind::kInterface, std::string(what) + " needs a transaction");
}

}  // namespace

flight::Answer FlightServer::answer(const ServedPool* pool) const {
  flight::Answer answer;
  answer.node_id = node_id_;
  answer.config_version = config_version_.load();
  answer.draining = draining();
  if (pool != nullptr) {
    const PoolStatus status = pool->local()->get_status();
    answer.load = flight::Load{status.max, status.active, status.idle, status.waiting};
  }
  return answer;
}

Result<Work> FlightServer::own_work(const Context& context, const flight::Call& call,
                                    const std::stop_source& stop) {
  if (call.version > flight::kCallVersion) {
    return make_error(ErrorKind::kNotSupported,
                      "the call is of version " + std::to_string(*call.version) +
                          ", this node speaks " + std::to_string(flight::kCallVersion) +
                          ": upgrade the nodes before the clients");
  }
  ARROW_ASSIGN_OR_RAISE(Work work, work_for(context, call.transaction, call.pool, stop));
  if (call.left_ms) {
    work.options.timeout = std::chrono::milliseconds(std::max<int64_t>(*call.left_ms, 0));
  }
  work.options.limits = BatchLimits();
  if (call.batch_rows > 0) work.options.limits.rows = call.batch_rows;
  if (call.batch_bytes > 0) {
    work.options.limits.bytes = std::min(call.batch_bytes, int64_t{64} << 20);
  }
  work.options.limits.whole = call.whole;
  work.options.limits.eager = call.eager;
  work.options.tag = call.tag.substr(0, 200);
  if (call.access) {
    ARROW_ASSIGN_OR_RAISE(work.options.access,
                          checked(*call.access, Access::kReadOnly, "kind of access"));
  }
  return work;
}

Result<flight::Answer> FlightServer::own_answer(const Context& context, const flight::Call& call,
                                                const std::stop_source& stop) {
  if (call.operation == flight::Operation::kCancel) {
    running_.stop(caller_of(context).user, call.name);
    return answer(nullptr);
  }
  if (call.operation == flight::Operation::kSight) {
    flight::Answer sight = answer(nullptr);
    if (const auto cluster = manager_.cluster_status()) {
      sight.reaches_source = cluster->partition.source_answers;
    }
    return sight;
  }
  ARROW_ASSIGN_OR_RAISE(const Work work, own_work(context, call, stop));
  std::optional<int64_t> affected;
  flight::Bytes begun;
  switch (call.operation) {
    case flight::Operation::kExecute: {
      ARROW_ASSIGN_OR_RAISE(const Params params, flight::params_of(call));
      ARROW_ASSIGN_OR_RAISE(affected, run_execute(work, call.sql, params));
      break;
    }
    case flight::Operation::kBegin: {
      TransactionOptions options;
      options.read_only = call.read_only || work.caller->role == UserRole::kReader;
      ARROW_ASSIGN_OR_RAISE(options.isolation,
                            checked(call.isolation, Isolation::kSerializable, "isolation level"));
      auto held = std::make_shared<HeldTransaction>(work.pool, options, work.caller->user);
      // Our client begins when it means it: an error belongs here, not to the first statement.
      {
        ARROW_ASSIGN_OR_RAISE(const HeldTransaction::Use use, held->use(work.options));
      }
      ARROW_ASSIGN_OR_RAISE(std::string handle, sessions_.add(*work.caller, std::move(held)));
      begun = flight::Bytes(std::move(handle));
      break;
    }
    case flight::Operation::kCommit:
    case flight::Operation::kRollback: {
      const bool commit = call.operation == flight::Operation::kCommit;
      if (work.transaction == nullptr) return outside("the end of a transaction");
      (void)sessions_.take_transaction(*work.caller, call.transaction);
      QueryOptions bounded;  // nothing stops it: a commit that was asked for is best finished
      bounded.timeout = work.options.timeout;
      ARROW_RETURN_NOT_OK(work.transaction->end(commit, bounded));
      break;
    }
    case flight::Operation::kSavepoint:
    case flight::Operation::kReleaseSavepoint:
    case flight::Operation::kRollbackToSavepoint: {
      if (work.transaction == nullptr) return outside("a savepoint");
      ARROW_ASSIGN_OR_RAISE(const HeldTransaction::Use use, work.transaction->use(work.options));
      ARROW_RETURN_NOT_OK(
          call.operation == flight::Operation::kSavepoint          ? use->savepoint(call.name)
          : call.operation == flight::Operation::kReleaseSavepoint ? use->release(call.name)
                                                                   : use->rollback_to(call.name));
      break;
    }
    case flight::Operation::kPing:
      break;
    default:
      return make_error(ErrorKind::kNotSupported,
                        "this node does not know operation " +
                            std::to_string(static_cast<int32_t>(call.operation)) +
                            " of the call; is the client newer?");
  }
  flight::Answer answered = answer(work.pool.get());
  answered.affected = affected;
  answered.transaction = std::move(begun);
  return answered;
}

Result<FlightServer::Stream> FlightServer::own_call(const Context& context,
                                                    const flight::Call& call) {
  std::stop_source stop;
  std::shared_ptr<arrow::RecordBatchReader> rows;
  flight::Answer answered;
  {
    const CallWatch::Scope scope(watch_, context, stop);
    const RunningCalls::Scope running(running_, caller_of(context).user, call.request_id, stop);
    if (call.operation == flight::Operation::kQuery) {
      ARROW_ASSIGN_OR_RAISE(const Work work, own_work(context, call, stop));
      ARROW_ASSIGN_OR_RAISE(const Params params, flight::params_of(call));
      ARROW_ASSIGN_OR_RAISE(auto result, run_query(work, call.sql, params));
      sessions_.watch(result);
      rows = std::move(result);
      answered = answer(work.pool.get());
    } else {
      ARROW_ASSIGN_OR_RAISE(answered, own_answer(context, call, stop));
      ARROW_ASSIGN_OR_RAISE(rows, arrow::RecordBatchReader::Make({}, arrow::schema({})));
    }
  }
  return std::make_unique<AnswerStream>(std::move(rows), node_id_, watch_, context, stop,
                                        arrow::Buffer::FromString(flight::encode(answered)));
}

Result<flight::Answer> FlightServer::own_ingest(const Context& context, const flight::Call& call,
                                                arrow::RecordBatchReader& rows) {
  std::stop_source stop;
  const CallWatch::Scope scope(watch_, context, stop);
  const RunningCalls::Scope running(running_, caller_of(context).user, call.request_id, stop);
  ARROW_ASSIGN_OR_RAISE(const Work work, own_work(context, call, stop));
  IngestTarget target;
  target.table = call.name;
  ARROW_ASSIGN_OR_RAISE(target.mode,
                        checked(call.ingest_mode, IngestMode::kCreateAppend, "ingest mode"));
  ARROW_ASSIGN_OR_RAISE(const int64_t affected, run_ingest(work, target, rows));
  flight::Answer answered = answer(work.pool.get());
  answered.affected = affected;
  return answered;
}

}  // namespace cenote::node
