// What a forked child owes the files that its parent has open.
//
// SQLite counts the locks of a process by file, in memory that a forked child inherits without the
// locks themselves (fcntl's belong to a process). A new handle of the child on the same file trusts
// that count: the parent, closing its last handle, would delete a WAL that the child still writes
// to, and what the child committed would be lost (sqlite.org/howtocorrupt.html, section 2.7).
#pragma once

#include <string>

#include "cenote/error.h"

namespace cenote::sqlite {

class Session;

// Every session is on this list while it lives; a fork looks at it. A fork waits for what other
// threads run, 100 ms at most.
void enlist(Session* session);
void strike(Session* session);

// Before the file is opened, and again before the handle is used, since only SQLite knows the path
// that a URI names. In a child whose parent had the file open: takes the two shared locks that an
// open and idle handle on a file in WAL mode stands for, on descriptors that stay open until the
// process ends. An error where the child can never use the file: the parent was in the midst of a
// statement or transaction, whose locks nobody can take over, or has closed the file meanwhile.
Status take_over(const std::string& path, const std::string& endpoint);

}  // namespace cenote::sqlite
