// The locked side of the handoff: the queue, growth, pause and end.
#include <algorithm>
#include <optional>
#include <stop_token>
#include <utility>

#include "pool/handoff.h"

namespace cenote {
namespace {

constexpr Duration kFirstBackoff = std::chrono::milliseconds(100);
constexpr Duration kLongestBackoff = std::chrono::seconds(1);

// What a blocking waiter's bell tells.
constexpr uint32_t kNotified = 1;  // look for a free slot
constexpr uint32_t kStopped = 2;
constexpr uint32_t kDecided = 4;  // the fate is known

bool late(const Waiter& waiter, TimePoint now) {
  return now >= waiter.context.deadline.at() || waiter.context.stop.stop_requested();
}

}  // namespace

void Handoff::publish() {
  TimePoint barrier = head_ == nullptr ? TimePoint::max() : head_->since;
  if (closed_ || paused_) barrier = TimePoint::min();
  barrier_.store(barrier.time_since_epoch().count());
}

void Handoff::set(uint32_t slot, SlotState state, TimePoint since) {
  slots_[slot].word.store(SlotWord::pack(state, since));
}

bool Handoff::want_held() {
  if (all_wanted_) return true;
  bool none_idle = true;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    const uint64_t word = slots_[i].word.fetch_or(SlotWord::kWanted);
    none_idle &= SlotWord::state(word) != SlotState::kIdle;
  }
  all_wanted_ = none_idle;
  return none_idle;
}

void Handoff::link(Waiter& waiter, bool front) {
  waiter.fate = Waiter::Fate::kWaiting;
  waiter.notified = false;
  waiter.before = front ? nullptr : tail_;
  waiter.after = front ? head_ : nullptr;
  (waiter.before == nullptr ? head_ : waiter.before->after) = &waiter;
  (waiter.after == nullptr ? tail_ : waiter.after->before) = &waiter;
  ++waiting_;
}

void Handoff::unlink(Waiter& waiter) {
  (waiter.before == nullptr ? head_ : waiter.before->after) = waiter.after;
  (waiter.after == nullptr ? tail_ : waiter.after->before) = waiter.before;
  --waiting_;
}

void Handoff::end(Waiter& waiter, Waiter::Fate fate, Work* work) {
  unlink(waiter);
  waiter.fate = fate;
  if (waiter.has_thread()) {
    waiter.bell.ring(kDecided);  // the last that is done to it: it may be gone now
  } else {
    work->told.push_back(std::move(waiter.self));
  }
}

void Handoff::give_to(Waiter& waiter, const Taken& taken) {
  waiter.slot = taken.slot;
  waiter.idle_since = taken.idle_since;
  slots_[taken.slot].tag.set(waiter.tag);
}

bool Handoff::pass_to(Waiter& waiter, TimePoint now) {
  const std::optional<Taken> taken = take_newest(now);
  if (taken) give_to(waiter, *taken);
  return taken.has_value();
}

void Handoff::serve_locked(TimePoint now, Work* work) {
  for (;;) {
    if (closed_ || over_limit()) close_surplus(work);
    serve_queue(now, work);
    const bool asleep = head_ != nullptr && !paused_ && !head_->notified;
    // Marking tells those who hold a slot; one that became idle before it was marked is served now.
    if ((!asleep && !closed_ && !over_limit()) || want_held()) break;
  }
  plan_connects(now, work);
  publish();
}

void Handoff::serve_queue(TimePoint now, Work* work) {
  while (head_ != nullptr && !paused_) {
    Waiter& head = *head_;
    if (late(head, now)) {
      end(head, Waiter::Fate::kLate, work);
    } else if (head.has_thread() && now - head.since < kPatience) {
      // Young: it takes a slot itself when it gets to run, unless a running thread was quicker.
      if (!head.notified && idle() > 0) {
        head.notified = true;
        head.bell.ring(kNotified);
      }
      return;
    } else if (pass_to(head, now)) {
      end(head, Waiter::Fate::kServed, work);
    } else {
      head.notified = false;
      return;
    }
  }
}

