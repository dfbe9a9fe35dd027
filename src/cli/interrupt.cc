// One thread that waits for the signals.
#include "cli/interrupt.h"

#include <pthread.h>
#include <unistd.h>

namespace cenote::cli {

namespace {
constexpr int kWake = SIGUSR1;  // ends the thread
}

Interrupt::Interrupt() {
  // A reader that went away is an error of the write (EPIPE), so that the query can be cancelled.
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, nullptr);
  ::sigemptyset(&signals_);
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction now{};
    // One that the parent had ignored (nohup, a background job of a script) stays ignored.
    if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN) continue;
    ::sigaddset(&signals_, signal);
  }
  ::sigaddset(&signals_, kWake);
  ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  thread_ = std::thread([this] { wait(); });
}

Interrupt::~Interrupt() {
  done_ = true;
  ::pthread_kill(thread_.native_handle(), kWake);
  thread_.join();
}

void Interrupt::wait() noexcept {
  for (int signal = 0; ::sigwait(&signals_, &signal) == 0;) {
    if (done_) return;
    if (signal == kWake) continue;
    if (stop_.stop_requested()) ::_exit(128 + signal);
    signal_ = signal;
    stop_.request_stop();
  }
}

}  // namespace cenote::cli
