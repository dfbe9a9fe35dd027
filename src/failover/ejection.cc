// Who is out, who comes back, and the choice among the rest.
#include "failover/ejection.h"

#include <algorithm>
#include <utility>

namespace cenote::failover {
namespace {

using Condition = Sight::Condition;

constexpr int kDraws = 4;

route::Tier tier_of(const std::vector<Ejection::Member>& members) {
  std::vector<route::Target> targets;
  for (const Ejection::Member& member : members) {
    targets.push_back({member.name, "", "", member.weight, member.capacity, nullptr});
  }
  return route::Tier(std::move(targets));
}

}  // namespace

Ejection::Ejection(const std::vector<Member>& members, LoadBalanceAlgorithm algorithm,
                   uint64_t seed, Options options)
    : options_(std::move(options)),
      tier_(tier_of(members)),
      balancer_(route::make_load_balancer(algorithm, seed)),
      weighs_(algorithm == LoadBalanceAlgorithm::kP2cEwma ||
              algorithm == LoadBalanceAlgorithm::kLeastConnections) {
  members_.reserve(members.size());
  for (size_t i = 0; i < members.size(); ++i) {
    members_.push_back(
        {.name = members[i].name, .breaker = route::Breaker(options_.breaker), .sight = {}});
    tier_.targets[i].load = members_[i].load;
  }
}

void Ejection::tell(std::vector<Event>* events, Event::Kind kind, size_t member, std::string reason,
                    bool alert) const {
  events->push_back({kind, 0, members_[member].name, "", std::move(reason), alert});
}

// Half of the group at the most, and the last one that is well never.
bool Ejection::may_eject(size_t member) const {
  size_t ejected = 0;
  size_t left = 0;
  for (size_t i = 0; i < size(); ++i) {
    ejected += members_[i].ejected ? 1 : 0;
    left += i != member && !out(i) ? 1 : 0;
  }
  return ejected + 1 <= size() / 2 && left > 0;
}

void Ejection::judge_panic(std::vector<Event>* events) {
  size_t left = 0;
  for (size_t i = 0; i < size(); ++i) left += out(i) ? 0 : 1;
  const bool few = left * 2 < size();
  if (std::exchange(panic_, few) == few) return;
  const std::string counts = std::to_string(left) + " of " + std::to_string(size()) + " are well";
  tell(events, few ? Event::Kind::kPanic : Event::Kind::kCalm, 0,
       few ? counts + ": all get calls" : counts + ": those get the calls", few);
}

void Ejection::give_back(size_t member, std::string why, TimePoint now,
                         std::vector<Event>* events) {
  members_[member].load->start_slowly(now);
  tell(events, Event::Kind::kReturned, member, std::move(why));
}

std::vector<Event> Ejection::succeeded(size_t member, TimePoint now) {
  std::vector<Event> events;
  State& state = members_[member];
  state.kept_told = false;
  if (state.breaker.succeeded(now) && std::exchange(state.ejected, false)) {
    give_back(member, "its calls succeed again", now, &events);
  }
  judge_panic(&events);
  return events;
}

std::vector<Event> Ejection::failed(size_t member, std::string_view why, TimePoint now,
                                    uint64_t random) {
  std::vector<Event> events;
  State& state = members_[member];
  if (state.breaker.failed(now, random) && !state.ejected) {
    if (may_eject(member)) {
      state.ejected = true;
      tell(&events, Event::Kind::kEjected, member, "its calls fail: " + std::string(why), true);
    } else {
      // Still chosen; its connects are paced by its pool.
      state.breaker.reset(now);
      if (!std::exchange(state.kept_told, true)) {
        tell(&events, Event::Kind::kKept, member,
             "its calls fail, but too few are left without it: " + std::string(why), true);
      }
    }
  }
  judge_panic(&events);
  return events;
}

std::vector<Event> Ejection::saw(size_t member, Sight sight, TimePoint now) {
  std::vector<Event> events;
  State& state = members_[member];
  const bool changed = state.sight.condition != sight.condition;
  if (sight.condition != Condition::kWell) {
    sight.writable = state.sight.writable;
    sight.primary = state.sight.primary;
  }
  state.sight = std::move(sight);
  switch (state.sight.condition) {
    case Condition::kWell:
      state.fails = 0;
      // Only a recovery ends an ejection: checks may pass all along while calls fail.
      if (!state.check_failed || ++state.passes < options_.rise) break;
      state.check_failed = false;
      if (out(member)) {
        state.down = state.ejected = false;
        state.breaker.reset(now);
        give_back(member, "its checks pass again", now, &events);
      }
      break;
    case Condition::kDead:
      state.passes = 0;
      state.check_failed = true;
      if (++state.fails >= options_.fall && !std::exchange(state.down, true)) {
        tell(&events, Event::Kind::kEjected, member, "its checks fail: " + state.sight.error, true);
      }
      break;
    case Condition::kOverloaded:
      if (changed) tell(&events, Event::Kind::kOverloaded, member, "busy, which is not dead");
      break;
    case Condition::kUnauthorised:
      if (changed) {
        tell(&events, Event::Kind::kUnauthorised, member,
             "alive, but refuses the credentials: " + state.sight.error, true);
      }
      break;
    case Condition::kUnknown:
      break;
  }
  judge_panic(&events);
  return events;
}

size_t Ejection::choose(bool write, const std::vector<bool>& tried, TimePoint now,
                        uint64_t random) {
  const auto fits = [&](size_t i) {
    const Sight& sight = members_[i].sight;
    const bool role = !write || sight.writable || sight.condition == Condition::kUnknown;
    return role && !(i < tried.size() && tried[i]);
  };
  // A member whose time out is over gets single calls as probes.
  for (size_t i = 0; i < size(); ++i) {
    State& state = members_[i];
    if (!state.ejected || state.down || !fits(i)) continue;
    if (now >= state.breaker.open_until() && state.breaker.allow(now)) return i;
  }
  const auto open = [&](size_t i) { return fits(i) && (panic_ || !out(i)); };
  constexpr double kWhole = 1ULL << 32;
  for (int draw = 0; draw < kDraws; ++draw) {
    const size_t i = balancer_->choose(tier_, now, random);
    // The low half: algorithms draw from the high one.
    const double where = static_cast<double>(random & 0xffffffff) / kWhole;
    // Of who has just come back most draws are passed on.
    const bool held_back = !weighs_ && where >= members_[i].load->share(now);
    if (open(i) && !held_back) return i;
    random = random * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX
  }
  for (size_t i = 0; i < size(); ++i) {
    const size_t at = (random + i) % size();
    if (open(at)) return at;
  }
  // Rather one that is out than none.
  for (size_t i = 0; i < size(); ++i) {
    if (fits(i)) return i;
  }
  return size();
}

std::string Ejection::why(bool write) const {
  std::string text;
  for (const State& member : members_) {
    text += (text.empty() ? "" : "; ") + member.name + " ";
    if (member.sight.condition == Condition::kDead) {
      text += "does not answer: " + member.sight.error;
    } else if (write && !member.sight.writable) {
      text += "takes no writes";
    } else {
      text += "has failed this call";
    }
  }
  return text;
}

}  // namespace cenote::failover
