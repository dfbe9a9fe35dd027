// Two counts of the threads that are across, and the flag that stops them growing.
#include "visit.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <utility>

#include <unistd.h>

#include "base/mutex.h"
#include "per_process.h"

namespace cenote::python {
namespace {

// Longer than a driver waits for its server to acknowledge a cancel.
constexpr std::chrono::seconds kPatience{10};

std::atomic<unsigned long> main_thread = 0;
thread_local int visits = 0;

struct Crossings {
  std::atomic<int> under_way = 0;
  std::atomic<bool> refused = false;
  std::atomic<bool> given_up = false;  // who comes back now would be killed
  Mutex mutex;                         // of the wait alone
  std::condition_variable_any all_back;

  bool enter() {
    ++under_way;  // before the look at the flag: whoever ends looks in the other order
    if (!refused) return true;
    leave();
    return false;
  }
  void leave() {
    if (--under_way > 0 || !refused) return;
    const Lock lock(mutex);
    all_back.notify_all();
  }
};

Crossings& crossings() {
  return per_process<Crossings>();
}

}  // namespace

Visit::Visit() {
  if (!crossings().enter()) return;
  gil_.emplace();
  ++visits;
}

Visit::~Visit() {
  if (!gil_) return;
  --visits;
  gil_.reset();
  crossings().leave();
}

bool visiting() {
  return visits > 0;
}

Leave::Leave() {
  if (on_main_thread() || crossings().enter()) gil_.emplace();
}

Leave::~Leave() {
  if (!gil_) return;
  const bool main = on_main_thread();
  // The process is about to end: this thread ends with it.
  while (!main && crossings().given_up) pause();
  gil_.reset();
  if (!main) crossings().leave();
}

Status ending_error() {
  return make_error(ErrorKind::kPoolClosed, "the interpreter is ending, its pools are closed");
}

void end_crossings() {
  auto& all = crossings();
  all.refused = true;
  const auto until = std::chrono::steady_clock::now() + kPatience;
  Lock lock(all.mutex);
  while (all.under_way > 0) {
    if (all.all_back.wait_until(lock, until) == std::cv_status::timeout) break;
  }
  all.given_up = true;
}

void remember_main_thread() {
  main_thread = nb::cast<unsigned long>(
      nb::module_::import_("threading").attr("main_thread")().attr("ident"));
}

bool on_main_thread() {
  return PyThread_get_thread_ident() == main_thread.load(std::memory_order_relaxed);
}

std::shared_ptr<nb::object> shared_with_threads(nb::object object) {
  return {new nb::object(std::move(object)), [](nb::object* held) {
            const Visit visit;
            if (!visit) held->release();  // the interpreter ends, and with it the object
            delete held;
          }};
}

}  // namespace cenote::python
