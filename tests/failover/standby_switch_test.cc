// When the active target changes, when it must not, and what is told of it.
#include "failover/standby_switch.h"

#include <random>

#include <gtest/gtest.h>

namespace cenote::failover {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Gate = StandbySwitch::Gate;
using State = StandbySwitch::State;

Sight primary() {
  return {Sight::Condition::kWell, true, true, {}, ""};
}
Sight replica() {
  return {Sight::Condition::kWell, false, false, milliseconds(10), ""};
}
Sight dead() {
  return {Sight::Condition::kDead, false, false, {}, "refused"};
}
Sight busy(Sight::Condition condition) {
  return {condition, false, false, {}, "not now"};
}

// Two targets, checked twice a second, with a store of its own that always agrees.
class Switching : public testing::Test {
 protected:
  static StandbySwitch::Options options() {
    StandbySwitch::Options options;
    options.self = "me";
    return options;
  }
  static StandbySwitch::Options automatic() {
    StandbySwitch::Options all = options();
    all.fail_back = FailBack::kAutomatic;
    return all;
  }

  void take(StandbySwitch::Output out) {
    for (Event& event : out.events) events.push_back(std::move(event));
    if (out.move) ++moves;
    if (!out.decide) return;
    if (!store_answers) return take(rule.undecided("no leader", now));
    record = *out.decide;
    take(rule.decided(record, now));
  }
  void see(const Sight& a, const Sight& b) {
    take(rule.saw(0, a, now, now));
    take(rule.saw(1, b, now, now));
  }
  void run(Duration time, const Sight& a, const Sight& b) {
    const TimePoint end = now + time;
    for (see(a, b); now < end; see(a, b)) now += milliseconds(500);
  }
  int told(Event::Kind kind) const {
    int count = 0;
    for (const Event& event : events) count += event.kind == kind ? 1 : 0;
    return count;
  }
  const Event* last(Event::Kind kind) const {
    const Event* found = nullptr;
    for (const Event& event : events) {
      if (event.kind == kind) found = &event;
    }
    return found;
  }

