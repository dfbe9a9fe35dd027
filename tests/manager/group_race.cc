// Many callers of a failover group while its calls go elsewhere, its members fail, and it ends.
#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/log.h"
#include "manager/grouped_calls.h"
#include "manager/threads.h"

namespace cenote {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Group = std::shared_ptr<FailoverGroup>;

// A member that is what the test wants.
struct Place {
  std::atomic<bool> well{true};
  std::atomic<bool> writable{true};
  std::atomic<bool> primary{false};  // says so itself

  std::optional<failover::Sight> look() const {
    using Condition = failover::Sight::Condition;
    failover::Sight sight;
    sight.condition = well ? Condition::kWell : Condition::kDead;
    sight.writable = writable;
    sight.primary = primary;
    return sight;
  }
};

Status lost(Sent sent) {
  ErrorDetail detail;
  detail.kind = ErrorKind::kConnection;
  detail.sent = sent;
  return make_error(std::move(detail), "the server is gone");
}

class GroupRace : public testing::Test {
 protected:
  void SetUp() override { set_log_sink({}, LogLevel::kError); }
  void TearDown() override { set_log_sink({}); }

  std::vector<FailoverGroup::Member> members(size_t count) const {
    std::vector<FailoverGroup::Member> members;
    for (size_t i = 0; i < count; ++i) {
      members.push_back(
          {std::string(1, static_cast<char>('a' + i)), nullptr,
           [places = places_, i](const CallContext&) { return (*places)[i].look(); }});
    }
    return members;
  }
  static FailoverGroup::Options quick() {
    FailoverGroup::Options options;
    options.id = "a";
    options.interval = options.hurried = milliseconds(2);
    return options;
  }
  Group standby(size_t count) const {
    ActiveStandby strategy{"a", "b"};
    strategy.switch_threshold = milliseconds(4);
    strategy.hold = seconds(30);
    Epochs epochs;
    epochs.store = local_epochs();
    return standby_group(members(count), quick(), strategy, epochs);
  }
  Place& place(size_t at) const { return (*places_)[at]; }

  // Calls by several threads until `until` ends; `at` is the call at one member.
  using At = std::function<Result<int>(size_t member, bool write, const QueryOptions& now)>;
  using Ended = std::function<void(bool write, const Result<int>& answer)>;
  static std::vector<std::jthread> callers(const Group& group, const At& at, const Ended& ended) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([=, write = i != 0](const std::stop_token& stop) {
        while (!stop.stop_requested()) ended(write, call(group, write, at));
      });
    }
    return threads;
  }
  static Result<int> call(const Group& group, bool write, const At& at) {
    RoutedCall call{"a"};
    call.repeatable = !write;
    call.need = write ? route::Need::kWrite : route::Need::kRead;
    return grouped<int>(
        group, call, {}, nullptr,
        [&](const FailoverGroup::Member& member, const QueryOptions& now, Origin* /*from*/) {
          return at(static_cast<size_t>(member.name[0] - 'a'), write, now);
        });
  }
  template <typename Condition>
  static bool until(const Condition& condition) {
    const Deadline limit = Deadline::in(seconds(60));
    while (!condition()) {
      if (limit.passed()) return false;
      std::this_thread::yield();
    }
    return true;
  }
  static bool all_seen(const Group& group) {
    return until([&] {
      const auto targets = group->status().targets;
      return std::none_of(targets.begin(), targets.end(),
                          [](const auto& each) { return each.state == "unknown"; });
    });
  }

  // Groups may live on for as long as their last caller.
  const std::shared_ptr<std::array<Place, 4>> places_ = std::make_shared<std::array<Place, 4>>();
};

