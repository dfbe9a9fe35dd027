// The number that tells a node's processes apart: it grows with every start and is kept in a file.
#pragma once

#include <cstdint>
#include <string>

#include "cenote/error.h"

namespace cenote::node {

// The next number, kept before this returns. `directory`: as NodeIdentity::state_dir. Where there
// was no file the number begins at the time of day in seconds, so that it grows although a file was
// lost. kConfig says which file cannot be written.
Result<uint64_t> next_incarnation(const std::string& directory, const std::string& node_id);

}  // namespace cenote::node