  TimePoint now{seconds(1000)};
  StandbySwitch rule{{"a", "b"}, options()};
  std::vector<Event> events;
  Record record;
  bool store_answers = true;
  int moves = 0;
};

TEST_F(Switching, a_dead_primary_is_left_after_the_threshold_for_a_promoted_standby) {
  run(seconds(5), primary(), replica());
  run(milliseconds(4500), dead(), primary());
  EXPECT_EQ(rule.active(), 0u) << "too early";
  EXPECT_EQ(rule.state(), State::kSuspect);
  run(seconds(1), dead(), primary());
  EXPECT_EQ(rule.active(), 1u);
  EXPECT_EQ(rule.epoch(), 1u);
  EXPECT_EQ(record, (Record{1, "b", last(Event::Kind::kSwitched)->reason, "me"}));
  EXPECT_NE(record.reason.find("a has not answered for 5.0 s: refused"), std::string::npos)
      << record.reason;
}

TEST_F(Switching, the_threshold_counts_from_the_first_failure_and_a_success_starts_it_again) {
  run(seconds(1), primary(), replica());
  for (int i = 0; i < 20; ++i) {
    run(seconds(4), dead(), primary());
    run(seconds(1), primary(), replica());
  }
  EXPECT_EQ(rule.active(), 0u);
  EXPECT_EQ(rule.epoch(), 0u);
}

TEST_F(Switching, one_failure_is_not_enough_however_short_the_threshold) {
  StandbySwitch::Options quick = options();
  quick.threshold = milliseconds(1);
  rule = StandbySwitch({"a", "b"}, quick);
  see(primary(), replica());
  take(rule.saw(0, dead(), now, now + seconds(1)));
  take(rule.saw(1, primary(), now + seconds(1), now + seconds(1)));
  EXPECT_EQ(rule.active(), 0u);
}

TEST_F(Switching, a_standby_that_nobody_promoted_gets_no_writes_and_is_never_promoted) {
  run(seconds(1), primary(), replica());
  run(minutes(10), dead(), replica());
  EXPECT_EQ(rule.active(), 0u);
  EXPECT_EQ(rule.writes(), Gate::kHeld);
  EXPECT_EQ(told(Event::Kind::kStays), 1) << "once, not at every check";
  EXPECT_NE(last(Event::Kind::kStays)->reason.find("b takes no writes"), std::string::npos);
  EXPECT_EQ(rule.reads(), Gate::kOpen);
  EXPECT_EQ(rule.reader(), 1u) << "reads go on where they can";
  run(seconds(1), dead(), primary());
  EXPECT_EQ(rule.active(), 1u);
}

TEST_F(Switching, what_was_seen_before_the_suspicion_does_not_confirm_a_candidate) {
  take(rule.saw(0, primary(), now, now));
  take(rule.saw(1, replica(), now, now));
  take(rule.saw(1, {Sight::Condition::kWell, true, false, {}, ""}, now, now));
  const TimePoint began = now;
  for (int i = 0; i < 20; ++i) take(rule.saw(0, dead(), now, now += milliseconds(500)));
  EXPECT_EQ(rule.state(), State::kConfirm);
  EXPECT_EQ(rule.active(), 0u);
  take(rule.saw(1, primary(), began, now));
  EXPECT_EQ(rule.active(), 0u) << "a check that began before";
  take(rule.saw(1, primary(), now, now));
  EXPECT_EQ(rule.active(), 1u);
}

TEST_F(Switching, a_demoted_primary_gets_no_write_after_one_check) {
  run(seconds(5), primary(), replica());
  take(rule.saw(0, replica(), now, now));
  EXPECT_EQ(rule.writes(), Gate::kHeld);
  take(rule.saw(1, primary(), now, now));
  EXPECT_EQ(rule.active(), 1u) << "without a threshold: it said so itself";
  EXPECT_EQ(rule.writes(), Gate::kOpen);
}

TEST_F(Switching, overload_and_refused_credentials_never_trigger_it) {
  for (const auto condition : {Sight::Condition::kOverloaded, Sight::Condition::kUnauthorised}) {
    rule = StandbySwitch({"a", "b"}, options());
    events.clear();
    run(seconds(1), primary(), replica());
    run(minutes(10), busy(condition), primary());
    EXPECT_EQ(rule.active(), 0u);
    EXPECT_EQ(rule.epoch(), 0u);
    EXPECT_EQ(events.size(), 2u) << "this and the second primary";
  }
}

TEST_F(Switching, nor_does_an_overloaded_standby_take_over) {
  run(seconds(1), primary(), replica());
  run(minutes(1), dead(), busy(Sight::Condition::kOverloaded));
  EXPECT_EQ(rule.active(), 0u);
}

TEST_F(Switching, two_primaries_get_no_writes_and_an_alert_until_one_steps_down) {
  run(seconds(1), primary(), replica());
  run(minutes(1), primary(), primary());
  EXPECT_EQ(rule.writes(), Gate::kClosed);
  EXPECT_EQ(rule.reads(), Gate::kOpen);
  EXPECT_EQ(told(Event::Kind::kTwoPrimaries), 1);
  EXPECT_TRUE(last(Event::Kind::kTwoPrimaries)->alert);
  EXPECT_EQ(rule.active(), 0u);
  EXPECT_FALSE(rule.ask("b", now).ok());
  see(replica(), primary());
  EXPECT_EQ(told(Event::Kind::kOnePrimary), 1);
  see(replica(), primary());
  EXPECT_EQ(rule.active(), 1u);
  EXPECT_EQ(rule.writes(), Gate::kOpen);
}

TEST_F(Switching, nobody_is_chosen_among_two_primaries) {
  rule = StandbySwitch({"a", "b", "c"}, options());
  take(rule.saw(2, replica(), now, now));
  run(seconds(1), primary(), replica());
  take(rule.saw(2, primary(), now, now));
  for (int i = 0; i < 30; ++i) {
    run(milliseconds(500), dead(), primary());
    take(rule.saw(2, primary(), now, now));
  }
  EXPECT_EQ(rule.active(), 0u);
  EXPECT_EQ(rule.writes(), Gate::kClosed);
}

TEST_F(Switching, an_old_primary_that_comes_back_gets_nothing) {
  run(seconds(1), primary(), replica());
  run(seconds(6), dead(), primary());
  ASSERT_EQ(rule.active(), 1u);
  see(primary(), primary());
  EXPECT_EQ(rule.writes(), Gate::kClosed) << "somebody may write there";
  EXPECT_EQ(rule.reader(), 1u);
  run(minutes(60), replica(), primary());
  EXPECT_EQ(rule.active(), 1u);
  EXPECT_EQ(rule.writes(), Gate::kOpen);
}

// Two databases without replication, as two files are: both may be written.
Sight plain() {
  return {Sight::Condition::kWell, true, false, {}, ""};
}

TEST_F(Switching, calls_come_back_only_by_an_operator_unless_configured) {
  run(seconds(1), plain(), plain());
  run(seconds(6), dead(), plain());
  run(minutes(120), plain(), plain());
  EXPECT_EQ(rule.active(), 1u);
  take(*rule.ask("a", now));
  EXPECT_EQ(rule.active(), 0u);
  EXPECT_EQ(rule.epoch(), 2u);
}

TEST_F(Switching, an_automatic_fail_back_needs_a_minute_without_a_break_and_the_dwell_time) {
  rule = StandbySwitch({"a", "b"}, automatic());
  run(seconds(1), plain(), plain());
  run(seconds(6), dead(), plain());
  ASSERT_EQ(rule.active(), 1u);
  const TimePoint switched = now;
  while (now < switched + seconds(280)) {
    run(seconds(20), plain(), plain());
    see(dead(), plain());
  }
  EXPECT_GT(told(Event::Kind::kFailBackOff), 5);
  run(seconds(59), plain(), plain());
  EXPECT_EQ(rule.active(), 1u);
  EXPECT_EQ(rule.state(), State::kFailbackWait);
  run(seconds(2), plain(), plain());
  EXPECT_EQ(rule.active(), 0u);

  now += std::chrono::hours(2);
  run(seconds(6), dead(), plain());
  ASSERT_EQ(rule.active(), 1u);
  run(seconds(290), plain(), plain());
  EXPECT_EQ(rule.active(), 1u) << "the dwell time";
  run(seconds(20), plain(), plain());
  EXPECT_EQ(rule.active(), 0u);
}

TEST_F(Switching, a_preferred_target_that_lags_is_not_taken_back) {
  rule = StandbySwitch({"a", "b"}, automatic());
  Sight late = plain();
  late.lag = milliseconds(1500);
  run(seconds(1), plain(), plain());
  run(seconds(6), dead(), plain());
  run(minutes(20), late, plain());
  EXPECT_EQ(rule.active(), 1u);
}

TEST_F(Switching, after_three_switches_within_an_hour_only_an_operator_switches) {
  run(seconds(1), plain(), plain());
  for (int i = 0; i < 10; ++i) {
    run(seconds(7), dead(), plain());
    run(seconds(7), plain(), dead());
  }
  EXPECT_EQ(moves, 3);
  EXPECT_TRUE(rule.latched());
  EXPECT_EQ(told(Event::Kind::kLatched), 1);
  EXPECT_TRUE(last(Event::Kind::kLatched)->alert);
  const size_t well = rule.sight(0).condition == Sight::Condition::kWell ? 0 : 1;
  ASSERT_NE(rule.active(), well);
  EXPECT_EQ(rule.writes(), Gate::kHeld);
  EXPECT_EQ(rule.reads(), Gate::kOpen) << "nobody will take over by itself, so reads need not wait";
  EXPECT_EQ(rule.reader(), well);
  run(minutes(90), dead(), plain());
  const size_t active = rule.active();
  EXPECT_EQ(moves, 3) << "an hour alone does not release it";
  run(seconds(1), plain(), plain());
  take(*rule.ask("", now));
  EXPECT_NE(rule.active(), active);
  EXPECT_FALSE(rule.latched());
}

TEST_F(Switching, an_operator_at_another_process_releases_the_latch_and_counts_as_no_switch) {
  run(seconds(1), plain(), plain());
  for (int i = 0; i < 2; ++i) {
    run(seconds(7), dead(), plain());
    run(seconds(7), plain(), dead());
  }
  ASSERT_TRUE(rule.latched());
  const auto operators = [&](uint64_t epoch, const char* to) {
    take(rule.decided({epoch, to, std::string(kByOperator), "another"}, now));
  };
  operators(rule.epoch() + 1, rule.active() == 0 ? "b" : "a");
  EXPECT_FALSE(rule.latched());
  for (int i = 0; i < 6; ++i) operators(rule.epoch() + 1, rule.active() == 0 ? "b" : "a");
  run(seconds(1), plain(), plain());
  const bool first = rule.active() == 0;
  const int before = moves;
  run(seconds(7), first ? dead() : plain(), first ? plain() : dead());
  EXPECT_EQ(moves, before + 1) << "the operator's switches were counted as its own";
}

TEST_F(Switching, a_link_that_loses_every_other_check_causes_no_flapping) {
  std::mt19937_64 random(7);
  rule = StandbySwitch({"a", "b"}, automatic());
  run(seconds(1), plain(), plain());
  for (const TimePoint end = now + minutes(60); now < end; now += milliseconds(500)) {
    see(random() % 2 == 0 ? dead() : plain(), plain());
  }
  EXPECT_LE(moves, 1);
}

TEST_F(Switching, a_decision_of_another_process_is_followed_and_older_ones_are_not) {
  run(seconds(1), plain(), plain());
  take(rule.decided({7, "b", "a was silent", "other"}, now));
  EXPECT_EQ(rule.active(), 1u);
  EXPECT_EQ(rule.epoch(), 7u);
  EXPECT_EQ(told(Event::Kind::kFollowed), 1);
  take(rule.decided({6, "a", "late", "third"}, now));
  take(rule.decided({7, "a", "late", "third"}, now));
  EXPECT_EQ(rule.active(), 1u);
  EXPECT_EQ(rule.epoch(), 7u);
  EXPECT_EQ(moves, 1);
}

TEST_F(Switching, a_target_that_was_a_replica_gets_no_write_when_others_choose_it_until_a_check) {
  run(seconds(2), primary(), replica());
  take(rule.decided({7, "b", "a was silent", "other"}, now));
  EXPECT_EQ(rule.active(), 1u);
  EXPECT_EQ(rule.writes(), Gate::kHeld);
  see(replica(), primary());
  EXPECT_EQ(rule.writes(), Gate::kOpen);
}

TEST_F(Switching, who_loses_the_race_for_an_epoch_follows_the_winner) {
  StandbySwitch three({"a", "b", "c"}, options());
  three.saw(0, plain(), now, now);
  std::optional<Record> wanted;
  for (int i = 0; i < 12 && !wanted; ++i) {
    now += milliseconds(500);
    three.saw(0, dead(), now, now);
    three.saw(1, plain(), now, now);
    wanted = three.saw(2, plain(), now, now).decide;
    if (three.state() == State::kSwitching) break;
  }
  ASSERT_EQ(three.state(), State::kSwitching);
  EXPECT_EQ(three.writes(), Gate::kHeld);
  const auto out = three.decided({1, "c", "other saw it first", "other"}, now);
  EXPECT_EQ(three.active(), 2u);
  ASSERT_TRUE(out.move);
  EXPECT_EQ(out.move->to, 2u);
  EXPECT_EQ(out.events.back().kind, Event::Kind::kFollowed);
}

TEST_F(Switching, a_store_that_does_not_answer_is_asked_again_and_meanwhile_nothing_moves) {
  store_answers = false;
  run(seconds(1), primary(), replica());
  run(seconds(10), dead(), primary());
  EXPECT_EQ(rule.active(), 0u);
  EXPECT_GE(told(Event::Kind::kUndecided), 2);
  EXPECT_LE(told(Event::Kind::kUndecided), 7) << "once a second at the most";
  store_answers = true;
  run(seconds(2), dead(), primary());
  EXPECT_EQ(rule.active(), 1u);
}

TEST_F(Switching, an_operator_cannot_switch_to_what_could_not_take_over) {
  run(seconds(1), primary(), replica());
  const Status status = rule.ask("b", now).status();
  EXPECT_NE(status.message().find("b takes no writes"), std::string::npos) << status;
  EXPECT_NE(status.message().find("never promoted"), std::string::npos) << status;
  EXPECT_EQ(error_kind(rule.ask("c", now).status()), ErrorKind::kUnknownPool);
  EXPECT_FALSE(rule.ask("a", now).ok());
  EXPECT_EQ(rule.state(), State::kActive);
}

TEST_F(Switching, a_group_of_mere_readers_switches_without_a_writer) {
  run(seconds(1), replica(), replica());
  run(seconds(7), dead(), replica());
  EXPECT_EQ(rule.active(), 1u);
}

TEST_F(Switching, the_time_of_the_next_decision_is_known) {
  run(seconds(1), primary(), replica());
  EXPECT_EQ(rule.due(), TimePoint::max());
  const TimePoint failed = now;
  take(rule.saw(0, dead(), failed, now));
  take(rule.saw(0, dead(), now + milliseconds(500), now + milliseconds(500)));
  EXPECT_EQ(rule.due(), failed + seconds(5));
  const auto out = rule.tick(rule.due());
  EXPECT_TRUE(out.check_others);
  EXPECT_EQ(rule.state(), State::kConfirm);
}

}  // namespace
}  // namespace cenote::failover
