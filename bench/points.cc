// Point queries of PostgreSQL from threads: the pool's frames beside bare loops of PQexecPrepared.
// bench-points URL CONCURRENCY SECONDS; the database has the table `points` of groups/points.py.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arrow/api.h>
#include <libpq-fe.h>

#include "base/mutex.h"
#include "bench.h"
#include "frame/arena.h"

namespace cenote::bench {
namespace {

constexpr int kConnections = 10;
constexpr int kPoints = 100'000;
constexpr std::string_view kSelect = "select id, name, value, made from points where id = $1";

// How many times a second `threads` threads do their `work(thread, n)`.
double rate(int threads, double seconds, const std::function<void(int, int)>& work) {
  std::atomic<bool> go = false;
  std::atomic<bool> stop = false;
  std::atomic<int64_t> operations = 0;
  std::vector<std::jthread> workers;
  for (int thread = 0; thread < threads; ++thread) {
    workers.emplace_back([&, thread] {
      go.wait(false);
      int n = 0;
      for (; !stop.load(std::memory_order_relaxed); ++n) work(thread, n);
      operations += n;
    });
  }
  const TimePoint start = Clock::now();
  go = true;
  go.notify_all();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  workers.clear();
  return static_cast<double>(operations) / seconds_since(start);
}

int64_t point(int64_t thread, int64_t n) {
  return (thread * 7919 + n * 104'729) % kPoints + 1;
}

// As many threads as there are connections at the most, each with one of its own: nothing waits.
// query_shared() is for more threads: the least that a pool can be, a stack under a mutex.
class Bare {
 public:
  explicit Bare(const std::string& url) {
    for (int i = 0; i < kConnections; ++i) {
      PGconn* made = PQconnectdb(url.c_str());
      if (PQstatus(made) != CONNECTION_OK) fail(PQerrorMessage(made));
      PQclear(PQprepare(made, "point", std::string(kSelect).c_str(), 1, nullptr));
      idle_.push_back(static_cast<int>(connections_.size()));
      connections_.push_back(made);
    }
  }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;
  ~Bare() {
    for (PGconn* connection : connections_) PQfinish(connection);
  }

  void query(int thread, int n) const { query_on(thread, point(thread, n)); }
  // The same and a table of the row, made for this statement by hand in one block: the least that
  // Arrow costs.
  std::shared_ptr<arrow::Table> query_table(int thread, int n) const {
    static const auto schema =
        arrow::schema({arrow::field("id", arrow::int32()), arrow::field("name", arrow::utf8()),
                       arrow::field("value", arrow::float64()),
                       arrow::field("made", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"))});
    std::shared_ptr<arrow::Table> table;
    query_on(thread, point(thread, n), [&](const PGresult* row) {
      Arena arena(3200);
      arrow::ChunkedArrayVector columns = {
          column(arena, make<arrow::Int32Array>(arena, *schema, 0, fixed<uint32_t>(arena, row, 0))),
          column(arena, make<arrow::StringArray>(arena, *schema, 1, text(arena, row, 1))),
          column(arena,
                 make<arrow::DoubleArray>(arena, *schema, 2, fixed<uint64_t>(arena, row, 2))),
          column(arena,
                 make<arrow::TimestampArray>(arena, *schema, 3, fixed<uint64_t>(arena, row, 3)))};
      table = arrow::Table::Make(schema, std::move(columns), 1);
    });
    return table;
  }
  void query_shared(int thread, int n) {
    int taken = 0;
    {
      Lock lock(mutex_);
      while (idle_.empty()) wake_.wait(lock);
      taken = idle_.back();
      idle_.pop_back();
    }
    query_on(taken, point(thread, n));
    {
      const Lock lock(mutex_);
      idle_.push_back(taken);
    }
    wake_.notify_one();
  }

 private:
  using Buffers = std::vector<std::shared_ptr<arrow::Buffer>>;
  static std::shared_ptr<arrow::Buffer> copy(Arena& arena, const void* data, size_t size) {
    return arena.copy(static_cast<const uint8_t*>(data), static_cast<int64_t>(size));
  }
  template <typename Bits>
  static Buffers fixed(Arena& arena, const PGresult* row, int field) {
    Bits bits;
    std::memcpy(&bits, PQgetvalue(row, 0, field), sizeof bits);
    if constexpr (sizeof bits == 4) bits = __builtin_bswap32(bits);
    if constexpr (sizeof bits == 8) bits = __builtin_bswap64(bits);
    Buffers buffers(2);
    buffers[1] = copy(arena, &bits, sizeof bits);
    return buffers;
  }
  static Buffers text(Arena& arena, const PGresult* row, int field) {
    const int32_t offsets[] = {0, PQgetlength(row, 0, field)};
    Buffers buffers(3);
    buffers[1] = copy(arena, offsets, sizeof offsets);
    buffers[2] = copy(arena, PQgetvalue(row, 0, field), static_cast<size_t>(offsets[1]));
    return buffers;
  }
  template <typename Array>
  static std::shared_ptr<arrow::Array> make(Arena& arena, const arrow::Schema& schema, int field,
                                            Buffers buffers) {
    return arena.make<Array>(
        arena.make<arrow::ArrayData>(schema.field(field)->type(), 1, std::move(buffers), 0));
  }
  static std::shared_ptr<arrow::ChunkedArray> column(Arena& arena,
                                                     std::shared_ptr<arrow::Array> array) {
    arrow::ArrayVector chunks(1);
    const auto type = array->type();
    chunks[0] = std::move(array);
    return arena.make<arrow::ChunkedArray>(std::move(chunks), type);
  }

  template <typename Look>
  void query_on(int index, int64_t point, const Look& look) const {
    PGconn* connection = connections_[static_cast<size_t>(index)];
    const std::string id = std::to_string(point);
    const char* const values[] = {id.c_str()};
    PGresult* result = PQexecPrepared(connection, "point", 1, values, nullptr, nullptr, 1);
    if (PQntuples(result) != 1) fail(PQresultErrorMessage(result));
    look(result);
    PQclear(result);
  }
  void query_on(int index, int64_t point) const {
    query_on(index, point, [](const PGresult* row) {
      for (int i = 0; i < PQnfields(row); ++i) keep(PQgetvalue(row, 0, i));
    });
  }

  std::vector<PGconn*> connections_;
  Mutex mutex_;
  std::condition_variable_any wake_;
  std::vector<int> idle_ CENOTE_GUARDED_BY(mutex_);
};

void run(const std::string& url, int concurrency, double seconds) {
  const auto pool = open_pool(url, kConnections);
  Bare bare(url);
  const auto ours = [&](int thread, int n) {
    const auto table = value(pool->execute_query(kSelect, Params::of(point(thread, n))));
    if (table->num_rows() != 1) fail("a point has no row");
  };
  const auto theirs = [&](int thread, int n) { bare.query(thread, n); };
  const int bare_threads = std::min(concurrency, kConnections);
  rate(concurrency, seconds / 5, ours);
  rate(bare_threads, seconds / 5, theirs);
  Line("points", "cenote, C++")
      .add("concurrency", concurrency)
      .add("per_second", rate(concurrency, seconds, ours));
  Line("points", "libpq")
      .add("concurrency", concurrency)
      .add("per_second", rate(bare_threads, seconds, theirs));
  const auto tables = [&](int thread, int n) {
    if (bare.query_table(thread, n)->num_rows() != 1) fail("a point has no row");
  };
  Line("points", "libpq, and a table")
      .add("concurrency", concurrency)
      .add("per_second", rate(bare_threads, seconds, tables));
  const auto shared = [&](int thread, int n) { bare.query_shared(thread, n); };
  Line("points", "libpq, shared")
      .add("concurrency", concurrency)
      .add("per_second", rate(concurrency, seconds, shared));
}

}  // namespace
}  // namespace cenote::bench

int main(int count, char** arguments) {
  if (count < 4) cenote::bench::fail("usage: bench-points URL CONCURRENCY SECONDS");
  cenote::bench::run(arguments[1], std::atoi(arguments[2]), std::atof(arguments[3]));
}
