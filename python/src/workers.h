// Threads for blocking steps that belong to one connection: statements of an open transaction, the
// next batch of a stream.
#pragma once

#include <functional>

namespace cenote::python {

// Runs `work` on an idle thread, or on a new one. There is no bound here, because there is one
// already: each step holds a connection, of which a pool has max_connections; a bound of our own
// could make a commit wait for those who wait for it.
void run_on_worker(std::function<void()> work);

}  // namespace cenote::python
