// A mutex that is waited for no longer than a deadline: for what is held while a store works.
#pragma once

#include <condition_variable>

#include "cenote/deadline.h"

#include "base/mutex.h"
#include "coordinator/refusal.h"

namespace cenote::coordinator {

class CENOTE_ANNOTATE(capability("mutex")) Turn {
 public:
  // False if the deadline passed before.
  bool take(Deadline deadline) {
    Lock lock(mutex_);
    while (taken_) {
      if (deadline.passed()) return false;
      free_.wait_until(lock, deadline.at());
    }
    taken_ = true;
    return true;
  }
  void leave() {
    {
      const Lock lock(mutex_);
      taken_ = false;
    }
    free_.notify_one();
  }

 private:
  Mutex mutex_;  // guards the flag, never held while somebody has the turn
  std::condition_variable_any free_;
  bool taken_ CENOTE_GUARDED_BY(mutex_) = false;
};

// Has the turn for a scope, if status() is OK: ask before anything else.
class CENOTE_ANNOTATE(scoped_lockable) TurnLock {
 public:
  TurnLock(Turn& turn, Deadline deadline) CENOTE_ANNOTATE(acquire_capability(turn))
      : turn_(turn), held_(turn.take(deadline)) {}
  ~TurnLock() CENOTE_ANNOTATE(release_capability()) {
    if (held_) turn_.leave();
  }
  TurnLock(const TurnLock&) = delete;
  TurnLock& operator=(const TurnLock&) = delete;

  Status status() const {
    if (held_) return Status::OK();
    return refuse(Refusal::kBusy,
                  "changes before this one still wait for the coordinator's store; nothing was "
                  "changed, try again");
  }

 private:
  Turn& turn_;
  const bool held_;
};

}  // namespace cenote::coordinator
