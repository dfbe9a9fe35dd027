// What the bindings of pools, streams and connections share.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "cenote/manager.h"
#include "cenote/pool.h"

#include "base/mutex.h"
#include "completions.h"
#include "pool/pooled_connection.h"
#include "visit.h"
#include "workers.h"

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

Duration seconds(double count);
QueryOptions options_from(const CallOptions& call, const Stop& stop);

// A share in what may take time to end (threads join, transactions roll back): not under the GIL.
template <typename T>
class Held {
 public:
  explicit Held(std::shared_ptr<T> shared) : shared_(std::move(shared)) {}
  Held(Held&&) = default;
  Held& operator=(Held&&) = default;
  ~Held() {
    if (shared_ == nullptr) return;
    if (visiting()) {
      // Garbage, met by a thread of C++. It may be one that ends with what is dropped here, and
      // none waits for its own end.
      drop_on_worker(std::move(shared_));
      return;
    }
    const Leave left;
    shared_.reset();
  }
  T* operator->() const { return shared_.get(); }
  T& operator*() const { return *shared_; }
  const std::shared_ptr<T>& share() const { return shared_; }

 private:
  std::shared_ptr<T> shared_;
};

struct PoolHandle {
  Held<LocalPool> pool;
  explicit PoolHandle(std::shared_ptr<LocalPool> opened) : pool(std::move(opened)) {}
};

struct StreamState {
  Mutex mutex;  // one read or close at a time
  std::shared_ptr<arrow::RecordBatchReader> reader CENOTE_GUARDED_BY(mutex);
  std::shared_ptr<arrow::Schema> schema;
  std::stop_source stop;
  std::optional<Origin> origin;
};
// Forgotten before its end, a stream is cancelled and closed by a worker: whoever forgot it does
// not wait.
struct StreamHandle {
  std::shared_ptr<StreamState> state;
  explicit StreamHandle(std::shared_ptr<StreamState> opened) : state(std::move(opened)) {}
  StreamHandle(StreamHandle&&) = default;
  StreamHandle& operator=(StreamHandle&&) = default;
  ~StreamHandle();
};
StreamHandle make_stream(std::shared_ptr<arrow::RecordBatchReader> reader, const Stop& stop,
                         std::optional<Origin> origin = std::nullopt);

struct ConnectionState {
  explicit ConnectionState(PooledConnection opened) : connection(std::move(opened)) {}
  Mutex mutex;  // one statement at a time
  PooledConnection connection CENOTE_GUARDED_BY(mutex);
};
struct ConnectionHandle {
  Held<ConnectionState> state;
  explicit ConnectionHandle(PooledConnection opened)
      : state(std::make_shared<ConnectionState>(std::move(opened))) {}
};

// What a manager hands out for one of its pools: in mode coordinated a ClusterPool.
nb::object pool_object(const std::shared_ptr<DistributedPoolManager>& manager,
                       const std::string& id);

QueryOptions connect_options(const CallOptions& call, const Stop& stop, bool read_only);
std::optional<TransactionOptions> transaction_of(std::optional<Isolation> begin, bool read_only);
nb::dict status_dict(const PoolStatus& status);
nb::dict metrics_dict(const LocalPool& pool);

void bind_pool(nb::module_& module);
void bind_cluster(nb::module_& module);
void bind_stream(nb::module_& module);
void bind_connection(nb::module_& module);
void bind_manager(nb::module_& module);
void bind_log(nb::module_& module);

}  // namespace cenote::python
