// What the bindings of pools, transactions, streams and connections share.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "cenote/pool.h"

#include "base/mutex.h"
#include "completions.h"

namespace cenote::python {

// How a call is stopped from Python: by Ctrl-C or by a cancelled task.
struct Stop {
  std::stop_source source;
};

// Of one call, as Python passes them.
struct CallOptions {
  std::optional<double> timeout;  // seconds
  std::optional<bool> read_only;
  std::string tag;
  int64_t batch_rows = 0;  // 0: the default
};

QueryOptions options_from(const CallOptions& call, const Stop& stop);

struct PoolHandle {
  std::shared_ptr<LocalPool> pool;
};

struct StreamState {
  Mutex mutex;  // one read or close at a time
  std::shared_ptr<arrow::RecordBatchReader> reader CENOTE_GUARDED_BY(mutex);
  std::shared_ptr<arrow::Schema> schema;
  std::stop_source stop;
};
struct StreamHandle {
  std::shared_ptr<StreamState> state;
};
StreamHandle make_stream(std::shared_ptr<arrow::RecordBatchReader> reader, const Stop& stop);

struct TransactionState {
  explicit TransactionState(Transaction begun) : transaction(std::move(begun)) {}
  Mutex mutex;  // one statement at a time
  Transaction transaction CENOTE_GUARDED_BY(mutex);
};
struct TransactionHandle {
  std::shared_ptr<TransactionState> state;
  TransactionHandle() = default;
  explicit TransactionHandle(Transaction begun)
      : state(std::make_shared<TransactionState>(std::move(begun))) {}
  TransactionHandle(TransactionHandle&&) = default;
  TransactionHandle& operator=(TransactionHandle&&) = default;
  ~TransactionHandle() {
    if (!state) return;
    const nb::gil_scoped_release released;  // an open one rolls back
    state.reset();
  }
};

void bind_pool(nb::module_& module);
void bind_stream(nb::module_& module);
void bind_transaction(nb::module_& module);
void bind_manager(nb::module_& module);
void bind_log(nb::module_& module);

}  // namespace cenote::python
