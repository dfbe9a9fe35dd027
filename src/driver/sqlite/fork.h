// What a forked child owes the SQLite handles it inherited.
#pragma once

#include <string>

namespace cenote::sqlite {

// SQLite counts the locks of a process in memory, which a forked child inherits without the locks
// themselves (fcntl's belong to a process). A new handle of the child on the same file would trust
// that count: the parent, closing its last handle, would then delete a WAL that the child still
// writes to. So this takes the two shared locks that an open handle on a file in WAL mode stands
// for, on descriptors that stay open until the process ends. Does nothing for other files.
void hold_inherited_locks(const std::string& file) noexcept;

}  // namespace cenote::sqlite
