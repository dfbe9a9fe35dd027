// The lock-free side of the handoff: slots, their words and tags, snapshots.
#include "pool/handoff.h"

#include <algorithm>
#include <cstring>

#include "base/clip.h"

namespace cenote {
namespace {

// A thread prefers its own last slot only while that is warm: an older one may need to be proved
// alive, and would never be reaped.
constexpr Duration kWarm = std::chrono::seconds(1);

// The slots this thread returned last, for a few pools.
struct LastSlot {
  uint64_t handoff = 0;
  uint32_t slot = 0;
};
thread_local std::array<LastSlot, 4> t_last_slots;

std::atomic<uint64_t> g_last_id{0};

}  // namespace

void HolderTag::set(std::string_view text) {
  const size_t size = clipped(text, kWords * sizeof(uint64_t)).size();
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, std::min(sizeof(word), size - at));
    words_[at / sizeof(word)].store(word, std::memory_order_relaxed);
  }
  size_.store(static_cast<uint32_t>(size), std::memory_order_release);
}

std::string HolderTag::get() const {
  const size_t size = size_.load(std::memory_order_acquire);
  std::string text(kWords * sizeof(uint64_t), '\0');
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word = words_[at / sizeof(word)].load(std::memory_order_relaxed);
    std::memcpy(text.data() + at, &word, sizeof(word));
  }
  text.resize(size);
  std::replace_if(text.begin(), text.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
  return text;
}

Handoff::Handoff(const Limits& limits)
    : id_(g_last_id.fetch_add(1) + 1),
      barrier_(TimePoint::max().time_since_epoch().count()),
      limits_(limits) {}

std::optional<Handoff::Taken> Handoff::try_take(TimePoint now, std::string_view tag) {
  const TimePoint barrier(Duration(barrier_.load(std::memory_order_acquire)));
  if (barrier < now - kPatience) return std::nullopt;
  LastSlot& last = t_last_slots[id_ % t_last_slots.size()];
  if (last.handoff == id_) {
    Slot& slot = slots_[last.slot];
    const uint64_t word = slot.word.load(std::memory_order_relaxed);
    if (SlotWord::state(word) == SlotState::kIdle && now - SlotWord::since(word) < kWarm &&
        take(last.slot, word, now)) {
      slot.tag.set(tag);
      return Taken{last.slot, SlotWord::since(word)};
    }
  }
  const std::optional<Taken> taken = take_newest(now);
  if (taken) {
    last = {id_, taken->slot};
    slots_[taken->slot].tag.set(tag);
  }
  return taken;
}

bool Handoff::take(uint32_t slot, uint64_t word, TimePoint now) {
  const uint64_t active = SlotWord::pack(SlotState::kActive, now) | (word & SlotWord::kWanted);
  return slots_[slot].word.compare_exchange_strong(word, active);
}

std::optional<Handoff::Taken> Handoff::take_newest(TimePoint now) {
  for (;;) {
    uint64_t newest = 0;
    uint32_t found = 0;
    const uint32_t size = slots_.size();
    for (uint32_t i = 0; i < size; ++i) {
      const uint64_t word = slots_[i].word.load();
      if (SlotWord::state(word) != SlotState::kIdle || word < newest) continue;
      newest = word;
      found = i;
    }
    if (newest == 0) return std::nullopt;
    if (take(found, newest, now)) return Taken{found, SlotWord::since(newest)};
  }
}

int Handoff::idle() const {
  int idle = 0;
  const uint32_t size = slots_.size();
  for (uint32_t i = 0; i < size; ++i) {
    idle += SlotWord::state(slots_[i].word.load()) == SlotState::kIdle ? 1 : 0;
  }
  return idle;
}

TimePoint Handoff::since(uint32_t slot) const {
  return SlotWord::since(slots_[slot].word.load(std::memory_order_relaxed));
}

SlotState Handoff::state(uint32_t slot) const {
  return SlotWord::state(slots_[slot].word.load());
}

bool Handoff::release(uint32_t slot, TimePoint idle_since) {
  std::atomic<uint64_t>& place = slots_[slot].word;
  uint64_t word = place.load(std::memory_order_relaxed);
  if ((word & SlotWord::kWanted) != 0) return false;
  slots_[slot].tag.clear();
  return place.compare_exchange_strong(word, SlotWord::pack(SlotState::kIdle, idle_since));
}

void Handoff::set_busy(uint32_t slot) {
  constexpr auto kChange =
      static_cast<uint64_t>(SlotState::kActive) ^ static_cast<uint64_t>(SlotState::kBusy);
  slots_[slot].word.fetch_xor(kChange);  // another thread may mark it at the same time
}

bool Handoff::withdraw(uint32_t slot, TimePoint idle_since) {
  std::atomic<uint64_t>& place = slots_[slot].word;
  uint64_t word = place.load();
  const uint64_t mark = word & SlotWord::kWanted;
  return (word ^ mark) == SlotWord::pack(SlotState::kIdle, idle_since) &&
         place.compare_exchange_strong(word, SlotWord::pack(SlotState::kBusy, idle_since) | mark);
}

Handoff::Counts Handoff::counts() const {
  Counts counts;
  std::vector<uint64_t> words;
  std::vector<uint64_t> again;
  const Lock lock(mutex_);  // no slot comes or goes meanwhile, so the sum is exact
  const auto collect = [this](std::vector<uint64_t>* into) {
    into->clear();
    for (uint32_t i = 0; i < slots_.size(); ++i) into->push_back(slots_[i].word.load());
  };
  // Two equal readings in a row prove that all words held at once. Under steady traffic there may
  // be none: then each slot is still counted once, in a state it had.
  collect(&words);
  for (int tries = 0; tries < 4; ++tries) {
    collect(&again);
    if (words == again) break;
    words.swap(again);
  }
  counts.total = total_;
  counts.max = limits_.max;
  counts.waiting = waiting_;
  for (uint32_t i = 0; i < words.size(); ++i) {
    const SlotState state = SlotWord::state(words[i]);
    ++counts.of.at(static_cast<size_t>(state));
    if (state != SlotState::kActive) continue;
    if (counts.longest && SlotWord::since(words[i]) >= counts.longest->since) continue;
    if (auto holder = held(i)) counts.longest = std::move(holder);
  }
  return counts;
}

std::optional<Handoff::Held> Handoff::held(uint32_t slot) const {
  constexpr uint64_t kSame = ~SlotWord::kWanted;
  const uint64_t word = slots_[slot].word.load();
  if (SlotWord::state(word) != SlotState::kActive) return std::nullopt;
  Held held{slots_[slot].tag.get(), SlotWord::since(word)};
  // A tag read while its slot changed hands may be a mixture.
  if (((slots_[slot].word.load() ^ word) & kSame) != 0) return std::nullopt;
  return held;
}

}  // namespace cenote
