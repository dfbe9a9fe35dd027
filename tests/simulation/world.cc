// Events in their order.
#include "simulation/world.h"

#include <algorithm>
#include <cstdio>

#include "simulation/simulated_clock.h"

namespace cenote::simulation {
namespace {

constexpr Duration kLateDuplicate = std::chrono::seconds(8);

}  // namespace

Status no_answer() {
  ErrorDetail detail;
  detail.kind = ErrorKind::kConnection;
  detail.sent = Sent::kMaybe;
  return make_error(std::move(detail), "no answer in time");
}

Status refused() {
  ErrorDetail detail;
  detail.kind = ErrorKind::kConnection;
  detail.sent = Sent::kNo;
  return make_error(std::move(detail), "connection refused");
}

bool is_refused(const Status& status) {
  const ErrorDetail* detail = error_detail(status);
  return detail != nullptr && detail->kind == ErrorKind::kConnection && detail->sent == Sent::kNo;
}

// Not at zero: a time before the start must exist too.
World::World(uint64_t seed, Bug bug, bool tracing)
    : bug_(bug),
      tracing_(tracing),
      random_(seed),
      now_(std::chrono::hours(1)),
      cut_(kMost * kMost, false),
      disturbed_(now_) {
  set_clock(now_);
}

World::~World() {
  release_clock();
}

ProcessId World::add(std::string name, Action boot) {
  processes_.push_back({.name = std::move(name), .boot = std::move(boot), .held = {}});
  return processes_.size() - 1;
}

void World::start(ProcessId id) {
  Process& process = processes_[id];
  if (process.up) return;
  process.up = true;
  process.paused = false;
  ++process.boots;
  process.changed_at = now_;
  changed();
  if (tracing_) trace(process.name, "starts");
  run(id, process.boot);
}

void World::crash(ProcessId id) {
  Process& process = processes_[id];
  if (!process.up) return;
  const bool runs_before = runs(id);
  process.up = false;
  process.crashed_at = now_;
  process.paused = false;
  process.held.clear();
  ++process.boots;  // no timer of it and no answer to it is of use any more
  if (runs_before) process.changed_at = now_;
  changed();
  if (tracing_) trace(process.name, "crashes");
}

void World::pause(ProcessId id) {
  if (!runs(id)) return;
  processes_[id].paused = true;
  processes_[id].changed_at = now_;
  changed();
  if (tracing_) trace(name(id), "is paused");
}

void World::go_on(ProcessId id) {
  Process& process = processes_[id];
  if (!process.paused) return;
  process.paused = false;
  process.changed_at = now_;
  changed();
  if (tracing_) trace(process.name, "goes on");
  for (Action& action : process.held) push(now_, id, process.boots, std::move(action));
  process.held.clear();
}

void World::jump(ProcessId id, Duration by) {
  processes_[id].ahead += by;
  if (runs(id)) processes_[id].changed_at = now_;
  if (tracing_) trace(name(id), "has its clock moved ahead");
}

void World::push(TimePoint at, ProcessId process, uint64_t boot, Action action) {
  if (free_slots_.empty()) {
    free_slots_.push_back(slots_.size());
    slots_.emplace_back();
  }
  const size_t slot = free_slots_.back();
  free_slots_.pop_back();
  slots_[slot] = {process, boot, std::move(action)};
  queue_.push_back({at, ++number_, slot});
  std::push_heap(queue_.begin(), queue_.end(), Later());
}

void World::after(ProcessId id, Duration time, Action action) {
  push(now_ + time, id, processes_[id].boots, std::move(action));
}

void World::later(Duration time, Action action) {
  push(now_ + time, kNobody, 0, std::move(action));
}

bool World::lost(ProcessId from, ProcessId to) {
  return is_cut(from, to) || (weather_.loss > 0 && random_.chance(weather_.loss));
}

void World::send(ProcessId from, ProcessId to, Action action) {
  carry(from, to, [this, to, action = std::move(action)] {
    if (is_up(to)) action();
  });
}

void World::carry(ProcessId from, ProcessId to, Action action) {
  if (lost(from, to)) return;
  const Duration delay = random_.between(weather_.least, weather_.most);
  if (weather_.duplicate > 0 && random_.chance(weather_.duplicate)) {
    push(now_ + delay + random_.between(Duration::zero(), kLateDuplicate), to, 0, action);
  }
  push(now_ + delay, to, 0, std::move(action));
}

World::Passage World::pass(ProcessId from, ProcessId to) {
  if (lost(from, to)) return Passage::kLost;
  if (!is_up(to)) return is_cut(to, from) ? Passage::kLost : Passage::kRefused;
  if (is_paused(to)) return Passage::kLost;
  return lost(to, from) ? Passage::kAnswerLost : Passage::kDone;
}

void World::run(ProcessId id, const Action& action) {
  set_clock(id == kNobody ? now_ : clock(id));
  action();
}

bool World::step() {
  if (queue_.empty() || checks_.failed()) return false;
  std::pop_heap(queue_.begin(), queue_.end(), Later());
  const Due due = queue_.back();
  queue_.pop_back();
  const Event event = std::move(slots_[due.slot]);
  free_slots_.push_back(due.slot);
  now_ = due.at;
  ++events_;
  if (event.process != kNobody) {
    Process& process = processes_[event.process];
    if (event.boot != 0 && event.boot != process.boots) return true;
    if (process.paused) {
      process.held.push_back(event.action);
      return true;
    }
  }
  run(event.process, event.action);
  return !checks_.failed();
}

void World::run_until(TimePoint end) {
  while (!queue_.empty() && queue_.front().at <= end) {
    if (!step()) return;
  }
  now_ = std::max(now_, end);
}

void World::trace(std::string_view who, std::string_view what) {
  char time[32];
  const auto since = std::chrono::duration<double>(now_.time_since_epoch()).count() - 3600;
  std::snprintf(time, sizeof time, "%10.6f ", since);
  history_ += time;
  history_ += who;
  history_ += ' ';
  history_ += what;
  history_ += '\n';
}

}  // namespace cenote::simulation
