// When the active target is left, for which, and when calls come back.
#include "failover/standby_switch.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace cenote::failover {
namespace {

using Condition = Sight::Condition;

std::string seconds_text(Duration time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(time).count());
  return text;
}

bool alive(const Sight& sight) {
  return sight.condition != Condition::kDead && sight.condition != Condition::kUnknown;
}

}  // namespace

std::string_view to_string(StandbySwitch::State state) {
  static constexpr std::array<std::string_view, 5> kNames = {"active", "suspect", "confirm",
                                                             "switching", "failback_wait"};
  return kNames.at(static_cast<size_t>(state));
}

StandbySwitch::StandbySwitch(std::vector<std::string> targets, Options options)
    : names_(std::move(targets)), options_(std::move(options)), seen_(names_.size()) {}

void StandbySwitch::tell(Output* out, Event::Kind kind, size_t from, std::string to,
                         std::string reason, bool alert) const {
  out->events.push_back({kind, epoch_, names_[from], std::move(to), std::move(reason), alert});
}

bool StandbySwitch::is_well(size_t target) const {
  return seen_[target].sight.condition == Condition::kWell;
}

bool StandbySwitch::may_take_over(size_t target) const {
  return is_well(target) && (!needs_writable_ || seen_[target].sight.writable);
}

std::string StandbySwitch::unfit(size_t target) const {
  const Sight& sight = seen_[target].sight;
  switch (sight.condition) {
    case Condition::kUnknown:
      return names_[target] + " was not checked yet";
    case Condition::kDead:
      return names_[target] + " does not answer: " + sight.error;
    case Condition::kOverloaded:
      return names_[target] + " is overloaded: " + sight.error;
    case Condition::kUnauthorised:
      return names_[target] + " refuses the credentials: " + sight.error;
    case Condition::kWell:
      break;
  }
  return may_take_over(target) ? "" : names_[target] + " takes no writes";
}

// The last answer counts, also while the target is too busy for another.
bool StandbySwitch::demoted() const {
  const Sight& sight = seen_[active_].sight;
  return needs_writable_ && seen_[active_].told && alive(sight) && !sight.writable;
}

bool StandbySwitch::down(TimePoint now) const {
  return failing_since_ && failures_ >= options_.least_failures &&
         now - *failing_since_ >= options_.threshold;
}

void StandbySwitch::tell_alive(size_t target, Output* out) {
  const Sight& sight = seen_[target].sight;
  if (sight.condition == Condition::kOverloaded) {
    tell(out, Event::Kind::kOverloaded, target, "", "too busy, which is not dead: " + sight.error);
  } else if (sight.condition == Condition::kUnauthorised) {
    tell(out, Event::Kind::kUnauthorised, target, "",
         "alive, but refuses the credentials: " + sight.error, true);
  }
}

StandbySwitch::Output StandbySwitch::saw(size_t target, Sight sight, TimePoint began,
                                         TimePoint now) {
  Output out;
  Seen& seen = seen_[target];
  const bool changed = seen.sight.condition != sight.condition;
  const bool has_role = sight.condition == Condition::kWell;
  if (!has_role) {
    sight.writable = seen.sight.writable;
    sight.primary = seen.sight.primary;
  }
  seen = {std::move(sight), began, seen.told || has_role};
  if (has_role && seen.sight.writable) needs_writable_ = true;
  if (changed) tell_alive(target, &out);
  if (target == active_) {
    if (alive(seen.sight)) {
      failures_ = 0;
      failing_since_.reset();
    } else if (++failures_ == 1) {
      failing_since_ = began;
    }
  }
  Output judged = judge(now);
  out.events.insert(out.events.end(), judged.events.begin(), judged.events.end());
  judged.events = std::move(out.events);
  return judged;
}

StandbySwitch::Output StandbySwitch::judge(TimePoint now) {
  Output out;
  judge_primaries(&out);
  // While two take writes nobody can tell which one is right: nothing moves.
  if (state_ == State::kSwitching || two_primaries_) return out;
  judge_active(now, &out);
  if (state_ == State::kActive || state_ == State::kFailbackWait) judge_fail_back(now, &out);
  return out;
}

void StandbySwitch::judge_primaries(Output* out) {
  std::string names;
  int primaries = 0;
  for (size_t i = 0; i < seen_.size(); ++i) {
    const Sight& sight = seen_[i].sight;
    if (!alive(sight) || !sight.primary || !sight.writable) continue;
    ++primaries;
    names += (names.empty() ? "" : " and ") + names_[i];
  }
  if (std::exchange(two_primaries_, primaries > 1) == (primaries > 1)) return;
  if (two_primaries_) {
    tell(out, Event::Kind::kTwoPrimaries, active_, "",
         names + " both take writes: none is sent any until one of them is a replica or down",
         true);
  } else {
    tell(out, Event::Kind::kOnePrimary, active_, "", "one target at the most takes writes again");
  }
}

