// Notices that a client gave up its call: libarrow_flight tells it only to who asks, so one thread
// asks for all calls that run.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <stop_token>
#include <thread>
#include <vector>

#include <arrow/flight/server.h>

#include "base/mutex.h"

namespace cenote::node {

class CallWatch {
 public:
  CallWatch();
  ~CallWatch();

  // While it lives, a call that its client gave up (cancelled, timed out, connection lost) requests
  // `stop`, within about 20 ms. Must end before the call's handler returns.
  class Scope {
   public:
    Scope(CallWatch& watch, const arrow::flight::ServerCallContext& context, std::stop_source stop);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    CallWatch& watch_;
    uint64_t id_ = 0;
  };

 private:
  struct Watched {
    const arrow::flight::ServerCallContext* context = nullptr;
    std::stop_source stop;
  };

  void run(const std::stop_token& stop);
  std::vector<std::stop_source> given_up() CENOTE_REQUIRES(mutex_);

  // Guards the list; held while contexts are asked, so that none goes away meanwhile. Stops are
  // requested without it, because they call drivers.
  Mutex mutex_;
  std::condition_variable_any wake_;
  std::map<uint64_t, Watched> calls_ CENOTE_GUARDED_BY(mutex_);
  uint64_t next_ CENOTE_GUARDED_BY(mutex_) = 1;
  bool asleep_ CENOTE_GUARDED_BY(mutex_) = false;  // the thread must be woken for the next call
  std::jthread thread_;                            // last: ends before what it uses
};

}  // namespace cenote::node
