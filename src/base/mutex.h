// A mutex that clang's thread-safety analysis understands; libstdc++'s own carries no annotations,
// so that a guarded_by on it would warn even under its lock. Wait for conditions in a loop: the
// analysis does not look into predicates.
#pragma once

#include <mutex>

#if defined(__clang__)
#define CENOTE_ANNOTATE(x) __attribute__((x))
#else
#define CENOTE_ANNOTATE(x)
#endif

#define CENOTE_GUARDED_BY(mutex) CENOTE_ANNOTATE(guarded_by(mutex))
#define CENOTE_REQUIRES(...) CENOTE_ANNOTATE(requires_capability(__VA_ARGS__))
#define CENOTE_EXCLUDES(...) CENOTE_ANNOTATE(locks_excluded(__VA_ARGS__))

namespace cenote {

class CENOTE_ANNOTATE(capability("mutex")) Mutex {
 public:
  void lock() CENOTE_ANNOTATE(acquire_capability()) { mutex_.lock(); }
  void unlock() CENOTE_ANNOTATE(release_capability()) { mutex_.unlock(); }
  bool try_lock() CENOTE_ANNOTATE(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

// Holds the mutex for a scope; can be let go and taken again, and waited with
// (std::condition_variable_any).
class CENOTE_ANNOTATE(scoped_lockable) Lock {
 public:
  explicit Lock(Mutex& mutex) CENOTE_ANNOTATE(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~Lock() CENOTE_ANNOTATE(release_capability()) {
    if (held_) mutex_.unlock();
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void lock() CENOTE_ANNOTATE(acquire_capability()) {
    mutex_.lock();
    held_ = true;
  }
  void unlock() CENOTE_ANNOTATE(release_capability()) {
    held_ = false;
    mutex_.unlock();
  }

 private:
  Mutex& mutex_;
  bool held_ = true;
};

}  // namespace cenote
