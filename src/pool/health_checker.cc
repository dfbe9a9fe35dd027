// Checks and verdicts. Numbers: HAProxy's fall and rise; the faster re-check while suspect.
#include "pool/health_checker.h"

#include <utility>

namespace cenote {

std::string_view to_string(HealthState state) {
  switch (state) {
    case HealthState::kUp:
      return "up";
    case HealthState::kSuspect:
      return "suspect";
    case HealthState::kDown:
      return "down";
    default:
      return "unknown";
  }
}

void HealthRule::observe(const Result<Probe>& probe) {
  if (probe.ok()) {
    fails_ = 0;
    ++passes_;
    const bool quick =
        verdict_.state != HealthState::kDown;  // a first pass, or back from suspicion
    if (quick || passes_ >= options_.rise) verdict_.state = HealthState::kUp;
    verdict_.role = probe->role;
    verdict_.read_only = probe->read_only;
    verdict_.lag = probe->lag;
    verdict_.authorised = true;
    verdict_.overloaded = false;
    verdict_.last_error.clear();
    return;
  }
  passes_ = 0;
  const ErrorKind kind = error_kind(probe.status());
  verdict_.last_error = probe.status().message();
  verdict_.authorised = kind != ErrorKind::kAuthentication;
  verdict_.overloaded = kind == ErrorKind::kOverload;
  // Overload is not death, nor is a refused password; an answer that came too late is.
  const bool dead = counts_against_target(probe.status()) || kind == ErrorKind::kQueryTimeout;
  if (!dead) return;
  ++fails_;
  verdict_.state = fails_ >= options_.fall ? HealthState::kDown : HealthState::kSuspect;
}

Duration HealthRule::pause() const {
  constexpr Duration kRecheck = std::chrono::milliseconds(500);
  return verdict_.state == HealthState::kSuspect ? std::min(kRecheck, options_.interval)
                                                 : options_.interval;
}

HealthChecker::HealthChecker(const HealthOptions& options, Connect connect)
    : options_(options), connect_(std::move(connect)), rule_(options) {
  if (options_.interval > Duration::zero()) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
}

HealthVerdict HealthChecker::verdict() const {
  const Lock lock(mutex_);
  return rule_.verdict();
}

Status HealthChecker::check(const CallContext& context) {
  const Lock session(session_mutex_);
  const CallContext bounded{context.deadline.sooner(Deadline::in(options_.timeout)), context.stop};
  Result<Probe> probe = Probe{};
  if (connection_ == nullptr) {
    Result<std::unique_ptr<Connection>> made = connect_(bounded);
    if (made.ok()) {
      connection_ = std::move(*made);
    } else {
      probe = made.status();
    }
  }
  if (connection_ != nullptr) {
    probe = connection_->probe(bounded);
    if (!probe.ok() || !connection_->usable()) connection_.reset();
  }
  if (context.stop.stop_requested()) return probe.status();
  const Lock lock(mutex_);
  rule_.observe(probe);
  return probe.status();
}

void HealthChecker::run(const std::stop_token& stop) noexcept {
  std::minstd_rand random(std::random_device{}());
  std::uniform_real_distribution<double> jitter(0.8, 1.2);
  Mutex sleep_mutex;
  while (!stop.stop_requested()) {
    (void)check({Deadline(), stop});
    Duration pause{};
    {
      const Lock lock(mutex_);
      pause = std::chrono::duration_cast<Duration>(rule_.pause() * jitter(random));
    }
    Lock lock(sleep_mutex);
    wake_.wait_until(lock, stop, Clock::now() + pause, [] { return false; });
  }
}

}  // namespace cenote
