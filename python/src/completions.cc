// One write to the eventfd for each batch, not for each completion.
#include "completions.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "error.h"
#include "workers.h"

namespace cenote::python {

Completions::Completions() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Completions::~Completions() {
  if (fd_ >= 0) close(fd_);
}

void Completions::push(uint64_t token, Status status, std::function<nb::object()> make) {
  bool first = false;
  {
    const Lock lock(mutex_);
    first = ended_.empty();
    ended_.push_back({token, std::move(status), std::move(make)});
  }
  const uint64_t one = 1;
  if (first) [[maybe_unused]]
    const auto written = write(fd_, &one, sizeof one);
}

void Completions::deliver(const nb::dict& waiting) {
  uint64_t count = 0;
  [[maybe_unused]] const auto got = read(fd_, &count, sizeof count);
  std::vector<Entry> ended;
  {
    const Lock lock(mutex_);
    ended.swap(ended_);
  }
  for (Entry& entry : ended) {
    try {
      const nb::object future = waiting.attr("pop")(entry.token);
      if (nb::cast<bool>(future.attr("done")())) {
        if (entry.make) run_on_worker([dropped = std::move(entry.make)] {});
      } else if (entry.status.ok()) {
        future.attr("set_result")(entry.make());
      } else {
        future.attr("set_exception")(exception_of(entry.status));
      }
    } catch (nb::python_error& error) {
      error.discard_as_unraisable("a completion of cenote");
    }
  }
}

}  // namespace cenote::python