void Handoff::close_surplus(Work* work) {
  const auto close_oldest = [&]() CENOTE_REQUIRES(mutex_) {
    uint64_t oldest = UINT64_MAX;
    uint32_t found = 0;
    for (uint32_t i = 0; i < slots_.size(); ++i) {
      const uint64_t word = slots_[i].word.load();
      if (SlotWord::state(word) != SlotState::kIdle || word > oldest) continue;
      oldest = word;
      found = i;
    }
    if (oldest == UINT64_MAX) return false;
    const uint64_t closing = SlotWord::pack(SlotState::kClosing, SlotWord::since(oldest));
    if (!slots_[found].word.compare_exchange_strong(oldest, closing)) return true;
    ++closing_;
    work->closes.push_back(found);
    return true;
  };
  while ((closed_ || over_limit()) && close_oldest()) {
  }
}

void Handoff::plan_connects(TimePoint now, Work* work) {
  if (closed_) {
    work->yield = checking_ > 0;
    return;
  }
  // A young head may not have run yet to take the idle slot that it was told of.
  const int unserved = paused_ || waiting_ == 0 ? 0 : std::max(0, waiting_ - idle());
  const auto wanted = [&]() CENOTE_REQUIRES(mutex_) {
    return std::max(limits_.min - (total_ - checking_), unserved - connecting_);
  };
  while (wanted() > 0 && total_ < limits_.max && connecting_ < limits_.max_connecting &&
         now >= connects_after_) {
    ++connecting_;
    work->connects.push_back(occupy(SlotState::kConnecting));
  }
  work->yield = checking_ > 0 && unserved > connecting_ && total_ >= limits_.max;
}

