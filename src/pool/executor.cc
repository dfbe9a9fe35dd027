// The executor's queue and threads. The threads share the core, so that one of them may outlive the
// executor.
#include "pool/executor.h"

#include <atomic>
#include <deque>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/bell.h"
#include "base/look_out.h"
#include "base/mutex.h"

namespace cenote {

struct Executor::Core {
  explicit Core(int limit) : max_threads(limit) {}

  const int max_threads;
  std::atomic<bool> looked_out{false};  // a thread looks out for work
  Mutex mutex;                          // guards all below
  std::deque<std::function<void()>> queue CENOTE_GUARDED_BY(mutex);
  std::vector<std::thread> threads CENOTE_GUARDED_BY(mutex);
  std::vector<Bell*> idle CENOTE_GUARDED_BY(mutex);  // the last has the warmest caches
  bool stopping CENOTE_GUARDED_BY(mutex) = false;

  void run() noexcept {
    LookOut look_out;
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
        Bell bell;
        idle.push_back(&bell);
        lock.unlock();
        wait(bell, look_out);
        lock.lock();
      }
    }
  }

  // One that awaits each answer before it asks again sends more work soon.
  void wait(Bell& bell, LookOut& look_out) {
    if (!looked_out.exchange(true, std::memory_order_relaxed)) {
      look_out.until([&bell] { return bell.rung() != 0; });
      looked_out.store(false, std::memory_order_relaxed);
    }
    bell.wait(TimePoint::max());
  }
};

Executor::Executor(int max_threads) : core_(std::make_shared<Core>(max_threads)) {}

Executor::~Executor() {
  std::vector<std::thread> threads;
  {
    const Lock lock(core_->mutex);
    core_->stopping = true;
    threads.swap(core_->threads);
    for (Bell* bell : std::exchange(core_->idle, {})) bell->ring(1);
  }
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
  if (!core_->idle.empty()) {
    Bell* bell = core_->idle.back();
    core_->idle.pop_back();
    lock.unlock();
    bell->ring(1);  // its thread waits for that
  } else if (static_cast<int>(core_->threads.size()) < core_->max_threads && !core_->stopping) {
    try {
      core_->threads.emplace_back([core = core_] { core->run(); });
      return;
    } catch (const std::system_error&) {
      // No more threads are to be had: one that is there takes the work.
      if (!core_->threads.empty()) return;
    }
    const std::function<void()> here = std::move(core_->queue.back());
    core_->queue.pop_back();
    lock.unlock();
    here();
  }
}

}  // namespace cenote
