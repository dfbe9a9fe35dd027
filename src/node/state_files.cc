// Files beside their places, then renamed. A last good configuration begins with one line: a name,
// a version of the form, the configuration's version, a checksum of it and of the content.
#include "node/state_files.h"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "net/http_client.h"
#include "node/crypto.h"

namespace cenote::node {
namespace {

constexpr const char* kForm = "cenote-last-good 1";

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

// The key is no secret: against a disk's mistakes, not against a person's.
std::string checksum(const LastGood& config) {
  return base64url(hmac(kForm, std::to_string(config.version) + "\n" + config.content));
}

// What rename() did must be on the disk too.
void sync_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

std::filesystem::path state_file(const std::string& directory, const std::string& node_id,
                                 const std::string& ending) {
  const std::filesystem::path folder =
      directory.empty() ? default_directory() : std::filesystem::path(directory);
  return folder / (url_encode(node_id) + ending);
}

bool write_whole(const std::filesystem::path& file, const std::string& text) {
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  const std::string part = file.string() + ".part";
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t wrote = ::write(fd, rest.data(), rest.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) break;
    rest.remove_prefix(static_cast<size_t>(wrote));
  }
  const bool written = rest.empty() && ::fsync(fd) == 0;
  if (::close(fd) != 0 || !written) return false;
  if (::rename(part.c_str(), file.c_str()) != 0) return false;
  sync_folder(file.parent_path());
  return true;
}

bool keep_last_good(const std::filesystem::path& file, const LastGood& config) {
  return write_whole(file, std::string(kForm) + " " + std::to_string(config.version) + " " +
                               checksum(config) + "\n" + config.content);
}

Result<std::optional<LastGood>> read_last_good(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in.is_open()) return std::optional<LastGood>();
  const std::string text(std::istreambuf_iterator<char>(in), {});
  const size_t end = text.find('\n');
  std::istringstream head(text.substr(0, end));
  std::string name;
  std::string form;
  std::string sum;
  LastGood config;
  head >> name >> form >> config.version >> sum;
  if (end != std::string::npos) config.content = text.substr(end + 1);
  if (!head.fail() && name + " " + form == kForm && sum == checksum(config)) {
    return std::optional(std::move(config));
  }
  return make_error(ErrorKind::kConfig,
                    "the last good configuration in '" + file.string() +
                        "' is damaged (its checksum does not fit) and is not used; the coordinator "
                        "gives it anew, or remove the file");
}

}  // namespace cenote::node
