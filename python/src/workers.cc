// Idle threads take work from one queue and leave after ten idle seconds.
#include "workers.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace cenote::python {
namespace {

constexpr std::chrono::seconds kIdleLimit{10};

struct Workers {
  Mutex mutex;
  std::condition_variable_any some_work;
  std::deque<std::function<void()>> queue CENOTE_GUARDED_BY(mutex);
  size_t idle CENOTE_GUARDED_BY(mutex) = 0;
};

Workers& workers() {
  static auto* const instance = new Workers;  // its threads may outlive static destruction
  return *instance;
}

void serve() {
  Workers& all = workers();
  Lock lock(all.mutex);
  for (;;) {
    if (all.queue.empty()) {
      ++all.idle;
      const auto status = all.some_work.wait_for(lock, kIdleLimit);
      --all.idle;
      if (all.queue.empty() && status == std::cv_status::timeout) return;
      continue;
    }
    std::function<void()> work = std::move(all.queue.front());
    all.queue.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace

void run_on_worker(std::function<void()> work) {
  Workers& all = workers();
  const Lock lock(all.mutex);
  all.queue.push_back(std::move(work));
  if (all.queue.size() > all.idle) std::thread(serve).detach();
  all.some_work.notify_one();
}

}  // namespace cenote::python
