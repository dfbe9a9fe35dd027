// Who holds which slot, and who waits for one: the heart of a pool, which knows nothing of what the
// slots hold. A free slot is taken and returned without a lock; only where none is free, callers
// queue.
//
// Each slot is one atomic word: its state, since when, and whether it is wanted. So a slot is in
// one state at any moment; taking and returning it is one compare-and-swap each. Whoever waits
// marks the held slots as wanted: returning a marked slot fails and is done under the lock, by its
// holder. A returner touches nothing of the handoff after its swap, so that a pool may end right
// then.
//
// Fairness is that of Go's mutex: a running thread may take a free slot past the queue, which saves
// two context switches, until the head of the queue has waited kPatience; from then on every slot
// is handed over to the queue, in order. Waiters without a thread are always handed over to.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/deadline.h"
#include "cenote/error.h"

#include "base/bell.h"
#include "base/mutex.h"
#include "pool/stable_array.h"

namespace cenote {

// kBusy: its connection is being cleaned or proved alive. kChecking: the health checker's own.
enum class SlotState : uint8_t { kEmpty, kConnecting, kIdle, kActive, kBusy, kChecking, kClosing };

// A slot's state, since when, and whether its return is awaited, as one word.
struct SlotWord {
  static constexpr int kBits = 4;
  static constexpr uint64_t kWanted = 8;
  static constexpr uint64_t pack(SlotState state, TimePoint since) {
    return (static_cast<uint64_t>(since.time_since_epoch().count()) << kBits) |
           static_cast<uint64_t>(state);
  }
  static constexpr SlotState state(uint64_t word) { return static_cast<SlotState>(word & 7); }
  static constexpr TimePoint since(uint64_t word) {
    return TimePoint(Duration(static_cast<int64_t>(word >> kBits)));
  }
};

// Who holds a slot: the beginning of a text, written by the holder, read by anyone.
class HolderTag {
 public:
  void set(std::string_view text);
  void clear() { size_.store(0, std::memory_order_relaxed); }
  std::string get() const;  // ends at a whole character; control characters are spaces

 private:
  static constexpr size_t kWords = 12;
  std::atomic<uint32_t> size_{0};
  std::array<std::atomic<uint64_t>, kWords> words_{};
};

// A caller in the queue. Blocking ones live on their caller's stack and sleep at the `bell`; the
// others are kept by `self` while they are queued. Members below `bell` are guarded by the
// handoff's mutex until the fate is known.
struct Waiter {
  enum class Fate : uint8_t { kNew, kWaiting, kServed, kLate, kFailed, kClosed, kFull };

  CallContext context;
  std::string_view tag;
  TimePoint since;

  Bell bell;
  std::shared_ptr<Waiter> self;
  Waiter* before = nullptr;
  Waiter* after = nullptr;
  Fate fate = Fate::kNew;
  bool notified = false;
  uint32_t slot = 0;     // if served
  TimePoint idle_since;  // if served: of the slot
  // If failed: the error of all who failed by it. Not a Status: libarrow would count its
  // references, which ThreadSanitizer cannot see.
  std::shared_ptr<const Status> error;

  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  virtual ~Waiter() = default;

  bool has_thread() const { return self == nullptr; }  // while it is queued
};

class Handoff {
 public:
  static constexpr Duration kPatience = std::chrono::milliseconds(1);

  struct Limits {
    int max = 1;
    int min = 0;
    int max_connecting = 1;
    int max_waiting = 0;  // 0: no limit
  };
  struct Taken {
    uint32_t slot = 0;
    TimePoint idle_since;
  };
  // What the owner has to do after a call, without the lock.
  struct Work {
    std::vector<std::shared_ptr<Waiter>> told;  // waiters without a thread whose fate is known
    std::vector<uint32_t> connects;             // slots that are now kConnecting
    std::vector<uint32_t> closes;               // slots that are now kClosing
    bool yield = false;                         // the health checker's connection is wanted back

    bool empty() const { return told.empty() && connects.empty() && closes.empty() && !yield; }
  };
  struct Held {
    std::string tag;
    TimePoint since;
  };
  struct Counts {
    std::array<int, 7> of{};  // by SlotState
    int total = 0;
    int max = 0;
    int waiting = 0;
    std::optional<Held> longest;

    int operator[](SlotState state) const { return of.at(static_cast<size_t>(state)); }
  };

  explicit Handoff(const Limits& limits);

  // ---- Without a lock
  // The caller's own last slot if it is warm, else the newest idle one; none if none is idle or the
  // queue may not be passed.
  std::optional<Taken> try_take(TimePoint now, std::string_view tag);
  // Since when the slot is in its state; for its holder.
  TimePoint since(uint32_t slot) const;
  // The holder makes its slot idle, unless someone waits for that: then false, and it must call
  // give_back() or retire(). Once it is true, the slot may be anyone's and the handoff gone.
  [[nodiscard]] bool release(uint32_t slot, TimePoint idle_since);
  // The holder changes its slot from kActive to kBusy.
  void set_busy(uint32_t slot);
  // Takes an idle slot out as kBusy, if it was idle since just then.
  bool withdraw(uint32_t slot, TimePoint idle_since);
  uint32_t size() const { return slots_.size(); }
  SlotState state(uint32_t slot) const;
  // Who holds a slot, if it is active.
  std::optional<Held> held(uint32_t slot) const;