TEST_F(GroupRace, no_write_begins_at_a_target_that_was_left) {
  const Group group = standby(2);
  ASSERT_TRUE(all_seen(group));
  constexpr int kMoving = -1;
  std::atomic<int> told{0};  // where calls go, as the operator was told
  std::atomic<int> late{0};
  std::atomic<int> writes{0};
  std::atomic<int> unclear{0};
  auto threads = callers(
      group,
      [&](size_t member, bool write, const QueryOptions& now) -> Result<int> {
        const int where = told;
        const bool left = where != kMoving && where != static_cast<int>(member);
        if (now.stop.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
        if (write && left) ++late;
        if (write) ++writes;
        return 1;
      },
      [&](bool /*write*/, const Result<int>& answer) {
        const ErrorDetail* detail = error_detail(answer.status());
        if (answer.ok() || (detail != nullptr && detail->kind == ErrorKind::kConnection)) return;
        ++unclear;
      });
  for (int i = 0; i < 400; ++i) {
    const int next = 1 - told;
    told = kMoving;
    const auto moved = group->switch_to(next == 0 ? "a" : "b", false);
    ASSERT_TRUE(moved.ok()) << moved.status();
    told = next;
    ASSERT_TRUE(until([&, before = writes.load()] { return writes > before + 8; }));
  }
  threads.clear();
  EXPECT_EQ(late, 0);
  EXPECT_EQ(unclear, 0) << "an interrupted call says nothing of the switch";
  EXPECT_EQ(group->status().epoch, 400u);
}

TEST_F(GroupRace, every_write_lands_where_writes_are_taken_while_roles_change) {
  for (size_t i = 0; i < 3; ++i) place(i).primary = place(i).writable = i == 0;
  const Group group = standby(3);
  ASSERT_TRUE(all_seen(group));
  std::atomic<int> taken{0};
  std::atomic<int> wrong{0};
  auto threads = callers(
      group,
      [&](size_t member, bool write, const QueryOptions& now) -> Result<int> {
        if (now.stop.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
        if (!write || place(member).writable) return 1;
        ErrorDetail detail;
        detail.kind = ErrorKind::kReadOnly;
        detail.sent = Sent::kNo;
        return make_error(std::move(detail), "this is a replica");
      },
      [&](bool write, const Result<int>& answer) {
        if (answer.ok()) {
          taken += write ? 1 : 0;
          return;
        }
        const ErrorDetail* detail = error_detail(answer.status());
        const bool clear = detail != nullptr &&
                           (detail->kind == ErrorKind::kReadOnly ||
                            (detail->kind == ErrorKind::kConnection && detail->sent != Sent::kYes));
        wrong += clear ? 0 : 1;
      });
  size_t primary = 0;
  for (int i = 0; i < 20; ++i) {
    const size_t next = (primary + 1) % 3;
    place(primary).primary = place(primary).writable = false;
    place(next).primary = place(next).writable = true;
    // After three switches it is an operator's turn.
    ASSERT_TRUE(until([&] {
      return group->current() == next ||
             (group->status().state == "latched" &&
              group->switch_to(std::string(1, static_cast<char>('a' + next)), false).ok());
    })) << group->status().why;
    ASSERT_TRUE(until([&, before = taken.load()] { return taken > before; }))
        << "nobody writes to the new primary";
    primary = next;
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

TEST_F(GroupRace, a_balanced_group_loses_no_call_while_half_of_it_fails) {
  place(3).writable = false;
  const Group group = balanced_group(members(4), quick(), LoadBalanceAlgorithm::kP2cEwma);
  ASSERT_TRUE(all_seen(group));
  std::atomic<int> round{0};
  std::atomic<int> misplaced{0};
  std::atomic<int> failed{0};
  std::atomic<int> done{0};
  auto threads = callers(
      group,
      [&](size_t member, bool write, const QueryOptions&) -> Result<int> {
        if (write && member == 3) ++misplaced;
        const bool sick = member >= 2 && round % 2 == 1;
        if (sick) return lost(write ? Sent::kNo : Sent::kMaybe);
        return 1;
      },
      [&](bool /*write*/, const Result<int>& answer) {
        failed += answer.ok() ? 0 : 1;
        ++done;
      });
  for (; round < 40; ++round) {
    // Each second time by what the checks see too.
    for (size_t i = 2; i < 4; ++i) place(i).well = round % 4 != 1;
    ASSERT_TRUE(until([&, before = done.load()] { return done > before + 200; }));
    (void)group->samples();
    (void)group->current();
  }
  // A failure that lasts is noticed, however short the ones before were.
  round = 1;
  for (size_t i = 2; i < 4; ++i) place(i).well = false;
  EXPECT_TRUE(until([&] { return group->status().counts["ejected"] > 0; }));
  threads.clear();
  EXPECT_EQ(failed, 0) << "a and b were well all along";
  EXPECT_EQ(misplaced, 0) << "a write went to a member that takes none";
}

TEST_F(GroupRace, a_group_ends_with_its_last_caller_and_leaves_no_thread) {
  const size_t before = threads_of_this_process();
  for (int i = 0; i < 16; ++i) {
    Group group = i % 2 == 0
                      ? standby(2)
                      : balanced_group(members(2), quick(), LoadBalanceAlgorithm::kRoundRobin);
    std::atomic<int> done{0};
    auto threads = callers(
        group, [&](size_t, bool, const QueryOptions&) -> Result<int> { return lost(Sent::kNo); },
        [&](bool, const Result<int>&) { ++done; });
    ASSERT_TRUE(i % 2 == 0 || until([&] { return done > 20; }));
    if (i % 2 == 0) (void)group->switch_to("b", false);
    // Held callers wait for a change that comes with each check that passes.
    for (std::jthread& thread : threads) thread.request_stop();
    group.reset();
  }
  EXPECT_TRUE(until([&] { return threads_of_this_process() <= before; }));
}

}  // namespace
}  // namespace cenote
