// A bounded set of threads, started when there is work for them. Only work that holds or makes a
// connection runs here, so the bound is the pool's own limit.
#pragma once

#include <functional>
#include <memory>

namespace cenote {

class Executor {
 public:
  explicit Executor(int max_threads);
  // Runs what is queued, then ends its threads and waits for them (but for the calling one, if it
  // is of them: the last reference to a pool may die in work that runs here).
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Where the system has no thread for it, and there is none yet, it runs at once on the calling
  // one.
  void post(std::function<void()> work);

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace cenote
