// Checkout and return through a LocalPool whose database does nothing, metrics on.
// bench-checkout [SECONDS]; prints the wall time of one operation for 1, 2, 8 and 32 threads.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "bench.h"
#include "pool/local_pool_parts.h"

namespace cenote::bench {
namespace {

constexpr int kConnections = 8;

class NullConnection final : public Connection {
 public:
  Result<std::shared_ptr<arrow::RecordBatchReader>> query(const CallContext&, std::string_view,
                                                          const Params&,
                                                          const BatchLimits&) override {
    return Status::NotImplemented("no database");
  }
  Result<int64_t> execute(const CallContext&, std::string_view, const Params&) override {
    return 0;
  }
  Result<int64_t> ingest(const CallContext&, const IngestTarget&,
                         arrow::RecordBatchReader&) override {
    return 0;
  }
  Status begin(const CallContext&, const TransactionOptions&) override { return Status::OK(); }
  Status commit(const CallContext&) override { return Status::OK(); }
  Status rollback(const CallContext&) override { return Status::OK(); }
  Status savepoint(const CallContext&, std::string_view) override { return Status::OK(); }
  Status release_savepoint(const CallContext&, std::string_view) override { return Status::OK(); }
  Status rollback_to_savepoint(const CallContext&, std::string_view) override {
    return Status::OK();
  }
  bool in_transaction() const override { return false; }
  void cancel() noexcept override {}
  Status validate(const CallContext&) override { return Status::OK(); }
  bool dirty() const override { return false; }
  Status reset(const CallContext&) override { return Status::OK(); }
  Result<Probe> probe(const CallContext&) override { return Probe{}; }
  bool usable() const override { return true; }
  std::string session_id() const override { return ""; }
};

class NullDatabase final : public Database {
 public:
  Result<std::unique_ptr<Connection>> connect(const CallContext&, const ConnectOptions&) override {
    return std::make_unique<NullConnection>();
  }
  const std::string& endpoint() const override { return endpoint_; }

 private:
  const std::string endpoint_ = "null";
};

// Wall nanoseconds of one checkout and return, `threads` at it for `seconds`.
double measure(LocalPool& pool, int threads, double seconds) {
  std::atomic<bool> go = false;
  std::atomic<bool> stop = false;
  std::atomic<int64_t> operations = 0;
  std::vector<std::jthread> workers;
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back([&] {
      go.wait(false);
      int64_t done = 0;
      while (!stop.load(std::memory_order_relaxed)) {
        const Lease lease = value(pool.checkout());
        keep(&*lease);
        ++done;
      }
      operations += done;
    });
  }
  const TimePoint start = Clock::now();
  go = true;
  go.notify_all();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  workers.clear();
  return seconds_since(start) * 1e9 / static_cast<double>(operations);
}

void run(double seconds) {
  PoolConfig config;
  config.id = "bench";
  config.type = "null";
  config.pool.max_connections = config.pool.min_connections = kConnections;
  config.health.interval = Duration::zero();
  static DriverTraits traits;
  traits.name = traits.system_name = "null";
  const auto pool =
      value(open_local_pool(std::move(config), traits, std::make_shared<NullDatabase>()));
  for (const int threads : {1, 2, 8, 32}) {
    measure(*pool, threads, seconds / 5);
    Line("checkout", "cenote")
        .add("threads", threads)
        .add("ns_per_op", measure(*pool, threads, seconds));
  }
}

}  // namespace
}  // namespace cenote::bench

int main(int count, char** arguments) {
  cenote::bench::run(cenote::bench::number(count, arguments, 1, 1));
}
