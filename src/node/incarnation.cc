// A file for each node id.
#include "node/incarnation.h"

#include <chrono>
#include <filesystem>
#include <fstream>

#include "node/state_files.h"

namespace cenote::node {

Result<uint64_t> next_incarnation(const std::string& directory, const std::string& node_id) {
  const std::filesystem::path file = state_file(directory, node_id, ".incarnation");
  uint64_t last = 0;
  std::ifstream(file) >> last;
  if (last == 0) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    last = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
  }
  if (!write_whole(file, std::to_string(last + 1) + "\n")) {
    return make_error(ErrorKind::kConfig, "the node counts its starts in '" + file.string() +
                                              "', which cannot be written; set node.state_dir to a "
                                              "directory that outlives the process");
  }
  return last + 1;
}

}  // namespace cenote::node
