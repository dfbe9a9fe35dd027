// fork, prctl, exec, and what the child says.
#include "cli/child.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cenote::cli {
namespace {

constexpr int kLook = 100;  // milliseconds between two looks at a wish to stop

// In the child: only what is safe between fork and exec.
[[noreturn]] void become(const char* const* arguments, pid_t parent, int out, int log) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execv("/proc/self/exe", const_cast<char* const*>(arguments));
  ::_exit(127);
}

std::string end_of(const std::string& file) {
  constexpr size_t kMost = 1'000;
  std::ifstream in(file, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  return text.size() > kMost ? text.substr(text.size() - kMost) : text;
}

Status failed(const std::string& what) {
  return make_error(ErrorKind::kOperational,
                    what + " failed: " + std::generic_category().message(errno));
}

}  // namespace

Result<Child> Child::start(std::string name, const std::vector<std::string>& arguments,
                           const std::string& log) {
  std::vector<const char*> argv{"cenote"};
  for (const std::string& each : arguments) argv.push_back(each.c_str());
  argv.push_back(nullptr);
  std::array<int, 2> out{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0) return failed("making a pipe");
  const int to_log = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t parent = ::getpid();
  const pid_t pid = to_log < 0 ? -1 : ::fork();
  if (pid == 0) become(argv.data(), parent, out[1], to_log);
  const Status why = pid < 0 ? failed("starting " + name) : Status::OK();
  ::close(out[1]);
  if (to_log >= 0) ::close(to_log);
  Child child;
  child.name_ = std::move(name);
  child.log_ = log;
  child.out_ = out[0];
  child.pid_ = pid;
  ARROW_RETURN_NOT_OK(why);
  child.pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  return child;
}

Child::Child(Child&& other) noexcept
    : name_(std::move(other.name_)),
      log_(std::move(other.log_)),
      pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      out_(std::exchange(other.out_, -1)),
      status_(other.status_) {}

Child::~Child() {
  reap(Deadline::in(Duration::zero()));
  if (out_ >= 0) ::close(out_);
  if (pidfd_ >= 0) ::close(pidfd_);
}

Result<std::string> Child::first_line(const CallContext& context) const {
  std::string line;
  for (;;) {
    if (context.stop.stop_requested()) return make_error(ErrorKind::kCancelled, "cancelled");
    if (context.deadline.passed()) {
      return make_error(ErrorKind::kQueryTimeout,
                        name_ + " did not start in time: " + end_of(log_));
    }
    pollfd ready{out_, POLLIN, 0};
    if (::poll(&ready, 1, kLook) <= 0) continue;
    char c = 0;
    const ssize_t got = ::read(out_, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return make_error(ErrorKind::kOperational, name_ + " did not start: " + end_of(log_));
    }
    if (c == '\n') return line;
    line += c;
  }
}

void Child::ask_to_end() {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

bool Child::ended(std::string* how) {
  if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
  if (pid_ > 0) return false;
  if (how != nullptr) {
    *how = WIFSIGNALED(status_) ? "signal " + std::to_string(WTERMSIG(status_))
                                : "exit code " + std::to_string(WEXITSTATUS(status_));
  }
  return true;
}

void Child::reap(Deadline deadline) {
  while (!ended() && !deadline.passed()) {
    pollfd gone{pidfd_, POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.left()).count();
    ::poll(&gone, 1, static_cast<int>(std::min<long>(left, kLook)));
  }
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, &status_, 0);
  pid_ = -1;
}

}  // namespace cenote::cli
