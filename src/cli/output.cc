// File descriptors, partial files, terminals.
#include "cli/output.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace cenote::cli {
namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

Status failed(const std::string& what, const std::string& name, int error) {
  return make_error(ErrorKind::kInterface, what + " " + name + " failed: " + reason(error));
}

}  // namespace

FdStream::~FdStream() {
  if (owns_ && fd_ >= 0) ::close(fd_);
}

Status FdStream::Write(const void* data, int64_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t wrote = ::write(fd_, bytes, static_cast<size_t>(size));
    if (wrote < 0) {
      if (errno == EINTR) continue;
      reader_went_away_ = errno == EPIPE;
      return failed("writing to", name_, errno);
    }
    bytes += wrote;
    size -= wrote;
    written_ += wrote;
  }
  return Status::OK();
}

Status FdStream::Close() {
  if (fd_ < 0) return Status::OK();
  const int fd = std::exchange(fd_, -1);
  // Of a network file system, the close tells that the disk was full.
  if (owns_ && ::close(fd) != 0) return failed("closing", name_, errno);
  return Status::OK();
}

Result<Output> Output::open(const std::string& path) {
  Output output;
  if (path.empty()) {
    output.stream_ = std::make_shared<FdStream>(STDOUT_FILENO, "standard output", false);
    return output;
  }
  struct stat info{};
  const bool special = ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  output.path_ = path;
  std::string name = path;
  if (!special) {
    name += ".part-" + std::to_string(::getpid());
    output.partial_ = name;
  }
  const int fd =
      ::open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (special ? 0 : O_TRUNC), 0666);
  if (fd < 0) {
    output.partial_.clear();
    return failed("opening", path, errno);
  }
  output.stream_ = std::make_shared<FdStream>(fd, path, true);
  return output;
}

Output::~Output() {
  if (!partial_.empty()) ::unlink(partial_.c_str());
}

bool Output::is_terminal() const {
  return path_.empty() && ::isatty(STDOUT_FILENO) == 1;
}

Status Output::commit() {
  ARROW_RETURN_NOT_OK(stream_->Close());
  if (partial_.empty()) return Status::OK();
  if (::rename(partial_.c_str(), path_.c_str()) != 0) return failed("moving to", path_, errno);
  partial_.clear();
  return Status::OK();
}

size_t terminal_width() {
  struct winsize size{};
  if (::isatty(STDOUT_FILENO) != 1) return 0;
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

}  // namespace cenote::cli
