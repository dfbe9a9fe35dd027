// Faults, one after another and over one another.
#include "simulation/nemesis.h"

#include <utility>

namespace cenote::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

Nemesis::Nemesis(World& world, KvStore& store, Targets targets)
    : world_(world), store_(store), targets_(std::move(targets)) {
  Random& random = world_.random();
  const double share = random.between(1, 3) * 0.25;
  for (bool& each : enabled_) each = random.chance(share);
  const auto at = [&](Fault fault) -> bool& { return enabled_.at(static_cast<size_t>(fault)); };
  at(Fault::kCrashNode) = at(Fault::kCrashNode) || random.chance(0.5);
  at(Fault::kStoreWiped) = targets_.may_wipe && random.chance(0.15);
  pace_ = random.between(seconds(1), seconds(10));
}

Duration Nemesis::a_while() {
  Random& random = world_.random();
  // Mostly as long as a lease; seldom longer than all patience.
  return random.chance(0.1) ? random.between(seconds(20), seconds(80))
                            : random.between(milliseconds(200), seconds(12));
}

ProcessId Nemesis::one_of(const std::vector<ProcessId>& some) {
  return some[world_.random().below(some.size())];
}

ProcessId Nemesis::anyone() {
  return world_.random().below(world_.size());
}

void Nemesis::begin(TimePoint end) {
  end_ = end;
  world_.later(world_.random().between(seconds(2), seconds(15)), [this] { strike(); });
  world_.later(end - world_.now(), [this] { mend_all(); });
}

void Nemesis::strike() {
  if (over_) return;
  Random& random = world_.random();
  const auto fault = static_cast<Fault>(random.below(static_cast<size_t>(Fault::kCount)));
  if (enabled_.at(static_cast<size_t>(fault))) {
    inflict(fault, a_while());
    world_.later(random.between(Duration::zero(), pace_ * 2), [this] { strike(); });
  } else {
    world_.later(milliseconds(1), [this] { strike(); });
  }
}

void Nemesis::until(Duration time, World::Action mend) {
  world_.disturb();
  ++active_;
  world_.later(time, [this, mend = std::move(mend)] {
    if (over_) return;
    mend();
    --active_;
    world_.disturb();
  });
}

void Nemesis::crash(ProcessId id, Duration time) {
  world_.crash(id);
  world_.later(time, [this, id] { world_.start(id); });
}

void Nemesis::pause(ProcessId id, Duration time) {
  world_.pause(id);
  world_.later(time, [this, id] { world_.go_on(id); });
}

void Nemesis::inflict(Fault fault, Duration time) {
  switch (fault) {
    case Fault::kCrashNode:
      return crash(one_of(targets_.nodes), time);
    case Fault::kPauseNode:
      return pause(one_of(targets_.nodes), time);
    case Fault::kPauseAllNodes:
      until(time, [] {});
      for (const ProcessId id : targets_.nodes) pause(id, time);
      return;
    case Fault::kCrashControl:
      until(time, [] {});
      return crash(one_of(targets_.control), time);
    case Fault::kPauseControl:
      until(time, [] {});
      return pause(one_of(targets_.control), time);
    case Fault::kCrashOther:
      until(time, [] {});
      return crash(one_of(targets_.others), time);
    case Fault::kPauseOther:
      until(time, [] {});
      return pause(one_of(targets_.others), time);
    case Fault::kClockJump:
      until(milliseconds(1), [] {});
      return world_.jump(anyone(), world_.random().between(milliseconds(100), seconds(20)));
    case Fault::kStoreSlow:
    case Fault::kStoreEmpty:
    case Fault::kStoreWiped:
      return inflict_store(fault, time);
    default:
      return inflict_network(fault, time);
  }
}

void Nemesis::inflict_network(Fault fault, Duration time) {
  Random& random = world_.random();
  const ProcessId a = anyone();
  const ProcessId b = anyone();
  switch (fault) {
    case Fault::kCut:
    case Fault::kCutOneWay: {
      const bool both = fault == Fault::kCut;
      if (a == b) return;
      if (world_.tracing()) {
        world_.trace(world_.name(a), (both ? "is cut from " : "is not heard by ") + world_.name(b));
      }
      world_.cut(a, b, true);
      if (both) world_.cut(b, a, true);
      return until(time, [this, a, b] {
        world_.cut(a, b, false);
        world_.cut(b, a, false);
      });
    }
    case Fault::kIsolate: {
      if (world_.tracing()) world_.trace(world_.name(a), "is isolated");
      const auto set = [this, a](bool on) {
        for (ProcessId each = 0; each < world_.size(); ++each) {
          if (each == a) continue;
          world_.cut(a, each, on);
          world_.cut(each, a, on);
        }
      };
      set(true);
      return until(time, [set] { set(false); });
    }
    case Fault::kLoss:
      world_.weather().loss = random.chance(0.5) ? 0.05 : 0.4;
      return until(time, [this] { world_.weather().loss = 0; });
    case Fault::kSlowNetwork:
      world_.weather().most = random.between(milliseconds(50), milliseconds(1500));
      return until(time, [this] { world_.weather().most = Weather().most; });
    case Fault::kDuplicates:
      world_.weather().duplicate = 0.2;
      return until(time, [this] { world_.weather().duplicate = 0; });
    case Fault::kStalls:
      world_.weather().stall = 0.2;
      return until(time, [this] { world_.weather().stall = 0; });
    default:
      return;
  }
}

void Nemesis::inflict_store(Fault fault, Duration time) {
  switch (fault) {
    case Fault::kStoreSlow:
      store_.slow(true);
      return until(time, [this] { store_.slow(false); });
    case Fault::kStoreEmpty:
      if (world_.tracing()) world_.trace("store", "answers empty");
      store_.answer_empty(true);
      return until(time, [this] { store_.answer_empty(false); });
    case Fault::kStoreWiped:
      enabled_.at(static_cast<size_t>(fault)) = false;  // once is enough
      until(milliseconds(1), [] {});
      return store_.wipe();
    default:
      return;
  }
}

void Nemesis::mend_all() {
  over_ = true;
  active_ = 0;
  world_.disturb();
  world_.weather() = Weather();
  store_.slow(false);
  store_.answer_empty(false);
  for (ProcessId a = 0; a < world_.size(); ++a) {
    for (ProcessId b = 0; b < world_.size(); ++b) world_.cut(a, b, false);
    world_.go_on(a);
    world_.start(a);
  }
  if (world_.tracing()) world_.trace("nemesis", "has mended all");
}

}  // namespace cenote::simulation
