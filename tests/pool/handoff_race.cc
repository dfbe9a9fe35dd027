// The handoff alone: who gets a slot, in what order, under how many threads. Runs under
// ThreadSanitizer too.
#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "pool/handoff.h"

namespace cenote {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// Makes every connect that is planned succeed at once, and every close end at once.
void perform(Handoff& handoff, Handoff::Work work) {
  while (!work.empty()) {
    Handoff::Work next;
    const auto add = [&next](Handoff::Work more) {
      next.told.insert(next.told.end(), more.told.begin(), more.told.end());
      next.connects.insert(next.connects.end(), more.connects.begin(), more.connects.end());
      next.closes.insert(next.closes.end(), more.closes.begin(), more.closes.end());
    };
    for (const uint32_t slot : work.connects) add(handoff.connected(slot, Clock::now()));
    for (const uint32_t slot : work.closes) add(handoff.vacate(slot));
    work = std::move(next);
  }
}

struct Outcome {
  Waiter::Fate fate = Waiter::Fate::kServed;
  uint32_t slot = 0;
};

Outcome take(Handoff& handoff, const CallContext& context = {}) {
  if (const auto taken = handoff.try_take(Clock::now(), "taker")) {
    return {Waiter::Fate::kServed, taken->slot};
  }
  Waiter waiter;
  waiter.context = context;
  waiter.since = Clock::now();
  perform(handoff, handoff.enqueue(waiter, false));
  Handoff::Work work;
  const Waiter::Fate fate = handoff.wait(waiter, &work);
  perform(handoff, std::move(work));
  return {fate, waiter.slot};
}

void give(Handoff& handoff, uint32_t slot, TimePoint idle_since = Clock::now()) {
  if (!handoff.release(slot, idle_since)) perform(handoff, handoff.give_back(slot, idle_since));
}

TEST(Handoff, no_slot_has_two_holders_and_no_late_waiter_is_served) {
  constexpr int kSlots = 3;
  Handoff handoff({.max = kSlots, .max_connecting = 2});
  std::array<std::atomic<int>, kSlots> holders{};
  std::atomic<int> served = 0;
  std::atomic<int> late = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 12; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(static_cast<unsigned>(t));
      for (int i = 0; i < 1500; ++i) {
        // Every third is impatient: some of those expire just when they would be served.
        const bool impatient = i % 3 == 0;
        const Deadline deadline =
            impatient ? Deadline::in(microseconds(random() % 60)) : Deadline();
        const Outcome outcome = take(handoff, {deadline, {}});
        if (outcome.fate != Waiter::Fate::kServed) {
          EXPECT_TRUE(impatient);
          ++late;
          continue;
        }
        ++served;
        EXPECT_EQ(++holders.at(outcome.slot), 1);
        if (random() % 4 == 0) std::this_thread::yield();
        EXPECT_EQ(--holders.at(outcome.slot), 0);
        give(handoff, outcome.slot);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served + late, 12 * 1500);
  const Handoff::Counts counts = handoff.counts();
  EXPECT_EQ(counts.waiting, 0);
  EXPECT_LE(counts.total, kSlots);
  EXPECT_EQ(counts[SlotState::kIdle], counts.total);
}

TEST(Handoff, snapshots_add_up_while_slots_change_hands) {
  Handoff handoff({.max = 4, .max_connecting = 2});
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      while (!stop) give(handoff, take(handoff).slot);
    });
  }
  for (int i = 0; i < 2000; ++i) {
    const Handoff::Counts counts = handoff.counts();
    int sum = 0;
    for (size_t state = 1; state < counts.of.size(); ++state) sum += counts.of.at(state);
    EXPECT_EQ(sum, counts.total);
    EXPECT_LE(counts.total, 4);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(Handoff, a_queue_whose_head_waited_long_is_handed_every_slot) {
  Handoff handoff({.max = 1, .max_connecting = 1});
  const uint32_t slot = take(handoff).slot;
  Waiter waiter;
  waiter.since = Clock::now() - 2 * Handoff::kPatience;
  perform(handoff, handoff.enqueue(waiter, false));
  EXPECT_FALSE(handoff.release(slot, Clock::now()));
  perform(handoff, handoff.give_back(slot, Clock::now()));
  EXPECT_EQ(waiter.fate, Waiter::Fate::kServed);
  EXPECT_FALSE(handoff.try_take(Clock::now(), "").has_value());
  give(handoff, waiter.slot);
  EXPECT_TRUE(handoff.try_take(Clock::now(), "").has_value());
}

TEST(Handoff, a_running_thread_may_pass_a_queue_whose_head_came_just_now) {
  Handoff handoff({.max = 1, .max_connecting = 1});
  const uint32_t slot = take(handoff).slot;
  Waiter waiter;                           // that never gets to run
  waiter.since = Clock::now() + hours(1);  // so that it is young, however slow this test is
  perform(handoff, handoff.enqueue(waiter, false));
  give(handoff, slot);
  EXPECT_EQ(waiter.fate, Waiter::Fate::kWaiting);
  EXPECT_TRUE(handoff.try_take(Clock::now(), "").has_value());
  perform(handoff, handoff.close());
  EXPECT_EQ(waiter.fate, Waiter::Fate::kClosed);
}

TEST(Handoff, waiters_without_a_thread_are_handed_every_slot_in_order) {
  Handoff handoff({.max = 1, .max_connecting = 1});
  uint32_t slot = take(handoff).slot;
  std::vector<std::shared_ptr<Waiter>> waiters;
  for (int i = 0; i < 100; ++i) {
    waiters.push_back(std::make_shared<Waiter>());
    waiters.back()->since = Clock::now();
    waiters.back()->self = waiters.back();
    perform(handoff, handoff.enqueue(*waiters.back(), false));
  }
  for (int i = 0; i < 100; ++i) {
    if (i % 2 == 1) {
      Handoff::Work work;
      EXPECT_TRUE(handoff.expire(*waiters[i], &work));
      EXPECT_FALSE(handoff.expire(*waiters[i], &work));
    }
  }
  for (int i = 0; i < 100; i += 2) {
    ASSERT_FALSE(handoff.release(slot, Clock::now()));
    const Handoff::Work work = handoff.give_back(slot, Clock::now());
    ASSERT_EQ(work.told.size(), 1U);
    EXPECT_EQ(work.told.front(), waiters[i]);
    slot = waiters[i]->slot;
  }
  EXPECT_EQ(handoff.counts().waiting, 0);
}

TEST(Handoff, a_full_queue_and_a_closed_handoff_refuse) {
  Handoff handoff({.max = 1, .max_connecting = 1, .max_waiting = 1});
  const uint32_t slot = take(handoff).slot;
  const auto queued = std::make_shared<Waiter>();
  queued->self = queued;
  perform(handoff, handoff.enqueue(*queued, false));
  EXPECT_EQ(take(handoff).fate, Waiter::Fate::kFull);
  perform(handoff, handoff.close());
  EXPECT_EQ(queued->fate, Waiter::Fate::kClosed);
  EXPECT_EQ(take(handoff).fate, Waiter::Fate::kClosed);
  EXPECT_FALSE(handoff.release(slot, Clock::now()));
  EXPECT_TRUE(handoff.surplus());
  handoff.retire(slot);
  EXPECT_EQ(handoff.counts().total, 1) << "it counts until it is closed";
  perform(handoff, handoff.vacate(slot));
  EXPECT_TRUE(handoff.wait_until_empty(Deadline()));
}

TEST(Handoff, the_newest_idle_slot_is_taken_by_who_has_none_of_its_own) {
  Handoff handoff({.max = 3, .max_connecting = 3});
  const std::array slots = {take(handoff).slot, take(handoff).slot, take(handoff).slot};
  TimePoint now = Clock::now();
  for (const size_t i : {1, 2, 0}) {
    give(handoff, slots.at(i), now);
    now += milliseconds(1);
  }
  std::vector<uint32_t> order;
  std::thread stranger([&] {
    while (const auto taken = handoff.try_take(now, "")) order.push_back(taken->slot);
  });
  stranger.join();
  EXPECT_EQ(order, (std::vector<uint32_t>{slots[0], slots[2], slots[1]}));
}

TEST(HolderTag, says_the_beginning_of_a_text_in_whole_characters) {
  HolderTag tag;
  EXPECT_EQ(tag.get(), "");
  tag.set("nightly\nreport");
  EXPECT_EQ(tag.get(), "nightly report");
  tag.set(std::string(95, 'x') + "é");
  EXPECT_EQ(tag.get(), std::string(95, 'x'));
  tag.clear();
  EXPECT_EQ(tag.get(), "");
}

}  // namespace
}  // namespace cenote
