// The manager's calls: the process's own pool first, without a network, else a node.
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "manager/certain_read.h"
#include "manager/grouped_calls.h"
#include "manager/manager_parts.h"

namespace cenote {
namespace {

using Flight = std::shared_ptr<InFlight>;

// Whether another place may be asked after this process's own pool.
bool leaves_home(const RoutedCall& call, const Status& status) {
  // Closed here means that this process ends or wants it so.
  return !call.once && error_kind(status) != ErrorKind::kPoolClosed &&
         Router::may_go_on(call, status);
}

Status left_behind_error(const std::string& id) {
  return make_error(ErrorKind::kInterface, "pool '" + id + "': " + kLeftBehind);
}

template <typename T, typename Remote>
Result<T> at_nodes(Router& router, const RoutedCall& call, const QueryOptions& options,
                   Origin* origin, const Remote& remote, Router::Tries tries) {
  std::optional<T> got;
  const Status status = router.run(
      call, options,
      [&](flight::RemotePool& pool, const QueryOptions& now, const Flight& flight) {
        Result<T> answer = remote(pool, now, flight);
        if (answer.ok()) got.emplace(std::move(*answer));
        return answer.status();
      },
      origin, std::move(tries));
  if (!status.ok()) return status;
  return std::move(*got);
}

// `local` calls the own pool, `remote` one on a node; both give a Result<T>.
template <typename T, typename Parts, typename Home, typename Local, typename Remote>
Result<T> from_home(const Parts& parts, const Home& home, const RoutedCall& call,
                    const QueryOptions& options, Origin* origin, const Local& local,
                    const Remote& remote) {
  if (home.group != nullptr) {
    return grouped<T>(
        home.group, call, options, origin,
        [&](const FailoverGroup::Member& member, const QueryOptions& now, Origin* from) {
          if (member.pool != nullptr) return local(*member.pool, now);
          if (home.router == nullptr) return Result<T>(left_behind_error(member.name));
          RoutedCall there = call;
          there.pool_id = member.name;
          return at_nodes<T>(*home.router, there, now, from, remote, {});
        });
  }
  LocalPool* const own = home.own.get();
  Router* const router = home.router;
  if (router == nullptr && own == nullptr) return parts.unknown(call.pool_id);
  const auto at_home = [&]() -> Result<T> {
    Result<T> answer = local(*own, options);
    if (answer.ok() && origin != nullptr) {
      *origin = router == nullptr ? Origin() : router->origin("", "", 1);
    }
    return answer;
  };
  if (router == nullptr || (own != nullptr && router->view().targets(call.pool_id) == nullptr)) {
    return at_home();
  }
  Router::Tries tries;
  QueryOptions left = options;
  if (own != nullptr) {
    const std::shared_ptr<Gate> gate = router->own_gate(call.pool_id);
    const TimePoint begin = Clock::now();
    if (gate->allow(begin)) {
      Result<T> answer = at_home();
      InFlight(gate).ended(answer.status(), {});
      if (answer.ok() || !leaves_home(call, answer.status())) return answer;
      const Duration took = Clock::now() - begin;
      if (options.timeout) {
        if (took >= *options.timeout) return answer;
        left.timeout = *options.timeout - took;
      }
      tries.push_back({"", "", took, answer.status()});
    }
  }
  return at_nodes<T>(*router, call, left, origin, remote, std::move(tries));
}

// The same; once more for each new configuration that has put another pool in the place of the one
// that was asked.
template <typename T, typename Parts, typename Home, typename Local, typename Remote>
Result<T> routed(Parts& parts, Home home, const RoutedCall& call, const QueryOptions& options,
                 Origin* origin, const Local& local, const Remote& remote) {
  constexpr int kMostAttempts = 100;
  Deadline deadline;
  if (options.timeout) deadline = Deadline::in(*options.timeout);
  QueryOptions left = options;
  for (int attempt = 1;; ++attempt) {
    Result<T> answer = from_home<T>(parts, home, call, left, origin, local, remote);
    if (answer.ok() || attempt == kMostAttempts ||
        error_kind(answer.status()) != ErrorKind::kPoolClosed) {
      return answer;
    }
    Home now = parts.home(call.pool_id);
    if (now == home || deadline.passed()) return answer;
    home = std::move(now);
    if (options.timeout) left.timeout = deadline.left();
  }
}

// A stream whose first batch is here, so that it cannot end before it began; counts in its target's
// load until its end.
class RoutedStream final : public arrow::RecordBatchReader {
 public:
  static Result<std::shared_ptr<arrow::RecordBatchReader>> begin(
      std::shared_ptr<arrow::RecordBatchReader> rows, std::string location, Flight flight) {
    flight->answered();
    auto stream = std::make_shared<RoutedStream>();
    ARROW_RETURN_NOT_OK(rows->ReadNext(&stream->first_));
    if (stream->first_ == nullptr) flight.reset();
    stream->rows_ = std::move(rows);
    stream->location_ = std::move(location);
    stream->flight_ = std::move(flight);
    return stream;
  }

  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    *batch = std::exchange(first_, nullptr);
    if (*batch != nullptr) return Status::OK();
    const Status status = rows_->ReadNext(batch);
    if (!status.ok() && flight_ != nullptr) flight_->ended(status, location_);
    if (!status.ok() || *batch == nullptr) flight_.reset();
    return status;
  }

