// LocalPool for Python: blocking and asynchronous calls, status, metrics.
#include "pool.h"

#include <chrono>

#include <arrow/table.h>

#include "error.h"
#include "frame.h"
#include "interrupt.h"
#include "params.h"
#include "workers.h"

namespace cenote::python {
namespace {

double seconds_of(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Inserts by a checked-out connection, so that waiting for it holds no thread.
void async_ingest(const PoolHandle& self, const Loop& loop, uint64_t token, const Stop& stop,
                  const std::string& table, IngestMode mode, nb::handle source,
                  const CallOptions& call) {
  auto rows = reader_from(source);
  const Reply reply{loop.queue, token};
  QueryOptions options = options_from(call, stop);
  CallContext context{call.timeout ? Deadline::in(seconds(*call.timeout)) : Deadline(),
                      options.stop};
  const Leave left;
  self.pool->async_with_lease(std::move(options), [=](Result<Lease> lease) {
    if (!lease.ok()) return reply.send(lease.status());
    auto inserted = (*lease)->ingest(context, {table, mode}, *rows);
    if (!inserted.ok() && poisons_connection(inserted.status())) lease->discard();
    lease->give_back();  // before the caller hears of it
    reply.send(std::move(inserted), [](int64_t count) { return nb::object(nb::int_(count)); });
  });
}

void bind_async(nb::class_<PoolHandle>& pool) {
  pool.def(
      "async_query",
      [](const PoolHandle& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::string sql, nb::handle params, const CallOptions& call) {
        Params values = params_from(params);
        const Leave left;
        self.pool->async_query(
            std::move(sql), std::move(values), options_from(call, stop),
            [reply = Reply{loop.queue, token}](Result<std::shared_ptr<arrow::Table>> table) {
              reply.send(std::move(table), [](std::shared_ptr<arrow::Table> got) {
                return nb::cast(Frame{std::move(got)});
              });
            });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  pool.def(
      "async_execute",
      [](const PoolHandle& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::string sql, nb::handle params, const CallOptions& call) {
        Params values = params_from(params);
        const Leave left;
        self.pool->async_execute(
            std::move(sql), std::move(values), options_from(call, stop),
            [reply = Reply{loop.queue, token}](Result<int64_t> count) {
              reply.send(std::move(count), [](int64_t got) { return nb::object(nb::int_(got)); });
            });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  pool.def(
      "async_stream",
      [](const PoolHandle& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::string sql, nb::handle params, const CallOptions& call) {
        Params values = params_from(params);
        const Leave left;
        self.pool->async_stream(std::move(sql), std::move(values), options_from(call, stop),
                                [reply = Reply{loop.queue, token},
                                 stop](Result<std::shared_ptr<arrow::RecordBatchReader>> reader) {
                                  reply.send(std::move(reader),
                                             [stop](std::shared_ptr<arrow::RecordBatchReader> got) {
                                               return nb::cast(make_stream(std::move(got), stop));
                                             });
                                });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  pool.def(
      "async_connect",
      [](const PoolHandle& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::optional<Isolation> begin, bool read_only, const CallOptions& call) {
        const Leave left;
        PooledConnection::open_async(
            self.pool.share(), connect_options(call, stop, read_only),
            transaction_of(begin, read_only),
            [reply = Reply{loop.queue, token}](Result<PooledConnection> opened) {
              reply.send(std::move(opened), [](PooledConnection got) {
                return nb::cast(ConnectionHandle(std::move(got)));
              });
            });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg());
  pool.def("async_ingest", async_ingest);
  pool.def("async_health_check", [](const PoolHandle& self, const Loop& loop, uint64_t token,
                                    const Stop& stop, double timeout) {
    run_on_worker([local = self.pool.share(), reply = Reply{loop.queue, token}, timeout, stop] {
      reply.send(local->health_check({Deadline::in(seconds(timeout)), stop.source.get_token()}));
    });
  });
}

}  // namespace

nb::dict status_dict(const PoolStatus& status) {
  nb::dict dict;
  dict["pool_id"] = status.id;
  dict["db_type"] = status.type;
  dict["endpoint"] = status.endpoint;
  dict["max_connections"] = status.max;
  dict["total_connections"] = status.total;
  dict["active_connections"] = status.active;
  dict["idle_connections"] = status.idle;
  dict["connecting_connections"] = status.connecting;
  dict["waiting_connections"] = status.waiting;
  dict["is_healthy"] = !status.closed && status.health != HealthState::kDown;
  dict["health"] = std::string(to_string(status.health));
  dict["read_only"] = status.read_only;
  dict["paused"] = status.paused;
  dict["closed"] = status.closed;
  dict["last_error"] =
      status.last_error.empty() ? nb::object(nb::none()) : nb::object(nb::cast(status.last_error));
  dict["uptime_seconds"] = seconds_of(status.uptime);
  return dict;
}

nb::dict metrics_dict(const LocalPool& pool) {
  const PoolMetrics metrics = pool.get_metrics();
  const double total = static_cast<double>(metrics.queries);
  nb::dict dict;
  dict["pool_id"] = pool.id();
  dict["queries_per_second"] = metrics.queries_per_second;
  dict["connection_utilization"] = metrics.utilization;
  dict["avg_query_time_ms"] = seconds_of(metrics.query_mean) * 1e3;
  dict["p50_query_time_ms"] = seconds_of(metrics.query_p50) * 1e3;
  dict["p99_query_time_ms"] = seconds_of(metrics.query_p99) * 1e3;
  dict["error_rate"] = total > 0 ? static_cast<double>(metrics.errors) / total : 0.0;
  dict["total_queries"] = metrics.queries;
  dict["total_errors"] = metrics.errors;
  dict["total_rows"] = metrics.rows;
  dict["cache_hit_rate"] = 0.0;
  return dict;
}

QueryOptions connect_options(const CallOptions& call, const Stop& stop, bool read_only) {
  QueryOptions options = options_from(call, stop);
  options.access = read_only ? Access::kReadOnly : Access::kReadWrite;
  return options;
}

std::optional<TransactionOptions> transaction_of(std::optional<Isolation> begin, bool read_only) {
  if (!begin) return std::nullopt;
  return TransactionOptions{*begin, read_only};
}

Duration seconds(double count) {
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(std::max(count, 0.0), 1e9)));
}

QueryOptions options_from(const CallOptions& call, const Stop& stop) {
  QueryOptions options;
  if (call.timeout) options.timeout = seconds(*call.timeout);
  options.stop = stop.source.get_token();
  if (call.batch_rows > 0) options.limits.rows = call.batch_rows;
  if (call.read_only) options.access = *call.read_only ? Access::kReadOnly : Access::kReadWrite;
  options.tag = call.tag;
  return options;
}

void bind_pool(nb::module_& module) {
  nb::class_<Stop>(module, "Stop").def(nb::init<>()).def("request", [](Stop& stop) {
    const Leave left;
    stop.source.request_stop();
  });
  nb::class_<CallOptions>(module, "CallOptions")
      .def(
          "__init__",
          [](CallOptions* self, std::optional<double> timeout, std::optional<bool> read_only,
             std::string tag,
             int64_t rows) { new (self) CallOptions{timeout, read_only, std::move(tag), rows}; },
          nb::arg("timeout").none(), nb::arg("read_only").none(), nb::arg("tag"),
          nb::arg("batch_rows"));
  nb::class_<Loop>(module, "Completions")
      .def(nb::init<>())
      .def("fileno", [](const Loop& loop) { return loop.queue->fd(); })
      .def("deliver",
           [](const Loop& loop, const nb::dict& waiting) { loop.queue->deliver(waiting); });
  nb::enum_<Isolation>(module, "Isolation")
      .value("DEFAULT", Isolation::kDefault)
      .value("READ_COMMITTED", Isolation::kReadCommitted)
      .value("REPEATABLE_READ", Isolation::kRepeatableRead)
      .value("SERIALIZABLE", Isolation::kSerializable);
  nb::enum_<IngestMode>(module, "IngestMode")
      .value("append", IngestMode::kAppend)
      .value("create", IngestMode::kCreate)
      .value("replace", IngestMode::kReplace)
      .value("create_append", IngestMode::kCreateAppend);

  nb::class_<PoolHandle> pool(module, "Pool");
  pool.def("id", [](const PoolHandle& self) { return self.pool->id(); })
      .def(
          "query",
          [](const PoolHandle& self, const std::string& sql, nb::handle params,
             const CallOptions& call) {
            const Params values = params_from(params);
            const Stop stop;
            return Frame{blocking(stop.source, [&] {
              return self.pool->execute_query(sql, values, options_from(call, stop));
            })};
          },
          nb::arg(), nb::arg().none(), nb::arg())
      .def(
          "execute",
          [](const PoolHandle& self, const std::string& sql, nb::handle params,
             const CallOptions& call) {
            const Params values = params_from(params);
            const Stop stop;
            return blocking(stop.source, [&] {
              return self.pool->execute(sql, values, options_from(call, stop));
            });
          },
          nb::arg(), nb::arg().none(), nb::arg())
      .def(
          "stream",
          [](const PoolHandle& self, const std::string& sql, nb::handle params,
             const CallOptions& call) {
            const Params values = params_from(params);
            const Stop stop;
            return make_stream(blocking(stop.source,
                                        [&] {
                                          return self.pool->execute_stream(
                                              sql, values, options_from(call, stop));
                                        }),
                               stop);
          },
          nb::arg(), nb::arg().none(), nb::arg())
      .def("ingest",
           [](const PoolHandle& self, const std::string& table, IngestMode mode, nb::handle source,
              const CallOptions& call) {
             const auto rows = reader_from(source);
             const Stop stop;
             return blocking(stop.source, [&] {
               return self.pool->ingest({table, mode}, *rows, options_from(call, stop));
             });
           })
      .def(
          "connect",
          [](const PoolHandle& self, std::optional<Isolation> begin, bool read_only,
             const CallOptions& call) {
            const Stop stop;
            return ConnectionHandle(blocking(stop.source, [&] {
              return PooledConnection::open(self.pool.share(),
                                            connect_options(call, stop, read_only),
                                            transaction_of(begin, read_only));
            }));
          },
          nb::arg().none(), nb::arg(), nb::arg())
      .def("status", [](const PoolHandle& self) { return status_dict(self.pool->get_status()); })
      .def("metrics", [](const PoolHandle& self) { return metrics_dict(*self.pool); })
      .def("health_check",
           [](const PoolHandle& self, double timeout) {
             const Stop stop;
             blocking(stop.source, [&] {
               return done(self.pool->health_check(
                   {Deadline::in(seconds(timeout)), stop.source.get_token()}));
             });
           })
      .def("resize",
           [](const PoolHandle& self, int most, int least) {
             unlocked([&] { return done(self.pool->resize(most, least)); });
           })
      .def("drain", [](const PoolHandle& self, double timeout) {
        blocking([&] { (void)self.pool->drain(Deadline::in({})); },
                 [&] { return done(self.pool->drain(Deadline::in(seconds(timeout)))); });
      });
  bind_async(pool);
}

}  // namespace cenote::python
