// Checks and verdicts. Numbers: HAProxy's fall and rise; the faster re-check while suspect.
#include "pool/health_checker.h"

#include <algorithm>
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

bool HealthRule::observe(const Result<Probe>& probe) {
  if (probe.ok()) {
    fails_ = 0;
    ++passes_;
    const bool quick =
        verdict_.state != HealthState::kDown;  // a first pass, or back from suspicion
    if (quick || passes_ >= options_.rise) verdict_.state = HealthState::kUp;
    const bool changed = std::exchange(answered_, true) &&
                         (verdict_.role != probe->role || verdict_.read_only != probe->read_only);
    verdict_.role = probe->role;
    verdict_.read_only = probe->read_only;
    verdict_.lag = probe->lag;
    verdict_.authorised = true;
    verdict_.overloaded = false;
    verdict_.last_error.clear();
    return changed;
  }
  passes_ = 0;
  const ErrorKind kind = error_kind(probe.status());
  verdict_.last_error = probe.status().message();
  verdict_.authorised = kind != ErrorKind::kAuthentication;
  verdict_.overloaded = kind == ErrorKind::kOverload;
  // Overload is not death, nor is a refused password; an answer that came too late is.
  const bool dead = counts_against_target(probe.status()) || kind == ErrorKind::kQueryTimeout;
  if (!dead) return false;
  ++fails_;
  verdict_.state = fails_ >= options_.fall ? HealthState::kDown : HealthState::kSuspect;
  return false;
}

Duration HealthRule::pause() const {
  constexpr Duration kRecheck = std::chrono::milliseconds(500);
  return verdict_.state == HealthState::kSuspect ? std::min(kRecheck, options_.interval)
                                                 : options_.interval;
}

HealthChecker::HealthChecker(const HealthOptions& options, Look look,
                             std::function<void()> on_role_change)
    : options_(options),
      look_(std::move(look)),
      on_role_change_(std::move(on_role_change)),
      rule_(options) {
  if (options_.interval > Duration::zero()) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
}

HealthVerdict HealthChecker::verdict() const {
  const Lock lock(mutex_);
  return rule_.verdict();
}

Status HealthChecker::check(const CallContext& context) {
  bool patient = false;
  {
    Lock lock(mutex_);
    const bool my_turn = wake_.wait_until(lock, context.stop, context.deadline.at(),
                                          [this]() CENOTE_REQUIRES(mutex_) { return !checking_; });
    if (!my_turn) {
      return make_error(
          context.stop.stop_requested() ? ErrorKind::kCancelled : ErrorKind::kQueryTimeout,
          "the health check before this one did not end in time");
    }
    checking_ = true;
    patient = rule_.patient();
  }
  const Deadline limit = context.deadline.sooner(Deadline::in(options_.timeout));
  const auto probe = look_({limit, context.stop}, patient ? context.deadline : limit);
  bool role_changed = false;
  HealthVerdict verdict;
  {
    const Lock lock(mutex_);
    checking_ = false;
    if (probe && !context.stop.stop_requested()) role_changed = rule_.observe(*probe);
    verdict = rule_.verdict();
  }
  wake_.notify_all();
  if (role_changed) on_role_change_();
  if (probe) return probe->status();
  if (verdict.state != HealthState::kDown) return Status::OK();
  return make_error(ErrorKind::kConnection, verdict.last_error);
}

void HealthChecker::run(const std::stop_token& stop) noexcept {
  std::minstd_rand random(std::random_device{}());
  std::uniform_real_distribution<double> jitter(0.8, 1.2);
  while (!stop.stop_requested()) {
    (void)check({Deadline(), stop});
    Lock lock(mutex_);
    const auto pause = std::chrono::duration_cast<Duration>(rule_.pause() * jitter(random));
    wake_.wait_until(lock, stop, Clock::now() + pause, [] { return false; });
  }
}

}  // namespace cenote
