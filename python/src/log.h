// The log's end.
#pragma once

namespace cenote::python {

// Hands over the lines that wait, and leaves those that come later to stderr. Once, at the
// interpreter's exit, by its main thread.
void end_log();

}  // namespace cenote::python