void StandbySwitch::settle() {
  state_ = State::kActive;
  stays_told_ = false;
}

void StandbySwitch::judge_active(TimePoint now, Output* out) {
  const Sight& sight = seen_[active_].sight;
  if (demoted()) {
    if (state_ != State::kConfirm) confirm(names_[active_] + " takes no writes any more", now, out);
    look_for_another(now, out);
    return;
  }
  if (down(now)) {
    if (state_ != State::kConfirm) {
      confirm(names_[active_] + " has not answered for " + seconds_text(now - *failing_since_) +
                  ": " + sight.error,
              now, out);
    }
    look_for_another(now, out);
    return;
  }
  if (failing_since_) {
    if (state_ == State::kConfirm) return look_for_another(now, out);
    if (state_ != State::kSuspect) {
      state_ = State::kSuspect;
      tell(out, Event::Kind::kSuspect, active_, "",
           "a check failed: " + sight.error + "; switches after " +
               seconds_text(options_.threshold));
    }
    return;
  }
  if ((state_ == State::kSuspect || state_ == State::kConfirm) && alive(sight)) {
    settle();
    tell(out, Event::Kind::kRecovered, active_, "", "it answers again; nothing was switched");
  }
}

void StandbySwitch::confirm(std::string reason, TimePoint now, Output* out) {
  state_ = State::kConfirm;
  confirm_since_ = now;
  stays_told_ = false;
  reason_ = std::move(reason);
  out->check_others = true;
  tell(out, Event::Kind::kConfirm, active_, "", reason_);
}

void StandbySwitch::look_for_another(TimePoint now, Output* out) {
  if (now < ask_again_at_) return;
  std::string others;
  bool all_seen = true;
  for (size_t i = 0; i < seen_.size(); ++i) {
    if (i == active_) continue;
    const bool fresh = seen_[i].began >= confirm_since_;
    if (fresh && may_take_over(i)) {
      if (!latched_) propose(i, reason_, now, out);
      return;
    }
    all_seen = all_seen && fresh;
    others += (others.empty() ? "" : "; ") + unfit(i);
  }
  if (!all_seen || std::exchange(stays_told_, true)) return;
  tell(out, Event::Kind::kStays, active_, "", reason_ + "; nobody can take over: " + others, true);
}

void StandbySwitch::propose(size_t target, std::string reason, TimePoint now, Output* out) {
  while (!switches_.empty() && now - switches_.front() >= std::chrono::hours(1)) {
    switches_.pop_front();
  }
  if (!by_operator_ && static_cast<int>(switches_.size()) >= options_.most_switches) {
    latched_ = true;
    tell(out, Event::Kind::kLatched, active_, names_[target],
         std::to_string(switches_.size()) +
             " switches within an hour; from here on only an "
             "operator switches: cenote failover --to " +
             names_[target],
         true);
    return;
  }
  state_ = State::kSwitching;
  reason_ = std::move(reason);
  out->decide = Record{epoch_ + 1, names_[target], reason_, options_.self};
  tell(out, Event::Kind::kSwitching, active_, names_[target], reason_);
}

void StandbySwitch::judge_fail_back(TimePoint now, Output* out) {
  if (options_.fail_back != FailBack::kAutomatic || active_ == 0 || latched_) {
    state_ = State::kActive;
    return;
  }
  const Sight& preferred = seen_[0].sight;
  const bool well = may_take_over(0) && (!preferred.lag || *preferred.lag < options_.most_lag);
  if (!well) {
    preferred_well_since_.reset();
    if (std::exchange(state_, State::kActive) == State::kFailbackWait) {
      tell(out, Event::Kind::kFailBackOff, active_, names_[0],
           names_[0] + " was not well for long enough");
    }
    return;
  }
  if (!preferred_well_since_) preferred_well_since_ = seen_[0].began;
  if (std::exchange(state_, State::kFailbackWait) == State::kActive) {
    tell(out, Event::Kind::kFailBackWait, active_, names_[0],
         names_[0] + " is well again; calls come back when it was for " +
             seconds_text(options_.fail_back_after));
  }
  if (now >= due()) propose(0, names_[0] + " is preferred and was well for long enough", now, out);
}

TimePoint StandbySwitch::due() const {
  switch (state_) {
    case State::kSuspect:
      if (failures_ < options_.least_failures || !failing_since_) break;
      return *failing_since_ + options_.threshold;
    case State::kConfirm:
      return std::max(ask_again_at_, confirm_since_);
    case State::kFailbackWait: {
      if (!preferred_well_since_) break;
      TimePoint at = std::max(*preferred_well_since_ + options_.fail_back_after, ask_again_at_);
      if (switched_at_) at = std::max(at, *switched_at_ + options_.dwell);
      return at;
    }
    default:
      break;
  }
  return TimePoint::max();
}

