// A checked-out connection and its transaction: each step blocks, or runs on a worker and answers
// the loop.
#include <arrow/table.h>

#include "error.h"
#include "frame.h"
#include "interrupt.h"
#include "params.h"
#include "pool.h"
#include "workers.h"

namespace cenote::python {
namespace {

// What one step does, apart from how it is waited for. Made with the GIL, run without it.
auto query_work(std::string sql, nb::handle params, const CallOptions& call, const Stop& stop) {
  return [sql = std::move(sql), values = params_from(params),
          options = options_from(call, stop)](PooledConnection& connection) {
    return connection.execute_query(sql, values, options);
  };
}

auto execute_work(std::string sql, nb::handle params, const CallOptions& call, const Stop& stop) {
  return [sql = std::move(sql), values = params_from(params), options = options_from(call, stop)](
             PooledConnection& connection) { return connection.execute(sql, values, options); };
}

auto stream_work(std::string sql, nb::handle params, const CallOptions& call, const Stop& stop) {
  return [sql = std::move(sql), values = params_from(params),
          options = options_from(call, stop)](PooledConnection& connection) {
    return connection.execute_stream(sql, values, options);
  };
}

auto ingest_work(std::string table, IngestMode mode, nb::handle source, const CallOptions& call,
                 const Stop& stop) {
  return [target = IngestTarget{std::move(table), mode}, rows = reader_from(source),
          options = options_from(call, stop)](PooledConnection& connection) {
    return connection.ingest(target, *rows, options);
  };
}

// commit, rollback, savepoint, release, rollback_to; with `last` the connection goes back after it.
auto step_work(std::string verb, std::string name, bool last) {
  return [verb = std::move(verb), name = std::move(name), last](PooledConnection& connection) {
    const auto step = [&]() -> Status {
      if (verb == "commit") return connection.commit();
      if (verb == "rollback") return connection.rollback();
      if (verb == "savepoint") return connection.savepoint(name);
      if (verb == "release") return connection.release(name);
      if (verb == "rollback_to") return connection.rollback_to(name);
      return make_error(ErrorKind::kInterface, "no step of a connection: " + verb);
    };
    const Status status = verb == "close" ? Status::OK() : step();
    if (last) connection.give_back();
    return done(status);
  };
}

auto begin_work(Isolation isolation, bool read_only, const CallOptions& call, const Stop& stop) {
  return [isolation, read_only, options = options_from(call, stop)](PooledConnection& connection) {
    return done(connection.begin({isolation, read_only}, options));
  };
}

template <typename Work>
auto locked(ConnectionState& state, const Work& work) {
  const Lock lock(state.mutex);
  return work(state.connection);
}

template <typename Work>
auto run(const ConnectionHandle& self, const Stop& stop, const Work& work) {
  return blocking(stop.source, [&] { return locked(*self.state, work); });
}

template <typename Work, typename Make>
void post(const ConnectionHandle& self, const Loop& loop, uint64_t token, Work work, Make make) {
  run_on_worker([state = self.state.share(), reply = Reply{loop.queue, token},
                 work = std::move(work), make] { reply.send(locked(*state, work), make); });
}

nb::object integer(int64_t value) {
  return nb::int_(value);
}
nb::object none(bool) {
  return nb::none();
}

void bind_async(nb::class_<ConnectionHandle>& connection) {
  connection.def(
      "async_query",
      [](const ConnectionHandle& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::string sql, nb::handle params, const CallOptions& call) {
        post(self, loop, token, query_work(std::move(sql), params, call, stop),
             [](std::shared_ptr<arrow::Table> table) { return nb::cast(Frame{std::move(table)}); });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  connection.def(
      "async_execute",
      [](const ConnectionHandle& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::string sql, nb::handle params, const CallOptions& call) {
        post(self, loop, token, execute_work(std::move(sql), params, call, stop), integer);
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  connection.def(
      "async_stream",
      [](const ConnectionHandle& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::string sql, nb::handle params, const CallOptions& call) {
        post(self, loop, token, stream_work(std::move(sql), params, call, stop),
             [stop](std::shared_ptr<arrow::RecordBatchReader> reader) {
               return nb::cast(make_stream(std::move(reader), stop));
             });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  connection.def("async_ingest", [](const ConnectionHandle& self, const Loop& loop, uint64_t token,
                                    const Stop& stop, std::string table, IngestMode mode,
                                    nb::handle source, const CallOptions& call) {
    post(self, loop, token, ingest_work(std::move(table), mode, source, call, stop), integer);
  });
  connection.def("async_begin", [](const ConnectionHandle& self, const Loop& loop, uint64_t token,
                                   const Stop& stop, Isolation isolation, bool read_only,
                                   const CallOptions& call) {
    post(self, loop, token, begin_work(isolation, read_only, call, stop), none);
  });
  connection.def("async_step", [](const ConnectionHandle& self, const Loop& loop, uint64_t token,
                                  std::string verb, std::string name, bool last) {
    post(self, loop, token, step_work(std::move(verb), std::move(name), last), none);
  });
}

}  // namespace

void bind_connection(nb::module_& module) {
  nb::class_<ConnectionHandle> connection(module, "Connection");
  connection
      .def(
          "query",
          [](const ConnectionHandle& self, std::string sql, nb::handle params,
             const CallOptions& call) {
            const Stop stop;
            return Frame{run(self, stop, query_work(std::move(sql), params, call, stop))};
          },
          nb::arg(), nb::arg().none(), nb::arg())
      .def(
          "execute",
          [](const ConnectionHandle& self, std::string sql, nb::handle params,
             const CallOptions& call) {
            const Stop stop;
            return run(self, stop, execute_work(std::move(sql), params, call, stop));
          },
          nb::arg(), nb::arg().none(), nb::arg())
      .def(
          "stream",
          [](const ConnectionHandle& self, std::string sql, nb::handle params,
             const CallOptions& call) {
            const Stop stop;
            return make_stream(run(self, stop, stream_work(std::move(sql), params, call, stop)),
                               stop);
          },
          nb::arg(), nb::arg().none(), nb::arg())
      .def("ingest",
           [](const ConnectionHandle& self, std::string table, IngestMode mode, nb::handle source,
              const CallOptions& call) {
             const Stop stop;
             return run(self, stop, ingest_work(std::move(table), mode, source, call, stop));
           })
      .def("begin",
           [](const ConnectionHandle& self, Isolation isolation, bool read_only,
              const CallOptions& call) {
             const Stop stop;
             run(self, stop, begin_work(isolation, read_only, call, stop));
           })
      .def("step",
           [](const ConnectionHandle& self, std::string verb, std::string name, bool last) {
             run(self, Stop(), step_work(std::move(verb), std::move(name), last));
           })
      .def("in_transaction", [](const ConnectionHandle& self) {
        const Leave left;
        const Lock lock(self.state->mutex);
        return self.state->connection.in_transaction();
      });
  bind_async(connection);
}

}  // namespace cenote::python
