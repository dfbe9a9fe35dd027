// The executor's queue and threads. The threads share the core, so that one of them may outlive the
// executor.
#include "pool/executor.h"

#include <condition_variable>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace cenote {

struct Executor::Core {
  explicit Core(int limit) : max_threads(limit) {}

  const int max_threads;
  Mutex mutex;  // guards all below
  std::condition_variable_any wake;
  std::deque<std::function<void()>> queue CENOTE_GUARDED_BY(mutex);
  std::vector<std::thread> threads CENOTE_GUARDED_BY(mutex);
  int idle CENOTE_GUARDED_BY(mutex) = 0;
  bool stopping CENOTE_GUARDED_BY(mutex) = false;

  void run() noexcept {
    Lock lock(mutex);
    for (;;) {
      if (!queue.empty()) {
        std::function<void()> work = std::move(queue.front());
        queue.pop_front();
        lock.unlock();
        work();
        work = nullptr;  // what it captured dies outside the lock
        lock.lock();
      } else if (stopping) {
        return;
      } else {
        ++idle;
        wake.wait(lock);
        --idle;
      }
    }
  }
};

Executor::Executor(int max_threads) : core_(std::make_shared<Core>(max_threads)) {}

Executor::~Executor() {
  std::vector<std::thread> threads;
  {
    const Lock lock(core_->mutex);
    core_->stopping = true;
    threads.swap(core_->threads);
  }
  core_->wake.notify_all();
  for (std::thread& thread : threads) {
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

void Executor::post(std::function<void()> work) {
  Lock lock(core_->mutex);
  core_->queue.push_back(std::move(work));
  const bool short_of_threads = static_cast<int>(core_->queue.size()) > core_->idle;
  if (short_of_threads && static_cast<int>(core_->threads.size()) < core_->max_threads &&
      !core_->stopping) {
    core_->threads.emplace_back([core = core_] { core->run(); });
  }
  lock.unlock();
  core_->wake.notify_one();
}

}  // namespace cenote