StandbySwitch::Output StandbySwitch::decided(const Record& record, TimePoint now) {
  Output out;
  if (record.epoch <= epoch_) {
    if (state_ == State::kSwitching) return undecided("it holds an older decision", now);
    return out;
  }
  const bool ours = state_ == State::kSwitching && record.by == options_.self;
  const auto found = std::find(names_.begin(), names_.end(), record.target);
  const size_t from = active_;
  epoch_ = record.epoch;
  settle();
  by_operator_ = false;
  // Whichever process was told.
  const bool by_operator = record.reason == kByOperator;
  if (by_operator) {
    latched_ = false;
    switches_.clear();
  }
  if (found == names_.end()) {
    tell(&out, Event::Kind::kFollowed, from, record.target,
         "another process chose '" + record.target +
             "', which is no target here: make the "
             "configurations alike",
         true);
    return out;
  }
  active_ = static_cast<size_t>(found - names_.begin());
  if (active_ != from) {
    if (!by_operator) switches_.push_back(now);
    switched_at_ = now;
    failures_ = 0;
    failing_since_.reset();
    preferred_well_since_.reset();
    out.move = Output::Move{from, active_};
  }
  tell(&out, ours ? Event::Kind::kSwitched : Event::Kind::kFollowed, from, names_[active_],
       ours ? record.reason : record.reason + " (decided by " + record.by + ")", true);
  return out;
}

StandbySwitch::Output StandbySwitch::undecided(std::string_view why, TimePoint now) {
  Output out;
  if (state_ != State::kSwitching) return out;
  const bool leave = demoted() || failing_since_;
  state_ = leave ? State::kConfirm : State::kActive;
  by_operator_ = false;
  ask_again_at_ = now + options_.ask_store_again;
  tell(&out, Event::Kind::kUndecided, active_, "",
       "the store gave no decision: " + std::string(why) + "; it is asked again", true);
  return out;
}

Result<size_t> StandbySwitch::could_switch(std::string_view to) const {
  const auto found = to.empty() ? names_.end() : std::find(names_.begin(), names_.end(), to);
  if (!to.empty() && found == names_.end()) {
    std::string known;
    for (const std::string& name : names_) known += (known.empty() ? "" : ", ") + name;
    return make_error(ErrorKind::kUnknownPool,
                      "there is no target '" + std::string(to) + "'; there are: " + known);
  }
  if (state_ == State::kSwitching) {
    return make_error(ErrorKind::kOperational, "a switch is under way; look again in a second");
  }
  if (two_primaries_) return make_error(ErrorKind::kOperational, why());
  std::string others;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (!to.empty() && names_[i] != to) continue;
    if (i == active_) {
      if (to.empty()) continue;
      return make_error(ErrorKind::kInterface, "'" + names_[i] + "' is the active target already");
    }
    if (may_take_over(i)) return i;
    others += (others.empty() ? "" : "; ") + unfit(i);
  }
  return make_error(ErrorKind::kOperational,
                    "nothing was switched: " + others +
                        ". A database is never promoted here: do that first, with its own tools");
}

Result<StandbySwitch::Output> StandbySwitch::ask(std::string_view to, TimePoint now) {
  ARROW_ASSIGN_OR_RAISE(const size_t target, could_switch(to));
  Output out;
  latched_ = false;
  switches_.clear();
  by_operator_ = true;
  propose(target, std::string(kByOperator), now, &out);
  return out;
}

StandbySwitch::Gate StandbySwitch::writes() const {
  if (two_primaries_) return Gate::kClosed;
  // Demoted too: a decision of another process may name a target that was seen as a replica last.
  const bool held = state_ == State::kConfirm || state_ == State::kSwitching || demoted();
  return held ? Gate::kHeld : Gate::kOpen;
}

size_t StandbySwitch::reader() const {
  if (state_ != State::kConfirm || alive(seen_[active_].sight)) return active_;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (i != active_ && is_well(i)) return i;
  }
  return active_;
}

StandbySwitch::Gate StandbySwitch::reads() const {
  if (state_ != State::kConfirm && state_ != State::kSwitching) return Gate::kOpen;
  if (is_well(active_)) return Gate::kOpen;
  return (stays_told_ || latched_) && reader() != active_ ? Gate::kOpen : Gate::kHeld;
}

std::string StandbySwitch::why() const {
  if (two_primaries_) {
    return "two of its databases take writes, so none is sent any: make one a replica, or stop it";
  }
  std::string text = reason_;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (i == active_) continue;
    const std::string unfit_here = unfit(i);
    text += "; " + (unfit_here.empty() ? names_[i] + " could take over" : unfit_here);
  }
  if (latched_) text += "; after too many switches only an operator switches: cenote failover";
  return text;
}

}  // namespace cenote::failover
