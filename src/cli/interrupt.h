// Ctrl-C and SIGTERM as a stop token: the first cancels what runs on the server, the second ends
// the process at once.
#pragma once

#include <atomic>
#include <csignal>
#include <stop_token>
#include <thread>

namespace cenote::cli {

// To be made before any other thread, since it blocks the signals for all; they arrive at its own
// thread.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  bool happened() const { return stop_.stop_requested(); }
  // 128 + the signal.
  int exit_code() const { return 128 + signal_; }

 private:
  void wait() noexcept;

  sigset_t signals_;
  std::stop_source stop_;
  std::atomic<int> signal_{SIGINT};
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace cenote::cli
