// One executor for the module, made with its first work.
#include "workers.h"

#include <memory>
#include <utility>

#include "base/mutex.h"
#include "per_process.h"
#include "pool/executor.h"

namespace cenote::python {
namespace {

// Above any sensible sum of connections; more work than this waits its turn.
constexpr int kMostThreads = 1024;

struct Workers {
  Mutex mutex;
  // Shared: a post may hold it while it is stopped.
  std::shared_ptr<Executor> executor CENOTE_GUARDED_BY(mutex);
  bool stopped CENOTE_GUARDED_BY(mutex) = false;
};

std::shared_ptr<Executor> executor() {
  auto& workers = per_process<Workers>();
  const Lock lock(workers.mutex);
  if (!workers.executor && !workers.stopped) {
    workers.executor = std::make_shared<Executor>(kMostThreads);
  }
  return workers.executor;
}

}  // namespace

void run_on_worker(std::function<void()> work) {
  if (const auto threads = executor()) {
    threads->post(std::move(work));
  } else {
    work();
  }
}

void stop_workers() {
  std::shared_ptr<Executor> last;
  auto& workers = per_process<Workers>();
  const Lock lock(workers.mutex);
  workers.stopped = true;
  last.swap(workers.executor);
}

}  // namespace cenote::python
