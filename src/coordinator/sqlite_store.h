// The store of a single coordinator: one SQLite file, WAL, every commit on disk before it is told.
#pragma once

#include <filesystem>
#include <memory>

#include "coordinator/store.h"

namespace cenote::coordinator {

// Creates the file if it is missing (mode 0600) and takes it for this process alone: a second
// coordinator on the same file is refused. kConfig says what to do.
Result<std::unique_ptr<Store>> open_sqlite_store(const std::filesystem::path& file);

}  // namespace cenote::coordinator
