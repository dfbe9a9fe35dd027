// The offsets are those of SQLite's file format: the SHARED bytes of the database file
// (sqlite.org/fileformat2.html, "lock-byte page") and the byte after the eight locks of the
// WAL index, by which a process shows that it has the index open (os_unix.c, UNIX_SHM_DMS).
#include "driver/sqlite/fork.h"

#include <algorithm>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mutex.h"
#include "driver/sqlite/session.h"

namespace cenote::sqlite {
namespace {

constexpr Duration kForkWait = std::chrono::milliseconds(100);
constexpr off_t kSharedFirst = 0x40000000 + 2;
constexpr off_t kSharedSize = 510;
constexpr off_t kIndexOpen = 128;

using FileId = std::pair<dev_t, ino_t>;

FileId id_of(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 ? FileId(found.st_dev, found.st_ino) : FileId();
}

// How the parent left a file.
struct Left {
  bool in_use = false;
  FileId index;       // of the WAL; none in other modes
  bool held = false;  // this process took the locks
};

bool share(const std::string& path, off_t start, off_t length) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  struct flock lock{};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return ::fcntl(descriptor, F_SETLK, &lock) == 0;
}

// SQLite's mutexes of the process. In a child just forked, one that is taken will never be free.
bool global_mutexes_are_free() {
  bool all = true;
  for (int id = SQLITE_MUTEX_STATIC_MASTER; id <= SQLITE_MUTEX_STATIC_VFS3; ++id) {
    sqlite3_mutex* mutex = sqlite3_mutex_alloc(id);
    const bool free = sqlite3_mutex_try(mutex) == SQLITE_OK;
    if (free) sqlite3_mutex_leave(mutex);
    all = all && free;
  }
  return all;
}

class Forks {
 public:
  Forks();
  void enlist(Session* session) CENOTE_EXCLUDES(mutex_) {
    const Lock lock(mutex_);
    sessions_.insert(session);
  }
  void strike(Session* session) CENOTE_EXCLUDES(mutex_) {
    const Lock lock(mutex_);
    sessions_.erase(session);  // not there if the parent's
  }
  // What a child says that may not use a file; null where it may.
  const char* claim(const std::string& path) CENOTE_EXCLUDES(mutex_);

 private:
  // Around a fork, so that the child finds all of this whole and no session in a call that began
  // meanwhile. One takes the mutexes that another gives back.
  void prepare() CENOTE_ANNOTATE(no_thread_safety_analysis);
  void release() CENOTE_ANNOTATE(no_thread_safety_analysis);
  void inherit() CENOTE_ANNOTATE(no_thread_safety_analysis);
  bool hold_idle() CENOTE_ANNOTATE(no_thread_safety_analysis);

  Mutex mutex_;
  std::set<Session*> sessions_ CENOTE_GUARDED_BY(mutex_);
  std::map<FileId, Left> leaving_ CENOTE_GUARDED_BY(mutex_);  // to a child that is being made
  std::map<FileId, Left> left_ CENOTE_GUARDED_BY(mutex_);     // to this process
  bool stuck_ CENOTE_GUARDED_BY(mutex_) = false;
};

// Never destroyed: sessions may outlive what is destroyed at the end of the process.
Forks& forks() {
  static Forks& forks = *new Forks();
  return forks;
}

Forks::Forks() {
  ::pthread_atfork([] { forks().prepare(); }, [] { forks().release(); }, [] { forks().inherit(); });
}

// Takes all mutexes. Whether no call runs.
bool Forks::hold_idle() {
  mutex_.lock();
  bool idle = true;
  for (Session* session : sessions_) {
    session->hold();
    idle = idle && !session->running();
  }
  return idle;
}

void Forks::prepare() {
  // What another thread runs is over soon, mostly (a health check, a point query), and the child
  // may use the file only if it is.
  const Deadline until = Deadline::in(kForkWait);
  while (!hold_idle() && !until.passed()) {
    release();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (const Session* session : sessions_) {
    const FileId file = id_of(session->path());
    if (file == FileId()) continue;  // in memory, or deleted
    Left& left = leaving_[file];
    left.in_use = left.in_use || session->running() || session->in_transaction();
    left.index = id_of(session->path() + "-shm");
  }
}

void Forks::release() {
  leaving_.clear();
  for (Session* session : sessions_) session->let_go();
  mutex_.unlock();
}

void Forks::inherit() {
  stuck_ = stuck_ || !global_mutexes_are_free();
  // What the parent inherited is counted here too, and none of its locks came along.
  for (auto& [file, left] : left_) left.held = false;
  for (const auto& [file, left] : leaving_) {
    Left& mine = left_[file];
    mine.in_use = mine.in_use || left.in_use;
    mine.index = left.index;
  }
  leaving_.clear();
  for (Session* session : sessions_) session->let_go();
  sessions_.clear();
  mutex_.unlock();
}

const char* Forks::claim(const std::string& path) {
  constexpr const char* kInUse = "was in the midst of a statement or transaction on";
  const Lock lock(mutex_);
  if (stuck_) return kInUse;
  if (left_.empty()) return nullptr;
  const auto found = left_.find(id_of(path));
  if (found == left_.end()) return nullptr;
  Left& left = found->second;
  if (left.in_use) return kInUse;
  if (left.held || left.index == FileId()) return nullptr;
  const std::string index = path + "-shm";
  left.held = share(path, kSharedFirst, kSharedSize) && share(index, kIndexOpen, 1);
  // Under the locks nobody deletes the index any more. What was mapped before is of the old one.
  if (!left.held || id_of(index) != left.index) {
    left.in_use = true;
    return "has since closed";
  }
  return nullptr;
}

}  // namespace

void enlist(Session* session) {
  forks().enlist(session);
}

void strike(Session* session) {
  forks().strike(session);
}

Status take_over(const std::string& path, const std::string& endpoint) {
  const char* refused = forks().claim(path);
  if (refused == nullptr) return Status::OK();
  return make_error(
      ErrorKind::kInterface,
      "the process that this one was forked from " + std::string(refused) + " the database " +
          endpoint +
          ", and SQLite cannot tell the parent's locks from the child's: fork while the database "
          "is idle and let the child use it before the parent closes it, or start the child anew "
          "(multiprocessing's spawn or forkserver)");
}

}  // namespace cenote::sqlite
