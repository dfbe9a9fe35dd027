// The executors of the module, made with their first work.
#include "workers.h"

#include <array>
#include <memory>
#include <utility>

#include "base/mutex.h"
#include "per_process.h"
#include "pool/executor.h"

namespace cenote::python {
namespace {

enum Kind : size_t { kSteps, kFarCalls, kKinds };
// Above any sensible sum of connections, and half of what a node takes at once by default, whose
// other clients must get through too; more work than this waits its turn.
constexpr std::array<int, kKinds> kMostThreads = {1024, 128};

struct Workers {
  Mutex mutex;
  // Shared: a post may hold one while it is stopped.
  std::array<std::shared_ptr<Executor>, kKinds> executors CENOTE_GUARDED_BY(mutex);
  bool stopped CENOTE_GUARDED_BY(mutex) = false;
};

std::shared_ptr<Executor> executor(Kind kind) {
  auto& workers = per_process<Workers>();
  const Lock lock(workers.mutex);
  std::shared_ptr<Executor>& wanted = workers.executors.at(kind);
  if (!wanted && !workers.stopped) wanted = std::make_shared<Executor>(kMostThreads.at(kind));
  return wanted;
}

void run_on(Kind kind, std::function<void()> work) {
  if (const auto threads = executor(kind)) {
    threads->post(std::move(work));
  } else {
    work();
  }
}

}  // namespace

void run_on_worker(std::function<void()> work) {
  run_on(kSteps, std::move(work));
}

void drop_on_worker(std::shared_ptr<void> last) {
  const auto threads = executor(kSteps);
  if (threads == nullptr) {
    (void)std::make_unique<std::shared_ptr<void>>(std::move(last)).release();
    return;
  }
  threads->post([dropped = std::move(last)] {});
}

void run_far_call(std::function<void()> work) {
  run_on(kFarCalls, std::move(work));
}

void stop_workers() {
  std::array<std::shared_ptr<Executor>, kKinds> last;
  auto& workers = per_process<Workers>();
  const Lock lock(workers.mutex);
  workers.stopped = true;
  last.swap(workers.executors);
}

}  // namespace cenote::python
