// The registry's changes as server-sent events, made once for all who watch.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "base/mutex.h"
#include "coordinator/pool_coordinator.h"

namespace cenote::coordinator {

// Thread-safe.
class ChangeFeed {
 public:
  explicit ChangeFeed(const PoolCoordinator& coordinator);

  // Appends the events after `*revision`, up to some size, and moves it on; call again until
  // nothing is appended. False if the history does not reach back that far.
  bool append(uint64_t* revision, std::string* events);
  bool reaches(uint64_t revision);
  std::string bookmark(uint64_t revision) const;
  // What a watcher that fell behind is told last: list again.
  std::string reset() const;

 private:
  void catch_up() CENOTE_REQUIRES(mutex_);
  std::string event(std::string_view name, uint64_t revision, Json data) const;

  static constexpr size_t kEvents = 10'000;
  static constexpr size_t kPiece = size_t{256} << 10;

  const PoolCoordinator& coordinator_;
  Mutex mutex_;                                               // guards the events
  std::deque<std::string> events_ CENOTE_GUARDED_BY(mutex_);  // the last one is of newest_
  uint64_t newest_ CENOTE_GUARDED_BY(mutex_) = 0;
};

}  // namespace cenote::coordinator
