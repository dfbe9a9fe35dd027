// An open transaction: each step blocks, or runs on a worker and answers the loop.
#include <arrow/table.h>

#include "error.h"
#include "frame.h"
#include "interrupt.h"
#include "params.h"
#include "pool.h"
#include "workers.h"

namespace cenote::python {
namespace {

Result<bool> done(const Status& status) {
  return status.ok() ? Result<bool>(true) : Result<bool>(status);
}

// commit, rollback, savepoint, release, rollback_to
Status step(TransactionState& state, const std::string& verb, const std::string& name) {
  const Lock lock(state.mutex);
  if (verb == "commit") return state.transaction.commit();
  if (verb == "rollback") return state.transaction.rollback();
  if (verb == "savepoint") return state.transaction.savepoint(name);
  if (verb == "release") return state.transaction.release(name);
  if (verb == "rollback_to") return state.transaction.rollback_to(name);
  return make_error(ErrorKind::kInterface, "no step of a transaction: " + verb);
}

Result<std::shared_ptr<arrow::Table>> query(TransactionState& state, const std::string& sql,
                                            const Params& params, const QueryOptions& options) {
  const Lock lock(state.mutex);
  return state.transaction.execute_query(sql, params, options);
}

Result<int64_t> execute(TransactionState& state, const std::string& sql, const Params& params,
                        const QueryOptions& options) {
  const Lock lock(state.mutex);
  return state.transaction.execute(sql, params, options);
}

Result<int64_t> ingest(TransactionState& state, const IngestTarget& target,
                       arrow::RecordBatchReader& rows, const QueryOptions& options) {
  const Lock lock(state.mutex);
  return state.transaction.ingest(target, rows, options);
}

void bind_async(nb::class_<TransactionHandle>& tx) {
  tx.def(
      "async_query",
      [](const TransactionHandle& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::string sql, nb::handle params, const CallOptions& call) {
        run_on_worker([state = self.state, reply = Reply{loop.queue, token},
                       options = options_from(call, stop), sql, values = params_from(params)] {
          reply.send(query(*state, sql, values, options), [](std::shared_ptr<arrow::Table> got) {
            return nb::cast(Frame{std::move(got)});
          });
        });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  tx.def(
      "async_execute",
      [](const TransactionHandle& self, const Loop& loop, uint64_t token, const Stop& stop,
         std::string sql, nb::handle params, const CallOptions& call) {
        run_on_worker([state = self.state, reply = Reply{loop.queue, token},
                       options = options_from(call, stop), sql, values = params_from(params)] {
          reply.send(execute(*state, sql, values, options),
                     [](int64_t got) { return nb::object(nb::int_(got)); });
        });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  tx.def("async_ingest", [](const TransactionHandle& self, const Loop& loop, uint64_t token,
                            const Stop& stop, const std::string& table, IngestMode mode,
                            nb::handle source, const CallOptions& call) {
    run_on_worker([state = self.state, reply = Reply{loop.queue, token},
                   options = options_from(call, stop), table, mode, rows = reader_from(source)] {
      reply.send(ingest(*state, {table, mode}, *rows, options),
                 [](int64_t got) { return nb::object(nb::int_(got)); });
    });
  });
  tx.def("async_step", [](const TransactionHandle& self, const Loop& loop, uint64_t token,
                          std::string verb, std::string name) {
    run_on_worker([state = self.state, reply = Reply{loop.queue, token}, verb, name] {
      reply.send(step(*state, verb, name));
    });
  });
}

}  // namespace

void bind_transaction(nb::module_& module) {
  nb::class_<TransactionHandle> tx(module, "Transaction");
  tx.def(
        "query",
        [](const TransactionHandle& self, const std::string& sql, nb::handle params,
           const CallOptions& call) {
          const Params values = params_from(params);
          const Stop stop;
          return Frame{blocking(stop.source, [&] {
            return query(*self.state, sql, values, options_from(call, stop));
          })};
        },
        nb::arg(), nb::arg().none(), nb::arg())
      .def(
          "execute",
          [](const TransactionHandle& self, const std::string& sql, nb::handle params,
             const CallOptions& call) {
            const Params values = params_from(params);
            const Stop stop;
            return blocking(stop.source, [&] {
              return execute(*self.state, sql, values, options_from(call, stop));
            });
          },
          nb::arg(), nb::arg().none(), nb::arg())
      .def(
          "stream",
          [](const TransactionHandle& self, const std::string& sql, nb::handle params,
             const CallOptions& call) {
            const Params values = params_from(params);
            const Stop stop;
            return make_stream(blocking(stop.source,
                                        [&] {
                                          const Lock lock(self.state->mutex);
                                          return self.state->transaction.execute_stream(
                                              sql, values, options_from(call, stop));
                                        }),
                               stop);
          },
          nb::arg(), nb::arg().none(), nb::arg())
      .def("ingest",
           [](const TransactionHandle& self, const std::string& table, IngestMode mode,
              nb::handle source, const CallOptions& call) {
             const auto rows = reader_from(source);
             const Stop stop;
             return blocking(stop.source, [&] {
               return ingest(*self.state, {table, mode}, *rows, options_from(call, stop));
             });
           })
      .def("step",
           [](const TransactionHandle& self, const std::string& verb, const std::string& name) {
             blocking([&] { return done(step(*self.state, verb, name)); });
           })
      .def("is_open", [](const TransactionHandle& self) {
        const nb::gil_scoped_release released;
        const Lock lock(self.state->mutex);
        return self.state->transaction.is_open();
      });
  bind_async(tx);
}

}  // namespace cenote::python
