// The command line as a whole: the tree of verbs, help, version, usage errors.
#pragma once

namespace cenote::cli {

// Runs what the arguments say; returns the exit code (cli/exit_code.h).
int run(int argc, const char* const* argv);

}  // namespace cenote::cli