uint32_t Handoff::occupy(SlotState state) {
  ++total_;
  uint32_t slot = slots_.size();
  if (free_.empty()) {
    slots_.grow_to(slot + 1);
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  set(slot, state, Clock::now());
  return slot;
}

void Handoff::free_slot(uint32_t slot) {
  set(slot, SlotState::kEmpty, TimePoint());
  free_.push_back(slot);
  if (--total_ == 0) emptied_.notify_all();
}

Handoff::Work Handoff::enqueue(Waiter& waiter, bool front) {
  Work work;
  const Lock lock(mutex_);
  const TimePoint now = Clock::now();
  if (closed_) {
    waiter.fate = Waiter::Fate::kClosed;
  } else if (!front && limits_.max_waiting > 0 && waiting_ >= limits_.max_waiting) {
    waiter.fate = Waiter::Fate::kFull;
  } else if (late(waiter, now)) {
    waiter.fate = Waiter::Fate::kLate;
  } else {
    link(waiter, front);
    serve_locked(now, &work);
    return work;
  }
  if (waiter.has_thread()) {
    waiter.bell.ring(kDecided);
  } else {
    work.told.push_back(std::move(waiter.self));
  }
  return work;
}

Waiter::Fate Handoff::wait(Waiter& waiter, Work* work) {
  const auto stop = [&waiter] { waiter.bell.ring(kStopped); };
  std::optional<std::stop_callback<decltype(stop)>> on_stop;
  if (waiter.context.stop.stop_possible()) on_stop.emplace(waiter.context.stop, stop);
  // Whoever decides a fate does so under the lock and rings afterwards: no lock is needed to read
  // it.
  while ((waiter.bell.wait(waiter.context.deadline.at()) & kDecided) == 0) {
    const Lock lock(mutex_);
    if (waiter.fate != Waiter::Fate::kWaiting) break;
    waiter.bell.clear(kNotified);
    waiter.notified = false;
    const TimePoint now = Clock::now();
    if (late(waiter, now)) {
      unlink(waiter);
      waiter.fate = Waiter::Fate::kLate;
    } else if (head_ == &waiter && !paused_ && pass_to(waiter, now)) {
      unlink(waiter);
      waiter.fate = Waiter::Fate::kServed;
    }
    // The next head may be waiting for what this one was woken for, or this one for the next slot.
    serve_locked(now, work);
    if (waiter.fate != Waiter::Fate::kWaiting) break;
  }
  return waiter.fate;
}

bool Handoff::expire(Waiter& waiter, Work* work) {
  const Lock lock(mutex_);
  if (waiter.fate != Waiter::Fate::kWaiting) return false;
  unlink(waiter);
  waiter.fate = Waiter::Fate::kLate;
  work->told.push_back(std::move(waiter.self));
  serve_locked(Clock::now(), work);
  return true;
}

Handoff::Work Handoff::give_back(uint32_t slot, TimePoint idle_since) {
  Work work;
  const Lock lock(mutex_);
  const TimePoint now = Clock::now();
  while (head_ != nullptr && late(*head_, now)) end(*head_, Waiter::Fate::kLate, &work);
  const bool strict = head_ != nullptr && !paused_ && !closed_ && !over_limit() &&
                      (!head_->has_thread() || now - head_->since >= kPatience);
  if (strict) {
    // From hand to hand, and marked as before: the next return serves the next head.
    Waiter& head = *head_;
    slots_[slot].word.store(SlotWord::pack(SlotState::kActive, now) | SlotWord::kWanted);
    give_to(head, {slot, idle_since});
    end(head, Waiter::Fate::kServed, &work);
  } else {
    slots_[slot].tag.clear();
    set(slot, SlotState::kIdle, idle_since);
    all_wanted_ = false;
  }
  serve_locked(now, &work);
  return work;
}

Handoff::Work Handoff::serve() {
  Work work;
  const Lock lock(mutex_);
  serve_locked(Clock::now(), &work);
  return work;
}

Handoff::Work Handoff::connected(uint32_t slot, TimePoint now) {
  Work work;
  const Lock lock(mutex_);
  --connecting_;
  failures_ = 0;
  connects_after_ = TimePoint::min();
  all_wanted_ = false;
  set(slot, SlotState::kIdle, now);
  serve_locked(now, &work);
  return work;
}

Handoff::Work Handoff::connect_failed(uint32_t slot, Status error, bool final, TimePoint now) {
  Work work;
  const Lock lock(mutex_);
  --connecting_;
  free_slot(slot);
  connects_after_ = now + std::min(kLongestBackoff, kFirstBackoff * (1 << std::min(failures_, 8)));
  ++failures_;
  const int living = total_ - checking_ - connecting_;
  if (living == 0 && (final || connecting_ == 0)) {
    const auto shared = std::make_shared<const Status>(std::move(error));
    while (head_ != nullptr) {
      head_->error = shared;
      end(*head_, Waiter::Fate::kFailed, &work);
    }
  }
  serve_locked(now, &work);
  return work;
}

TimePoint Handoff::connects_after() const {
  const Lock lock(mutex_);
  return connects_after_;
}

bool Handoff::surplus() const {
  const Lock lock(mutex_);
  return closed_ || over_limit();
}

void Handoff::retire(uint32_t slot) {
  const Lock lock(mutex_);
  ++closing_;
  set(slot, SlotState::kClosing, Clock::now());
}

Handoff::Work Handoff::vacate(uint32_t slot) {
  Work work;
  const Lock lock(mutex_);
  if (state(slot) == SlotState::kClosing) --closing_;
  if (state(slot) == SlotState::kChecking) --checking_;
  if (state(slot) == SlotState::kConnecting) --connecting_;
  free_slot(slot);
  serve_locked(Clock::now(), &work);
  return work;
}

std::optional<uint32_t> Handoff::reserve_spare() {
  const Lock lock(mutex_);
  const int needed = std::max(total_, limits_.min) + 1;
  if (closed_ || waiting_ > 0 || needed >= limits_.max) return std::nullopt;
  ++checking_;
  return occupy(SlotState::kChecking);
}

std::optional<uint32_t> Handoff::reserve_first() {
  const Lock lock(mutex_);
  if (closed_ || total_ > 0) return std::nullopt;
  ++connecting_;
  return occupy(SlotState::kConnecting);
}

void Handoff::set_paused(bool paused) {
  const Lock lock(mutex_);
  paused_ = paused;
  publish();
}

Handoff::Work Handoff::close() {
  Work work;
  const Lock lock(mutex_);
  closed_ = true;
  while (head_ != nullptr) end(*head_, Waiter::Fate::kClosed, &work);
  serve_locked(Clock::now(), &work);
  return work;
}

Handoff::Work Handoff::resize(int max, int min) {
  Work work;
  const Lock lock(mutex_);
  limits_.max = max;
  limits_.min = min;
  serve_locked(Clock::now(), &work);
  return work;
}

bool Handoff::wait_until_empty(Deadline deadline) {
  Lock lock(mutex_);
  while (total_ > 0 && !deadline.passed()) emptied_.wait_until(lock, deadline.at());
  return total_ == 0;
}

int Handoff::min() const {
  const Lock lock(mutex_);
  return limits_.min;
}

}  // namespace cenote
