// A signal handler may do next to nothing, so it wakes a thread that requests the stop.
#include "interrupt.h"

#include <atomic>
#include <cerrno>
#include <thread>

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mutex.h"

namespace cenote::python {
namespace {

unsigned long main_thread = 0;

// The call that SIGINT is meant for, and the thread that tells it.
struct Watcher {
  Mutex mutex;
  std::stop_source current CENOTE_GUARDED_BY(mutex){std::nostopstate};
  pid_t process CENOTE_GUARDED_BY(mutex) = 0;
};

std::atomic<int> wake_fd{-1};
struct sigaction python_action;

Watcher& watcher() {
  static auto* const instance = new Watcher;  // its thread may outlive static destruction
  return *instance;
}

void watch(int fd) {
  uint64_t count = 0;
  for (;;) {
    if (read(fd, &count, sizeof count) < 0 && errno != EINTR) return;
    std::stop_source stop(std::nostopstate);
    {
      const Lock lock(watcher().mutex);
      stop = watcher().current;
    }
    stop.request_stop();
  }
}

void on_interrupt(int number) {
  const int saved = errno;
  const uint64_t one = 1;
  if (write(wake_fd.load(std::memory_order_relaxed), &one, sizeof one) < 0) errno = saved;
  errno = saved;
  python_action.sa_handler(number);
}

}  // namespace

void remember_main_thread() {
  main_thread = nb::cast<unsigned long>(
      nb::module_::import_("threading").attr("main_thread")().attr("ident"));
}

Interruptible::Interruptible(const std::stop_source& stop) {
  if (PyThread_get_thread_ident() != main_thread) return;
  struct sigaction now{};
  sigaction(SIGINT, nullptr, &now);
  const bool nested = now.sa_handler == on_interrupt;
  // Ignored, fatal or somebody's own way: not ours to change.
  if (!nested &&
      ((now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler == SIG_IGN || now.sa_handler == SIG_DFL))
    return;
  {
    const Lock lock(watcher().mutex);
    if (watcher().process != getpid()) {  // the first call, or the first after a fork
      const int fd = eventfd(0, EFD_CLOEXEC);
      if (fd < 0) return;
      wake_fd = fd;
      watcher().process = getpid();
      std::thread(watch, fd).detach();
    }
    outer_ = std::exchange(watcher().current, stop);
  }
  armed_ = true;
  if (!nested) {
    python_action = now;
    now.sa_handler = on_interrupt;
    sigaction(SIGINT, &now, nullptr);
    installed_ = true;
  }
}

Interruptible::~Interruptible() {
  if (!armed_) return;
  if (installed_) sigaction(SIGINT, &python_action, nullptr);
  const Lock lock(watcher().mutex);
  watcher().current = std::move(outer_);
}

}  // namespace cenote::python
