// The offsets are those of SQLite's file format: the SHARED bytes of the database file
// (sqlite.org/fileformat2.html, "lock-byte page") and the byte after the eight locks of the
// WAL index, by which a process shows that it has the index open (os_unix.c, UNIX_SHM_DMS).
#include "driver/sqlite/fork.h"

#include <algorithm>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "base/mutex.h"

namespace cenote::sqlite {
namespace {

constexpr off_t kSharedFirst = 0x40000000 + 2;
constexpr off_t kSharedSize = 510;
constexpr off_t kIndexOpen = 128;

// Guards the names of the files whose locks are held: closing any other descriptor of such a file
// would drop them, so each is opened once.
Mutex g_mutex;
std::vector<std::string> g_held CENOTE_GUARDED_BY(g_mutex);

void share(const std::string& file, off_t start, off_t length) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return;
  struct flock lock{};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  (void)::fcntl(descriptor, F_SETLK, &lock);
}

}  // namespace

void hold_inherited_locks(const std::string& file) noexcept {
  const std::string index = file + "-shm";
  if (::access(index.c_str(), F_OK) != 0) return;  // not in WAL mode
  const Lock lock(g_mutex);
  if (std::find(g_held.begin(), g_held.end(), file) != g_held.end()) return;
  share(file, kSharedFirst, kSharedSize);
  share(index, kIndexOpen, 1);
  g_held.push_back(file);
}

}  // namespace cenote::sqlite
