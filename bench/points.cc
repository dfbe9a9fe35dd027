// Point queries of PostgreSQL from threads: the pool's frames beside bare loops of PQexecPrepared.
// bench-points URL CONCURRENCY SECONDS; the database has the table `points` of groups/points.py.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arrow/table.h>
#include <libpq-fe.h>

#include "base/mutex.h"
#include "bench.h"

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
  void query_on(int index, int64_t point) const {
    PGconn* connection = connections_[static_cast<size_t>(index)];
    const std::string id = std::to_string(point);
    const char* const values[] = {id.c_str()};
    PGresult* result = PQexecPrepared(connection, "point", 1, values, nullptr, nullptr, 1);
    if (PQntuples(result) != 1) fail(PQresultErrorMessage(result));
    for (int i = 0; i < PQnfields(result); ++i) keep(PQgetvalue(result, 0, i));
    PQclear(result);
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
