// How results reach an event loop: threads of C++ push, an eventfd wakes the loop, the loop's
// thread delivers all that is there to its futures.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <nanobind/nanobind.h>

#include "cenote/error.h"

#include "base/mutex.h"

namespace cenote::python {

namespace nb = nanobind;

// Thread-safe. Holds no Python object until the loop's thread asks, so that no other thread ever
// needs the GIL for it.
class Completions {
 public:
  Completions();
  ~Completions();
  Completions(const Completions&) = delete;
  Completions& operator=(const Completions&) = delete;

  int fd() const { return fd_; }
  // `make` runs on the loop's thread with the GIL.
  void push(uint64_t token, Status status, std::function<nb::object()> make);
  // Resolves the futures of what ended since: `waiting` is {token: future}. What a cancelled future
  // should have got is undone by being dropped, on another thread, for that may take time.
  void deliver(const nb::dict& waiting);

 private:
  struct Entry {
    uint64_t token;
    Status status;
    std::function<nb::object()> make;
  };

  int fd_;
  Mutex mutex_;
  std::vector<Entry> ended_ CENOTE_GUARDED_BY(mutex_);
};

// What Python holds; C++ shares the queue itself, so that the last reference may go on any thread.
struct Loop {
  std::shared_ptr<Completions> queue = std::make_shared<Completions>();
};

// Where one asynchronous call delivers.
struct Reply {
  std::shared_ptr<Completions> queue;
  uint64_t token;

  // `make` turns the value into what Python gets: T → something nb::cast takes.
  template <typename T, typename Make>
  void send(Result<T> result, Make make) const {
    if (!result.ok()) {
      queue->push(token, result.status(), nullptr);
      return;
    }
    // std::function wants a copyable capture; a Transaction is not copyable.
    auto value = std::make_shared<T>(std::move(result).MoveValueUnsafe());
    queue->push(token, Status::OK(),
                [value, make]() -> nb::object { return make(std::move(*value)); });
  }
  void send(const Status& status) const {
    queue->push(token, status, []() -> nb::object { return nb::none(); });
  }
};

}  // namespace cenote::python