  Status Close() override {
    first_.reset();
    flight_.reset();
    return rows_->Close();
  }

 private:
  std::shared_ptr<arrow::RecordBatchReader> rows_;
  std::shared_ptr<arrow::RecordBatch> first_;
  std::string location_;
  Flight flight_;
};

RoutedCall query_call(std::string_view pool_id, std::string_view sql, const QueryOptions& options,
                      bool routed) {
  RoutedCall call{pool_id};
  if (!routed) return call;
  call.repeatable = options.access ? *options.access == Access::kReadOnly : certainly_reads(sql);
  call.need = call.repeatable ? route::Need::kRead : route::Need::kWrite;
  return call;
}

}  // namespace

Result<std::shared_ptr<arrow::Table>> DistributedPoolManager::execute_query(
    std::string_view pool_id, std::string_view sql, const Params& params,
    const QueryOptions& options, Origin* origin) {
  const Parts::Home home = parts_->home(pool_id);
  return routed<std::shared_ptr<arrow::Table>>(
      *parts_, home, query_call(pool_id, sql, options, home.several()), options, origin,
      [&](LocalPool& pool, const QueryOptions& now) {
        return pool.execute_query(sql, params, now);
      },
      [&](flight::RemotePool& pool, const QueryOptions& now, const Flight& flight) {
        return pool.execute_query(sql, params, now, [&] { flight->answered(); });
      });
}

Result<std::shared_ptr<arrow::RecordBatchReader>> DistributedPoolManager::execute_stream(
    std::string_view pool_id, std::string_view sql, const Params& params,
    const QueryOptions& options, Origin* origin) {
  const Parts::Home home = parts_->home(pool_id);
  return routed<std::shared_ptr<arrow::RecordBatchReader>>(
      *parts_, home, query_call(pool_id, sql, options, home.several()), options, origin,
      [&](LocalPool& pool, const QueryOptions& now) {
        return pool.execute_stream(sql, params, now);
      },
      [&](flight::RemotePool& pool, const QueryOptions& now,
          const Flight& flight) -> Result<std::shared_ptr<arrow::RecordBatchReader>> {
        ARROW_ASSIGN_OR_RAISE(auto rows, pool.execute_stream(sql, params, now));
        return RoutedStream::begin(std::move(rows), pool.location(), flight);
      });
}

Result<int64_t> DistributedPoolManager::execute(std::string_view pool_id, std::string_view sql,
                                                const Params& params, const QueryOptions& options,
                                                Origin* origin) {
  const Parts::Home home = parts_->home(pool_id);
  RoutedCall call{pool_id};
  call.repeatable = options.access == Access::kReadOnly;
  return routed<int64_t>(
      *parts_, home, call, options, origin,
      [&](LocalPool& pool, const QueryOptions& now) { return pool.execute(sql, params, now); },
      [&](flight::RemotePool& pool, const QueryOptions& now, const Flight& /*flight*/) {
        return pool.execute(sql, params, now);
      });
}

Result<int64_t> DistributedPoolManager::ingest(std::string_view pool_id, const IngestTarget& target,
                                               arrow::RecordBatchReader& rows,
                                               const QueryOptions& options, Origin* origin) {
  const Parts::Home home = parts_->home(pool_id);
  RoutedCall call{pool_id};
  call.once = true;
  return routed<int64_t>(
      *parts_, home, call, options, origin,
      [&](LocalPool& pool, const QueryOptions& now) { return pool.ingest(target, rows, now); },
      [&](flight::RemotePool& pool, const QueryOptions& now, const Flight& /*flight*/) {
        return pool.ingest(target, rows, now);
      });
}

Result<Transaction> DistributedPoolManager::begin(std::string_view pool_id,
                                                  const TransactionOptions& transaction,
                                                  const QueryOptions& options, Origin* origin) {
  const Parts::Home home = parts_->home(pool_id);
  RoutedCall call{pool_id};
  // One that began unheard of is rolled back by its node.
  call.repeatable = true;
  call.lasting = true;
  call.need = transaction.read_only ? route::Need::kRead : route::Need::kWrite;
  return routed<Transaction>(
      *parts_, home, call, options, origin,
      [&](LocalPool& pool, const QueryOptions& now) { return pool.begin(transaction, now); },
      [&](flight::RemotePool& pool, const QueryOptions& now, const Flight& /*flight*/) {
        return pool.begin(transaction, now);
      });
}

std::vector<std::string> DistributedPoolManager::discover_pools() const {
  std::vector<std::string> ids = list_pools();
  if (const Router* router = parts_->router()) {
    for (std::string& id : router->view().pool_ids()) ids.push_back(std::move(id));
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

std::optional<ClusterStatus> DistributedPoolManager::cluster_status() const {
  if (parts_->left_behind()) {
    ClusterStatus status;
    status.last_error = kLeftBehind;
    return status;
  }
  if (parts_->router_ == nullptr) return std::nullopt;
  return parts_->router_->status();
}

}  // namespace cenote
