// The main thread's side of a blocking call.
#include "interrupt.h"

#include <chrono>
#include <condition_variable>

#include "base/mutex.h"
#include "workers.h"

namespace cenote::python {
namespace {

// A signal does not wake a condition variable, so handlers run this late at most.
constexpr std::chrono::milliseconds kSignalPause{50};

struct Ending {
  Mutex mutex;
  std::condition_variable_any happened;
  bool ended CENOTE_GUARDED_BY(mutex) = false;

  void happen() {
    const Lock lock(mutex);
    ended = true;
    happened.notify_all();  // under the lock: the waiter's stack holds this
  }
  // True if it happened within the pause.
  bool wait() {
    Lock lock(mutex);
    const auto until = std::chrono::steady_clock::now() + kSignalPause;
    while (!ended) {
      if (happened.wait_until(lock, until) == std::cv_status::timeout) break;
    }
    return ended;
  }
};

}  // namespace

bool serve_signals_during(const std::function<void()>& work,
                          const std::function<void()>& interrupt) {
  Ending ending;
  bool raised = false;
  bool posted = false;
  for (;;) {
    {
      const Leave left;
      if (!std::exchange(posted, true)) {
        run_on_worker([&] {
          work();
          ending.happen();
        });
      }
      if (ending.wait()) return raised;
    }
    if (raised || PyErr_CheckSignals() == 0) continue;
    raised = true;  // the exception stays set; no Python code runs on this thread until it is told
    const Leave left;
    interrupt();
  }
}

}  // namespace cenote::python
