// SOCI's connection_pool as its manual has it, a session for a scope, over sessions that were never
// opened.
// bench-soci SECONDS THREADS…
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include <soci/soci.h>

namespace {

using Clock = std::chrono::steady_clock;

double measure(soci::connection_pool& pool, int threads, double seconds) {
  std::atomic<bool> go = false;
  std::atomic<bool> stop = false;
  std::atomic<int64_t> operations = 0;
  std::vector<std::jthread> workers;
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back([&] {
      go.wait(false);
      int64_t done = 0;
      for (; !stop.load(std::memory_order_relaxed); ++done) const soci::session held(pool);
      operations += done;
    });
  }
  const auto start = Clock::now();
  go = true;
  go.notify_all();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  workers.clear();
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() /
         static_cast<double>(operations);
}

}  // namespace

int main(int count, char** arguments) {
  soci::connection_pool pool(8);
  for (int i = 2; i < count; ++i) {
    const int threads = std::atoi(arguments[i]);
    measure(pool, threads, 0.1);
    std::printf("{\"bench\":\"checkout\",\"who\":\"SOCI\",\"threads\":%d,\"ns_per_op\":%f}\n",
                threads, measure(pool, threads, std::atof(arguments[1])));
  }
}
