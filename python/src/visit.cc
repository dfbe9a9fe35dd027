// A count of the threads inside, and the flag that stops it growing.
#include "visit.h"

#include <condition_variable>
#include <utility>

#include "base/mutex.h"
#include "per_process.h"

namespace cenote::python {
namespace {

struct Visits {
  Mutex mutex;  // guards all below
  std::condition_variable_any left;
  int inside CENOTE_GUARDED_BY(mutex) = 0;
  bool refused CENOTE_GUARDED_BY(mutex) = false;
};

}  // namespace

Visit::Visit() {
  auto& visits = per_process<Visits>();
  {
    const Lock lock(visits.mutex);
    if (visits.refused) return;
    ++visits.inside;
  }
  gil_.emplace();
}

Visit::~Visit() {
  if (!gil_) return;
  gil_.reset();
  auto& visits = per_process<Visits>();
  const Lock lock(visits.mutex);
  --visits.inside;
  visits.left.notify_all();
}

void end_visits() {
  auto& visits = per_process<Visits>();
  Lock lock(visits.mutex);
  visits.refused = true;
  while (visits.inside > 0) visits.left.wait(lock);
}

std::shared_ptr<nb::object> shared_with_threads(nb::object object) {
  return {new nb::object(std::move(object)), [](nb::object* held) {
            const Visit visit;
            if (visit) {
              delete held;
            } else {
              held->release();  // the interpreter ends, and with it the object
              delete held;
            }
          }};
}

}  // namespace cenote::python
