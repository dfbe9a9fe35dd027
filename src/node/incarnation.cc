// A file for each node id, written beside its place and renamed.
#include "node/incarnation.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include "net/http_client.h"

namespace cenote::node {
namespace {

std::string variable(const char* name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing of ours changes the environment
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::filesystem::path default_directory() {
  // systemd's, which may be a list.
  if (const std::string state = variable("STATE_DIRECTORY"); !state.empty()) {
    return state.substr(0, state.find(':'));
  }
  if (const std::string state = variable("XDG_STATE_HOME"); !state.empty()) {
    return std::filesystem::path(state) / "cenote";
  }
  return std::filesystem::path(variable("HOME")) / ".local" / "state" / "cenote";
}

bool write_whole(const std::filesystem::path& file, const std::string& text) {
  const std::string part = file.string() + ".part";
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  if (::close(fd) != 0 || !written) return false;
  return ::rename(part.c_str(), file.c_str()) == 0;
}

}  // namespace

Result<uint64_t> next_incarnation(const std::string& directory, const std::string& node_id) {
  const std::filesystem::path folder =
      directory.empty() ? default_directory() : std::filesystem::path(directory);
  const std::filesystem::path file = folder / (url_encode(node_id) + ".incarnation");
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
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