  // ---- The queue
  // Joins the queue: at its front if the waiter was served before with a slot that was no good.
  Work enqueue(Waiter& waiter, bool front);
  // Waits until the fate of a queued blocking waiter is known.
  Waiter::Fate wait(Waiter& waiter, Work* work);
  // Ends a queued waiter whose deadline passed or who was stopped. False: its fate was known.
  bool expire(Waiter& waiter, Work* work);
  // Returns a slot whose release() failed.
  Work give_back(uint32_t slot, TimePoint idle_since);
  // Serves the queue and says what connects and closes are due.
  Work serve();

  // ---- Growth and end
  Work connected(uint32_t slot, TimePoint now);
  // Frees the place of a failed connect. Fails all who wait if nothing is left that could serve
  // them: no connection, and no connect either unless the error is `final`. The next connect starts
  // after a pause that doubles with each failure in a row.
  Work connect_failed(uint32_t slot, Status error, bool final, TimePoint now);
  // When connects may start again; TimePoint::min() if they may.
  TimePoint connects_after() const;
  // True if a returned slot should be closed instead: closed, or more than the limit.
  bool surplus() const;
  // The holder begins to close its slot, which keeps its place in the limit until vacate().
  void retire(uint32_t slot);
  Work vacate(uint32_t slot);
  // A place for the health checker, if callers would still have one.
  std::optional<uint32_t> reserve_spare();
  // A place for a connect that nobody waits for, if the pool has nothing at all.
  std::optional<uint32_t> reserve_first();
  void set_paused(bool paused);
  // Refuses all, from now on; the idle slots are due to be closed.
  Work close();
  Work resize(int max, int min);
  // Waits until no slot is occupied. False: the deadline passed.
  bool wait_until_empty(Deadline deadline);

  Counts counts() const;
  int min() const;

 private:
  struct alignas(64) Slot {
    std::atomic<uint64_t> word{0};
    HolderTag tag;
  };

  std::optional<Taken> take_newest(TimePoint now);
  int idle() const;
  // An idle slot becomes an active one and stays wanted if it was.
  bool take(uint32_t slot, uint64_t word, TimePoint now);
  void set(uint32_t slot, SlotState state, TimePoint since) CENOTE_REQUIRES(mutex_);
  // Marks all held slots as wanted. False: one was idle meanwhile.
  bool want_held() CENOTE_REQUIRES(mutex_);
  void give_to(Waiter& waiter, const Taken& taken) CENOTE_REQUIRES(mutex_);
  bool pass_to(Waiter& waiter, TimePoint now) CENOTE_REQUIRES(mutex_);
  void link(Waiter& waiter, bool front) CENOTE_REQUIRES(mutex_);
  void unlink(Waiter& waiter) CENOTE_REQUIRES(mutex_);
  void end(Waiter& waiter, Waiter::Fate fate, Work* work) CENOTE_REQUIRES(mutex_);
  void serve_locked(TimePoint now, Work* work) CENOTE_REQUIRES(mutex_);
  void serve_queue(TimePoint now, Work* work) CENOTE_REQUIRES(mutex_);
  void close_surplus(Work* work) CENOTE_REQUIRES(mutex_);
  void plan_connects(TimePoint now, Work* work) CENOTE_REQUIRES(mutex_);
  uint32_t occupy(SlotState state) CENOTE_REQUIRES(mutex_);
  void free_slot(uint32_t slot) CENOTE_REQUIRES(mutex_);
  bool over_limit() const CENOTE_REQUIRES(mutex_) { return total_ - closing_ > limits_.max; }
  // Tells the lock-free side how long the queue's head waits.
  void publish() CENOTE_REQUIRES(mutex_);

  const uint64_t id_;  // for the threads' memory of their last slots
  StableArray<Slot> slots_;
  // Since when the head of the queue waits: max without a queue, min if nobody may pass at all.
  alignas(64) std::atomic<int64_t> barrier_;

  alignas(64) mutable Mutex mutex_;  // guards all below and the waiters; no calls out under it
  std::condition_variable_any emptied_;
  Limits limits_ CENOTE_GUARDED_BY(mutex_);
  std::vector<uint32_t> free_ CENOTE_GUARDED_BY(mutex_);
  Waiter* head_ CENOTE_GUARDED_BY(mutex_) = nullptr;
  Waiter* tail_ CENOTE_GUARDED_BY(mutex_) = nullptr;
  int waiting_ CENOTE_GUARDED_BY(mutex_) = 0;
  int total_ CENOTE_GUARDED_BY(mutex_) = 0;
  int connecting_ CENOTE_GUARDED_BY(mutex_) = 0;
  int closing_ CENOTE_GUARDED_BY(mutex_) = 0;
  int checking_ CENOTE_GUARDED_BY(mutex_) = 0;
  int failures_ CENOTE_GUARDED_BY(mutex_) = 0;
  TimePoint connects_after_ CENOTE_GUARDED_BY(mutex_) = TimePoint::min();
  bool all_wanted_ CENOTE_GUARDED_BY(mutex_) = false;  // every held slot is marked
  bool paused_ CENOTE_GUARDED_BY(mutex_) = false;
  bool closed_ CENOTE_GUARDED_BY(mutex_) = false;
};

}  // namespace cenote
