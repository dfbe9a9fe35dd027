// One write to the eventfd for each batch, not for each completion.
#include "completions.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "error.h"

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

nb::list Completions::take() {
  uint64_t count = 0;
  [[maybe_unused]] const auto got = read(fd_, &count, sizeof count);
  std::vector<Entry> ended;
  {
    const Lock lock(mutex_);
    ended.swap(ended_);
  }
  nb::list result;
  for (Entry& entry : ended) {
    nb::object value = nb::none();
    nb::object error = nb::none();
    if (entry.status.ok()) {
      value = entry.make();
    } else {
      error = exception_of(entry.status);
    }
    result.append(nb::make_tuple(entry.token, value, error));
  }
  return result;
}

}  // namespace cenote::python
