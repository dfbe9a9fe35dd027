// Calls and checks of a balanced group.
#include "simulation/sharer.h"

#include <utility>

namespace cenote::simulation {
namespace {

using failover::Ejection;
using failover::Event;
using failover::Sight;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kCheck = seconds(1);
constexpr Duration kTimeout = milliseconds(500);

}  // namespace

Sharer::Sharer(World& world, const std::string& name, const std::vector<ProcessId>& members,
               LoadBalanceAlgorithm algorithm)
    : world_(world),
      members_(members),
      algorithm_(algorithm),
      process_(world.add(name, [this] { boot(); })) {}

void Sharer::boot() {
  std::vector<Ejection::Member> members;
  members.reserve(members_.size());
  for (const ProcessId each : members_) members.push_back({world_.name(each), 1.0, 10});
  rule_.emplace(members, algorithm_, world_.random().bits(), Ejection::Options());
  for (size_t i = 0; i < members_.size(); ++i) check_member(i);
  call();
}

void Sharer::check_member(size_t member) {
  world_.after(process_, kCheck, [this, member] { check_member(member); });
  world_.call<bool>(
      process_, members_[member], kTimeout, []() -> Result<bool> { return true; },
      [this, member](const Result<bool>& answer) {
        Sight sight;
        sight.condition = answer.ok() ? Sight::Condition::kWell : Sight::Condition::kDead;
        sight.writable = true;
        if (!answer.ok()) sight.error = answer.status().message();
        tell(rule_->saw(member, std::move(sight), world_.clock(process_)));
        judge();
      });
}

void Sharer::call() {
  world_.after(process_, world_.random().between(milliseconds(50), milliseconds(300)),
               [this] { call(); });
  const TimePoint now = world_.clock(process_);
  const std::vector<bool> tried(members_.size(), false);
  const size_t chosen = rule_->choose(false, tried, now, world_.random().bits());
  if (chosen >= members_.size()) {
    return world_.checks().fail(world_.name(process_) + " finds no member for a call");
  }
  world_.call<bool>(
      process_, members_[chosen], kTimeout, []() -> Result<bool> { return true; },
      [this, chosen](const Result<bool>& answer) {
        const TimePoint then = world_.clock(process_);
        tell(answer.ok()
                 ? rule_->succeeded(chosen, then)
                 : rule_->failed(chosen, answer.status().message(), then, world_.random().bits()));
        judge();
      });
}

void Sharer::tell(const std::vector<Event>& events) {
  for (const Event& event : events) {
    if (world_.tracing()) {
      world_.trace(world_.name(process_), "says " + std::string(to_string(event.kind)) + " " +
                                              event.from + ": " + event.reason);
    }
    if (event.kind == Event::Kind::kEjected) world_.checks().hit(Sometimes::kEjected);
    if (event.kind == Event::Kind::kKept) world_.checks().hit(Sometimes::kKept);
    if (event.kind == Event::Kind::kPanic) world_.checks().hit(Sometimes::kPanicked);
  }
}

void Sharer::judge() const {
  size_t ejected = 0;
  size_t out = 0;
  for (size_t i = 0; i < rule_->size(); ++i) {
    ejected += rule_->ejected(i) ? 1 : 0;
    out += rule_->ejected(i) || rule_->down(i) ? 1 : 0;
  }
  if (ejected > rule_->size() / 2) {
    world_.checks().fail(world_.name(process_) + " has ejected " + std::to_string(ejected) +
                         " of " + std::to_string(rule_->size()));
  }
  const bool few = (rule_->size() - out) * 2 < rule_->size();
  if (few != rule_->panic()) {
    world_.checks().fail(world_.name(process_) + " has " + std::to_string(out) + " of " +
                         std::to_string(rule_->size()) + " out and is " +
                         (rule_->panic() ? "" : "not ") + "in panic");
  }
}

std::string Sharer::unrest() const {
  for (size_t i = 0; i < rule_->size(); ++i) {
    if (rule_->ejected(i) || rule_->down(i)) return rule_->name(i) + " is still out";
  }
  return "";
}

}  // namespace cenote::simulation
