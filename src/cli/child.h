// Another `cenote` as a child of this one, which cannot outlive it.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "cenote/deadline.h"
#include "cenote/error.h"

namespace cenote::cli {

// To be started and stopped on the thread that lives longest: Linux sends the death signal when the
// thread that forked ends.
class Child {
 public:
  // Runs this program with the arguments: no input, standard error into `log`, in a process group
  // of its own, so that Ctrl-C on the terminal reaches the parent alone. The kernel kills it when
  // the parent dies, of whatever.
  static Result<Child> start(std::string name, const std::vector<std::string>& arguments,
                             const std::string& log);
  // Kills it if it still runs.
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;

  // The first line of its standard output, which says that it serves. An error has the end of its
  // log.
  Result<std::string> first_line(const CallContext& context) const;
  void ask_to_end();  // SIGTERM
  // True once it has ended; then `how` says "exit code 3" or "signal 9".
  bool ended(std::string* how = nullptr);
  // Waits until it has ended; kills it at the deadline.
  void reap(Deadline deadline);

  const std::string& name() const { return name_; }
  const std::string& log() const { return log_; }
  // Readable once it has ended; for poll().
  int pidfd() const { return pidfd_; }

 private:
  Child() = default;

  std::string name_;
  std::string log_;
  pid_t pid_ = -1;  // -1: ended and reaped
  int pidfd_ = -1;
  int out_ = -1;
  int status_ = 0;
};

}  // namespace cenote::cli
