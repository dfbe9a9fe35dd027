// A LocalPool's asynchronous calls: they wait for a connection without a thread, then run on the
// executor.
#include <utility>

#include <arrow/table.h>

#include "base/clip.h"
#include "pool/local_pool_parts.h"

namespace cenote {
namespace {

// The tag an asynchronous call carries: its options' own or the beginning of the statement.
std::string tag_of(const Call& call) {
  return std::string(clipped(call.tag, 96));
}

}  // namespace

void LocalPool::async_with_lease(QueryOptions options, std::function<void(Result<Lease>)> work) {
  const Parts& mine = parts();
  const Call call = mine.call("checkout", options, !options.access);
  mine.connection_pool->checkout_async(
      call.wait, call.access, tag_of(call),
      [self = shared_from_this(), &mine, work = std::move(work)](Result<Lease> lease) {
        if (lease.ok()) return work(std::move(lease));
        mine.metrics->failed();
        work(with_origin(lease.status(), mine.config.id, mine.database->endpoint()));
      });
}

void LocalPool::async_query(std::string sql, Params params, QueryOptions options,
                            Completion<std::shared_ptr<arrow::Table>> done) {
  const Parts& mine = parts();
  const Call call = mine.call(sql, options, false);
  options.access = call.access;
  options.tag = tag_of(call);
  const BatchLimits limits = options.limits;
  async_with_lease(std::move(options), [&mine, self = shared_from_this(), call, limits,
                                        sql = std::move(sql), params = std::move(params),
                                        done = std::move(done)](Result<Lease> lease) {
    if (!lease.ok()) return done(lease.status());
    Result<std::shared_ptr<arrow::Table>> table = mine.query_on(*lease, call, sql, params, limits);
    lease->give_back();  // before the caller hears of it: the next call finds it free
    done(std::move(table));
  });
}

void LocalPool::async_stream(std::string sql, Params params, QueryOptions options,
                             Completion<std::shared_ptr<arrow::RecordBatchReader>> done) {
  const Parts& mine = parts();
  const Call call = mine.call(sql, options, false);
  options.access = call.access;
  options.tag = tag_of(call);
  const BatchLimits limits = options.limits;
  async_with_lease(std::move(options),
                   [&mine, self = shared_from_this(), call, limits, sql = std::move(sql),
                    params = std::move(params), done = std::move(done)](Result<Lease> lease) {
                     if (!lease.ok()) return done(lease.status());
                     done(open_stream(self, mine, std::move(*lease), call, sql, params, limits));
                   });
}

void LocalPool::async_execute(std::string sql, Params params, QueryOptions options,
                              Completion<int64_t> done) {
  const Parts& mine = parts();
  const Call call = mine.call(sql, options, true);
  options.access = call.access;
  options.tag = tag_of(call);
  async_with_lease(std::move(options),
                   [&mine, self = shared_from_this(), call, sql = std::move(sql),
                    params = std::move(params), done = std::move(done)](Result<Lease> lease) {
                     if (!lease.ok()) return done(lease.status());
                     Result<int64_t> affected = mine.execute_on(*lease, call, sql, params);
                     lease->give_back();
                     done(std::move(affected));
                   });
}

void LocalPool::async_begin(TransactionOptions transaction, QueryOptions options,
                            Completion<Transaction> done) {
  const Parts& mine = parts();
  const Call call = mine.call("transaction", options, !transaction.read_only);
  options.access = call.access;
  options.tag = tag_of(call);
  async_with_lease(std::move(options), [self = shared_from_this(), call, transaction,
                                        done = std::move(done)](Result<Lease> lease) {
    if (!lease.ok()) return done(lease.status());
    done(self->begin_on(std::move(*lease), call, transaction));
  });
}

}  // namespace cenote
