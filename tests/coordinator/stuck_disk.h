// A disk whose fsync hangs: SQLite's own file system with one call more in its way.
#pragma once

#include <atomic>
#include <map>

#include <sqlite3.h>

#include "base/mutex.h"

namespace cenote::coordinator {

// SQLite's default for all files opened while it exists. One at a time.
class StuckDisk {
 public:
  StuckDisk() : real_(sqlite3_vfs_find(nullptr)), own_(*real_) {
    own_.zName = "stuck";
    own_.xOpen = open;
    own_.pAppData = this;
    only_ = this;
    sqlite3_vfs_register(&own_, 1);
  }
  ~StuckDisk() {
    unstick();
    sqlite3_vfs_register(real_, 1);
    sqlite3_vfs_unregister(&own_);
  }
  StuckDisk(const StuckDisk&) = delete;
  StuckDisk& operator=(const StuckDisk&) = delete;

  void stick() { stuck_ = true; }
  void unstick() {
    stuck_ = false;
    stuck_.notify_all();
  }
  // Until an fsync hangs.
  void wait_until_one_hangs() { hangs_.wait(0); }

 private:
  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    auto* self = static_cast<StuckDisk*>(vfs->pAppData);
    const int code = self->real_->xOpen(self->real_, name, file, flags, out);
    if (code != SQLITE_OK || file->pMethods == nullptr) return code;
    const Lock lock(self->mutex_);
    sqlite3_io_methods& methods = self->patched_[file->pMethods];
    if (methods.xSync == nullptr) {
      methods = *file->pMethods;
      self->sync_ = methods.xSync;
      methods.xSync = sync;
    }
    file->pMethods = &methods;
    return code;
  }
  static int sync(sqlite3_file* file, int flags) {
    StuckDisk* self = only_;
    if (self->stuck_) {
      ++self->hangs_;
      self->hangs_.notify_all();
      self->stuck_.wait(true);
    }
    return self->sync_(file, flags);
  }

  inline static StuckDisk* only_ = nullptr;
  sqlite3_vfs* const real_;
  sqlite3_vfs own_;
  Mutex mutex_;  // guards the tables
  std::map<const sqlite3_io_methods*, sqlite3_io_methods> patched_ CENOTE_GUARDED_BY(mutex_);
  int (*sync_)(sqlite3_file*, int) = nullptr;
  std::atomic<bool> stuck_ = false;
  std::atomic<int> hangs_ = 0;
};

}  // namespace cenote::coordinator
