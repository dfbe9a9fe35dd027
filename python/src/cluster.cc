// Pools of a manager whose calls may go to nodes.
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <arrow/table.h>

#include "base/watchdog.h"
#include "error.h"
#include "frame.h"
#include "interrupt.h"
#include "params.h"
#include "pool.h"
#include "workers.h"

namespace cenote::python {
namespace {

using Manager = std::shared_ptr<DistributedPoolManager>;
using TablePtr = std::shared_ptr<arrow::Table>;
using ReaderPtr = std::shared_ptr<arrow::RecordBatchReader>;

struct ClusterPool {
  Held<DistributedPoolManager> manager;
  std::string id;
};

// With the place that the value came from.
template <typename T>
struct From {
  T value;
  Origin origin;
};

Result<From<TablePtr>> query(DistributedPoolManager& manager, const std::string& id,
                             const std::string& sql, const Params& params,
                             const QueryOptions& options) {
  From<TablePtr> got;
  ARROW_ASSIGN_OR_RAISE(got.value, manager.execute_query(id, sql, params, options, &got.origin));
  return got;
}

Result<From<ReaderPtr>> stream(DistributedPoolManager& manager, const std::string& id,
                               const std::string& sql, const Params& params,
                               const QueryOptions& options) {
  From<ReaderPtr> got;
  ARROW_ASSIGN_OR_RAISE(got.value, manager.execute_stream(id, sql, params, options, &got.origin));
  return got;
}

Result<PooledConnection> connect(DistributedPoolManager& manager, const std::string& id,
                                 const std::optional<TransactionOptions>& begin,
                                 const QueryOptions& options) {
  if (!begin) {
    const Result<std::shared_ptr<LocalPool>> own = manager.pool(id);
    if (own.ok()) return PooledConnection::open(*own, options);
    return make_error(ErrorKind::kNotSupported,
                      "pool '" + id +
                          "' is on other nodes, where a connection is kept only for a "
                          "transaction: use transaction(), or create the pool in this process");
  }
  QueryOptions now = options;
  now.access.reset();
  ARROW_ASSIGN_OR_RAISE(Transaction transaction, manager.begin(id, *begin, now));
  return PooledConnection::of(std::move(transaction));
}

// What only a pool of this process can be asked.
std::shared_ptr<LocalPool> own_pool(const ClusterPool& self) {
  Result<std::shared_ptr<LocalPool>> own = self.manager->pool(self.id);
  const std::vector<std::string> all = self.manager->discover_pools();
  if (own.ok() || std::find(all.begin(), all.end(), self.id) == all.end()) return unwrap(own);
  return unwrap(Result<std::shared_ptr<LocalPool>>(
      make_error(ErrorKind::kNotSupported,
                 "pool '" + self.id +
                     "' is on other nodes, and this asks a pool of this process: cluster_status() "
                     "and 'cenote pools' tell how it is there")));
}

// A round trip to the database, wherever the pool is.
Status check(DistributedPoolManager& manager, const std::string& id, const CallContext& context) {
  const Result<std::shared_ptr<LocalPool>> own = manager.pool(id);
  if (own.ok()) return (*own)->health_check(context);
  QueryOptions options;
  options.timeout = context.deadline.left();
  options.stop = context.stop;
  options.access = Access::kReadOnly;
  return manager.execute_query(id, "select 1", {}, options).status();
}

nb::object frame(From<TablePtr> got) {
  return nb::cast(Frame{std::move(got.value), std::move(got.origin)});
}

void bind_sync(nb::class_<ClusterPool>& pool) {
  pool.def("id", [](const ClusterPool& self) { return self.id; })
      .def(
          "query",
          [](const ClusterPool& self, const std::string& sql, nb::handle params,
             const CallOptions& call) {
            const Params values = params_from(params);
            const Stop stop;
            return frame(blocking(stop.source, [&] {
              return query(*self.manager, self.id, sql, values, options_from(call, stop));
            }));
          },
          nb::arg(), nb::arg().none(), nb::arg())
      .def(
          "execute",
          [](const ClusterPool& self, const std::string& sql, nb::handle params,
             const CallOptions& call) {
            const Params values = params_from(params);
            const Stop stop;
            return blocking(stop.source, [&] {
              return self.manager->execute(self.id, sql, values, options_from(call, stop));
            });
          },
          nb::arg(), nb::arg().none(), nb::arg())
      .def(
          "stream",
          [](const ClusterPool& self, const std::string& sql, nb::handle params,
             const CallOptions& call) {
            const Params values = params_from(params);
            const Stop stop;
            auto got = blocking(stop.source, [&] {
              return stream(*self.manager, self.id, sql, values, options_from(call, stop));
            });
            return make_stream(std::move(got.value), stop, std::move(got.origin));
          },
          nb::arg(), nb::arg().none(), nb::arg())
      .def("ingest",
           [](const ClusterPool& self, const std::string& table, IngestMode mode, nb::handle source,
              const CallOptions& call) {
             const auto rows = reader_from(source);
             const Stop stop;
             return blocking(stop.source, [&] {
               return self.manager->ingest(self.id, {table, mode}, *rows, options_from(call, stop));
             });
           })
      .def(
          "connect",
          [](const ClusterPool& self, std::optional<Isolation> begin, bool read_only,
             const CallOptions& call) {
            const Stop stop;
            return ConnectionHandle(blocking(stop.source, [&] {
              return connect(*self.manager, self.id, transaction_of(begin, read_only),
                             connect_options(call, stop, read_only));
            }));
          },
          nb::arg().none(), nb::arg(), nb::arg())
      .def("status",
           [](const ClusterPool& self) { return status_dict(own_pool(self)->get_status()); })
      .def("metrics", [](const ClusterPool& self) { return metrics_dict(*own_pool(self)); })
      .def("health_check",
           [](const ClusterPool& self, double timeout) {
             const Stop stop;
             blocking(stop.source, [&] {
               return done(check(*self.manager, self.id,
                                 {Deadline::in(seconds(timeout)), stop.source.get_token()}));
             });
           })
      .def("resize",
           [](const ClusterPool& self, int most, int least) {
             const auto own = own_pool(self);
             unlocked([&] { return done(own->resize(most, least)); });
           })
      .def("drain", [](const ClusterPool& self, double timeout) {
        const auto own = own_pool(self);
        blocking([&] { (void)own->drain(Deadline::in({})); },
                 [&] { return done(own->drain(Deadline::in(seconds(timeout)))); });
      });
}

// A call over a network blocks its thread until the answer begins. Its time runs from here, not
// from when a thread takes it up, and may end before that.
template <typename Work>
void post(QueryOptions options, Reply reply, Work work) {
  const Deadline deadline = options.timeout ? Deadline::in(*options.timeout) : Deadline();
  const auto taken = std::make_shared<std::atomic<bool>>(false);
  const auto guard = std::make_shared<InterruptGuard>(CallContext{deadline, {}}, [reply, taken] {
    if (taken->exchange(true)) return;
    ErrorDetail detail;
    detail.kind = ErrorKind::kQueryTimeout;
    detail.sent = Sent::kNo;
    reply.send(
        make_error(std::move(detail),
                   "the time was over before the statement was sent: too many calls to nodes "
                   "wait for their answers in this process"));
  });
  run_far_call([options = std::move(options), reply, work = std::move(work), deadline, taken,
                guard]() mutable {
    if (taken->exchange(true)) return;
    if (options.timeout) options.timeout = deadline.left();
    work(options, reply);
  });
}

void bind_async(nb::class_<ClusterPool>& pool) {
  pool.def(
      "async_query",
      [](const ClusterPool& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::string sql, nb::handle params, const CallOptions& call) {
        post(options_from(call, stop), Reply{loop.queue, token},
             [manager = self.manager.share(), id = self.id, sql = std::move(sql),
              values = params_from(params)](const QueryOptions& options, const Reply& reply) {
               reply.send(query(*manager, id, sql, values, options), frame);
             });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  pool.def(
      "async_execute",
      [](const ClusterPool& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::string sql, nb::handle params, const CallOptions& call) {
        post(options_from(call, stop), Reply{loop.queue, token},
             [manager = self.manager.share(), id = self.id, sql = std::move(sql),
              values = params_from(params)](const QueryOptions& options, const Reply& reply) {
               reply.send(manager->execute(id, sql, values, options),
                          [](int64_t count) { return nb::object(nb::int_(count)); });
             });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  pool.def(
      "async_stream",
      [](const ClusterPool& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::string sql, nb::handle params, const CallOptions& call) {
        post(options_from(call, stop), Reply{loop.queue, token},
             [manager = self.manager.share(), id = self.id, sql = std::move(sql),
              values = params_from(params), stop](const QueryOptions& options, const Reply& reply) {
               reply.send(stream(*manager, id, sql, values, options), [stop](From<ReaderPtr> got) {
                 return nb::cast(make_stream(std::move(got.value), stop, std::move(got.origin)));
               });
             });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  pool.def(
      "async_connect",
      [](const ClusterPool& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::optional<Isolation> begin, bool read_only, const CallOptions& call) {
        post(connect_options(call, stop, read_only), Reply{loop.queue, token},
             [manager = self.manager.share(), id = self.id,
              transaction = transaction_of(begin, read_only)](const QueryOptions& options,
                                                              const Reply& reply) {
               reply.send(connect(*manager, id, transaction, options), [](PooledConnection got) {
                 return nb::cast(ConnectionHandle(std::move(got)));
               });
             });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg());
  pool.def("async_ingest", [](const ClusterPool& self, const Loop& loop, uint64_t token,
                              const Stop& stop, const std::string& table, IngestMode mode,
                              nb::handle source, const CallOptions& call) {
    post(options_from(call, stop), Reply{loop.queue, token},
         [manager = self.manager.share(), id = self.id, target = IngestTarget{table, mode},
          rows = reader_from(source)](const QueryOptions& options, const Reply& reply) {
           reply.send(manager->ingest(id, target, *rows, options),
                      [](int64_t count) { return nb::object(nb::int_(count)); });
         });
  });
  pool.def("async_health_check", [](const ClusterPool& self, const Loop& loop, uint64_t token,
                                    const Stop& stop, double timeout) {
    run_far_call([manager = self.manager.share(), id = self.id, timeout, stop,
                  reply = Reply{loop.queue, token}] {
      reply.send(check(*manager, id, {Deadline::in(seconds(timeout)), stop.source.get_token()}));
    });
  });
}

}  // namespace

nb::object pool_object(const Manager& manager, const std::string& id) {
  if (manager->mode() == DeploymentMode::kStandalone && !manager->has_failover(id)) {
    return nb::cast(PoolHandle(unwrap(manager->pool(id))));
  }
  return nb::cast(ClusterPool{Held<DistributedPoolManager>(manager), id});
}

void bind_cluster(nb::module_& module) {
  nb::class_<ClusterPool> pool(module, "ClusterPool");
  bind_sync(pool);
  bind_async(pool);
}

}  // namespace cenote::python
