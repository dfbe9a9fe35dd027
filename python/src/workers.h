// Threads for calls that block with a connection in hand (the steps of a stream or a session) and
// for the blocking calls of Python's main thread, which must stay free for signals.
#pragma once

#include <functional>
#include <memory>

namespace cenote::python {

// Each work holds a connection or is one blocking call, so their number bounds the threads.
void run_on_worker(std::function<void()> work);

// Calls that may wait at a node for a connection, each of which holds a thread until its answer
// begins. Threads of their own: the next step of a transaction must not wait behind calls that wait
// for that transaction's end.
void run_far_call(std::function<void()> work);

// Lets a worker drop what may take time to end, or ends a thread that runs now. At the
// interpreter's exit, when there are none any more, it stays.
void drop_on_worker(std::shared_ptr<void> last);

// Waits for what runs and ends the threads; work that comes later runs where it is posted. Once, at
// the interpreter's exit, without the GIL.
void stop_workers();

}  // namespace cenote::python
