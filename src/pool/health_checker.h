// ADR-002's HealthChecker: a timer and, where the limit leaves room, a session of its own, so that
// a full pool is not mistaken for a dead server.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "cenote/pool.h"

#include "base/mutex.h"

namespace cenote {

// What the checker believes; the part of PoolStatus that is its own.
struct HealthVerdict {
  HealthState state = HealthState::kUnknown;
  Role role = Role::kUnknown;
  bool read_only = false;
  std::optional<std::chrono::milliseconds> lag;
  bool authorised = true;
  bool overloaded = false;
  std::string last_error;
};

// The verdict after one more check. Pure: `fails` and `passes` in a row are the only memory.
class HealthRule {
 public:
  explicit HealthRule(const HealthOptions& options) : options_(options) {}
  // Dead-class errors count against the server; a refused password and overload do not. True if the
  // server changed its role since it last answered.
  bool observe(const Result<Probe>& probe);
  const HealthVerdict& verdict() const { return verdict_; }
  // Time to the next check, before jitter: 500 ms while suspect.
  Duration pause() const;
  // Whether nothing depends on hearing soon that a check failed.
  bool patient() const { return !answered_ || verdict_.state == HealthState::kDown; }

 private:
  HealthOptions options_;
  HealthVerdict verdict_;
  int fails_ = 0;
  int passes_ = 0;
  bool answered_ = false;  // ever
};

class HealthChecker {
 public:
  // Asks the server, within the context's deadline; nothing where there is no way to ask now. A
  // login that is known to take longer may have until `most`.
  using Look = std::function<std::optional<Result<Probe>>(const CallContext&, Deadline most)>;

  // `on_role_change` is called on the thread of the check, without a lock.
  HealthChecker(const HealthOptions& options, Look look, std::function<void()> on_role_change);

  HealthVerdict verdict() const;
  // One check now, on the caller's thread, after the one that may be under way. Where there is no
  // way to ask, the verdict so far speaks.
  Status check(const CallContext& context);

 private:
  void run(const std::stop_token& stop) noexcept;

  const HealthOptions options_;
  const Look look_;
  const std::function<void()> on_role_change_;
  mutable Mutex mutex_;  // guards the rule and the turn; not held during a check
  HealthRule rule_ CENOTE_GUARDED_BY(mutex_);
  bool checking_ CENOTE_GUARDED_BY(mutex_) = false;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: joined before what it uses dies
};

}  // namespace cenote
