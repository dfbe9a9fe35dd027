// ADR-002's HealthChecker: a connection and a thread of its own, so that a full pool is not
// mistaken for a dead server.
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
  // Dead-class errors count against the server; a refused password and overload do not.
  void observe(const Result<Probe>& probe);
  const HealthVerdict& verdict() const { return verdict_; }
  // Time to the next check, before jitter: 500 ms while suspect.
  Duration pause() const;

 private:
  HealthOptions options_;
  HealthVerdict verdict_;
  int fails_ = 0;
  int passes_ = 0;
};

class HealthChecker {
 public:
  using Connect = std::function<Result<std::unique_ptr<Connection>>(const CallContext&)>;

  HealthChecker(const HealthOptions& options, Connect connect);

  HealthVerdict verdict() const;
  // One check now, on the caller's thread.
  Status check(const CallContext& context);

 private:
  void run(const std::stop_token& stop) noexcept;

  const HealthOptions options_;
  const Connect connect_;
  Mutex session_mutex_;  // held during a check: one check at a time; guards connection_
  std::unique_ptr<Connection> connection_ CENOTE_GUARDED_BY(session_mutex_);
  mutable Mutex mutex_;  // guards the rule
  HealthRule rule_ CENOTE_GUARDED_BY(mutex_);
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: joined before what it uses dies
};

}  // namespace cenote
