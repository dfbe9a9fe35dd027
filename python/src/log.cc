// Log lines go to Python's logger "cenote" until the interpreter ends, on a thread of their own:
// what writes them keeps a lease or watches the cluster, and must not wait for the GIL.
#include "log.h"

#include <condition_variable>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nanobind/nanobind.h>

#include "base/log.h"
#include "base/mutex.h"
#include "per_process.h"
#include "pool.h"
#include "visit.h"

namespace cenote::python {
namespace {

constexpr size_t kMostLines = 1'000;  // that wait; further ones are counted and dropped

struct Line {
  LogLevel level;
  std::string part;
  std::string message;
};

// `line(level, part, message)`. Touched with the GIL alone, and never freed.
nb::object* g_line = nullptr;

// Needs the GIL.
void deliver(const std::vector<Line>& lines) {
  for (const Line& line : lines) {
    try {
      (*g_line)(static_cast<int>(line.level), nb::str(line.part.data(), line.part.size()),
                nb::str(line.message.data(), line.message.size()));
    } catch (nb::python_error& error) {
      error.discard_as_unraisable("cenote's log");
    }
  }
}

class Lines {
 public:
  void push(LogLevel level, std::string_view part, std::string_view message) {
    {
      const Lock lock(mutex_);
      if (waiting_.size() >= kMostLines) {
        ++dropped_;
        return;
      }
      waiting_.push_back({level, std::string(part), std::string(message)});
      if (!ended_ && !thread_.joinable()) {
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
      }
    }
    wake_.notify_one();
  }

  std::vector<Line> take() {
    const Lock lock(mutex_);
    return take_locked();
  }

  // Ends the thread, which may need the GIL until then.
  void end() {
    std::jthread thread;
    {
      const Lock lock(mutex_);
      ended_ = true;
      thread.swap(thread_);
      thread.request_stop();
    }
    wake_.notify_all();
  }

 private:
  std::vector<Line> take_locked() CENOTE_REQUIRES(mutex_) {
    std::vector<Line> lines = std::exchange(waiting_, {});
    if (const size_t dropped = std::exchange(dropped_, 0); dropped > 0) {
      lines.push_back({LogLevel::kWarning, "log",
                       std::to_string(dropped) + " more lines came faster than Python took them"});
    }
    return lines;
  }

  void run(const std::stop_token& stop) {
    for (;;) {
      std::vector<Line> lines;
      {
        Lock lock(mutex_);
        while (waiting_.empty() && !stop.stop_requested()) wake_.wait(lock);
        if (stop.stop_requested()) return;
        lines = take_locked();
      }
      const Visit visit;
      if (!visit) return;
      deliver(lines);
    }
  }

  Mutex mutex_;  // guards all below; memory only
  std::condition_variable_any wake_;
  std::vector<Line> waiting_ CENOTE_GUARDED_BY(mutex_);
  size_t dropped_ CENOTE_GUARDED_BY(mutex_) = 0;
  bool ended_ CENOTE_GUARDED_BY(mutex_) = false;
  std::jthread thread_ CENOTE_GUARDED_BY(mutex_);
};

}  // namespace

void end_log() {
  auto& lines = per_process<Lines>();
  {
    const Leave left;
    lines.end();
    set_log_sink(nullptr);
  }
  if (g_line != nullptr) deliver(lines.take());
}

void bind_log(nb::module_& module) {
  module.def("set_log", [](nb::object line) {
    if (g_line == nullptr) g_line = new nb::object;
    *g_line = std::move(line);
    set_log_sink([](LogLevel level, std::string_view part, std::string_view message) {
      per_process<Lines>().push(level, part, message);
    });
  });
}

}  // namespace cenote::python
