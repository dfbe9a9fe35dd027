// When a process takes itself for cut off, what it does meanwhile and how it comes back.
#include "partition/network_partition_handler.h"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

namespace cenote::partition {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Handler = NetworkPartitionHandler;
using Ids = std::set<std::string, std::less<>>;

// A world in which a probe is answered within a millisecond or not at all, and a driver that does
// what the handler says.
struct World {
  static Handler::Options options(RecoveryStrategy strategy = RecoveryStrategy::kGradual) {
    Handler::Options options;
    options.partition.recovery_strategy = strategy;
    return options;
  }
  void start(const Handler::Options& options, size_t nodes) {
    rule = Handler(options, now);
    has_source = options.source != Handler::Source::kNone;
    for (size_t i = 0; i < nodes; ++i) all.insert("n" + std::to_string(i));
    up = all;
    rule.set_peers(all);
  }

  // Everything is out of reach, or in reach again.
  void cut() {
    source = false;
    up.clear();
  }
  void heal() {
    source = true;
    up = all;
  }

  void take(const Handler::Output& out) {
    for (const Event& event : out.events) events.push_back({now, event});
    if (out.probe) probe(*out.probe);
    if (!out.ask.empty()) {
      relays = out.ask;
      asked_at = now + (answers.empty() ? timeout : milliseconds(1));
    }
    renewals += out.renew ? 1 : 0;
    if (out.step) steps.push_back(*out.step);
    if (out.step && steps_work) take(rule.recovered(*out.step, now));
    if (!out.switch_to_local) return;
    Handler::Output local;
    EXPECT_EQ(rule.handle_partition(now, &local), FallbackAction::kSwitchToLocalMode);
    take(local);
  }
  void probe(const Probe& wanted) {
    probes.push_back(wanted);
    Round round{wanted.round, wanted.source ? now : begun};
    begun = round.began;
    bool lost = false;
    if (wanted.source && has_source) round.source = source && !loses();
    if (wanted.database) round.database = database;
    lost = !round.source.value_or(true);
    for (const std::string& id : wanted.peers) {
      round.peers[id] = up.contains(id) && !loses();
      lost = lost || !round.peers[id];
    }
    result = round;
    result_at = now + (lost ? timeout : milliseconds(1));
  }
  bool loses() { return loss != nullptr && loss(); }

  void run(Duration time) {
    const TimePoint end = now + time;
    for (;;) {
      TimePoint next = rule.due();
      if (result) next = std::min(next, result_at);
      if (asked_at) next = std::min(next, *asked_at);
      if (next > end) break;
      now = std::max(now, next);
      if (result && result_at <= now) {
        const Round round = *std::exchange(result, std::nullopt);
        take(rule.probed(round, now));
      } else if (asked_at && *asked_at <= now) {
        asked_at.reset();
        if (relays_told) take(rule.asked(answers, now));
      } else {
        take(rule.tick(now));
      }
    }
    now = end;
  }
  void run_until(State state, Duration most) {
    const TimePoint end = now + most;
    while (rule.state() != state && now < end) run(milliseconds(10));
    ASSERT_EQ(rule.state(), state);
  }
  // Into local mode, and out of the way of the clock's phase.
  void lose_the_cluster() {
    run(seconds(3));
    cut();
    run_until(State::kLocal, seconds(10));
  }
  int transitions() const {
    return static_cast<int>(std::count_if(events.begin(), events.end(), [](const auto& each) {
      return each.second.from != each.second.to;
    }));
  }
  int entered(State state) const {
    return static_cast<int>(std::count_if(events.begin(), events.end(), [&](const auto& each) {
      return each.second.from != each.second.to && each.second.to == state;
    }));
  }
  const Event& last() const { return events.back().second; }

  TimePoint now{seconds(1000)};
  Handler rule{options(), now};
  bool has_source = true;
  Ids all;
  Ids up;
  bool source = true;
  bool database = true;
  Answers answers;          // of the peers that are asked
  bool relays_told = true;  // whether the handler hears of them, or of their silence
  bool steps_work = true;
  std::function<bool()> loss;

  std::vector<std::pair<TimePoint, Event>> events;
  std::vector<Probe> probes;
  std::vector<std::string> relays;
  std::vector<Step> steps;
  int renewals = 0;
  Duration timeout = milliseconds(500);

  TimePoint begun;
  std::optional<Round> result;
  TimePoint result_at;
  std::optional<TimePoint> asked_at;
};

class Partition : public testing::Test, protected World {
 protected:
  Partition() { start(options(), 3); }
  void begin_anew(const Handler::Options& options, size_t nodes = 3) {
    static_cast<World&>(*this) = World();
    start(options, nodes);
  }
};

TEST_F(Partition, a_cut_is_suspected_within_2500_ms_and_found_and_local_within_4000_ms) {
  for (int phase = 0; phase < 1000; phase += 50) {
    SCOPED_TRACE(phase);
    begin_anew(options());
    run(seconds(5) + milliseconds(phase));
    const TimePoint cut_at = now;
    cut();
    run_until(State::kSuspect, milliseconds(2510));
    run_until(State::kLocal, cut_at + milliseconds(4010) - now);
    EXPECT_EQ(entered(State::kPartitioned), 1);
    // What it says of the time since then is true within half an interval.
    const auto& [at, event] = *(events.end() - 2);
    EXPECT_EQ(event.to, State::kPartitioned);
    EXPECT_GE(event.took, at - cut_at - milliseconds(501));
    EXPECT_LE(event.took, at - cut_at + milliseconds(501));
  }
}

TEST_F(Partition, one_lost_round_is_no_suspicion_and_two_are) {
  run(milliseconds(500));
  cut();
  run(seconds(1));
  EXPECT_EQ(rule.state(), State::kConnected);
  run(seconds(1));
  EXPECT_EQ(rule.state(), State::kSuspect);
  EXPECT_EQ(relays.size(), 3U);
}

TEST_F(Partition, a_suspicion_ends_with_the_first_good_round) {
  run(milliseconds(500));
  cut();
  run(seconds(2));
  ASSERT_EQ(rule.state(), State::kSuspect);
  heal();
  run(seconds(1));
  EXPECT_EQ(rule.state(), State::kConnected);
  EXPECT_EQ(entered(State::kLocal), 0);
}

TEST_F(Partition, a_third_lost_round_counts_only_once_peers_were_asked) {
  relays_told = false;
  run(milliseconds(500));
  const TimePoint well = now - milliseconds(500);  // when the last good round began
  cut();
  run(well + seconds(5) - milliseconds(10) - now);
  EXPECT_EQ(rule.state(), State::kSuspect);
  // Five intervals without a good round are enough whatever peers say.
  run(milliseconds(20));
  EXPECT_EQ(rule.state(), State::kLocal);
}

TEST_F(Partition, a_lost_store_whose_nodes_all_answer_is_no_partition_and_is_told) {
  run(milliseconds(500));
  source = false;
  run(seconds(2));
  EXPECT_EQ(rule.cause(), Cause::kNone);
  run(minutes(10));
  EXPECT_EQ(rule.state(), State::kConnected);
  EXPECT_EQ(transitions(), 0);
  EXPECT_EQ(rule.cause(), Cause::kStoreLost);
  EXPECT_EQ(rule.service(std::chrono::hours(10)), Service::kAll);
  source = true;
  run(seconds(1));
  EXPECT_EQ(rule.cause(), Cause::kNone);
  EXPECT_EQ(events.size(), 2U);
}

TEST_F(Partition, lost_own_databases_are_told_and_no_partition) {
  run(milliseconds(500));
  database = false;
  run(seconds(30));
  EXPECT_EQ(rule.state(), State::kConnected);
  EXPECT_EQ(rule.cause(), Cause::kDatabaseLost);
  EXPECT_EQ(events.size(), 1U);
}

struct CauseCase {
  const char* what;
  Handler::Source source;
  bool source_up;
  size_t nodes;
  size_t nodes_up;
  bool others_reach_source;
  Cause cause;
};
class PartitionCause : public Partition, public testing::WithParamInterface<CauseCase> {};

TEST_P(PartitionCause, is_named) {
  const CauseCase& given = GetParam();
  Handler::Options all_options = options();
  all_options.source = given.source;
  begin_anew(all_options, given.nodes);
  run(seconds(3));
  source = given.source_up;
  for (size_t i = given.nodes_up; i < given.nodes; ++i) up.erase("n" + std::to_string(i));
  if (given.nodes_up > 0) answers["n0"] = {given.others_reach_source};
  run(seconds(20));
  EXPECT_EQ(rule.state(), State::kLocal);
  EXPECT_EQ(rule.cause(), given.cause);
}

INSTANTIATE_TEST_SUITE_P(
    Table, PartitionCause,
    testing::Values(
        CauseCase{"all", Handler::Source::kStore, false, 5, 0, false, Cause::kMinority},
        CauseCase{"most", Handler::Source::kStore, false, 5, 2, false, Cause::kMinority},
        CauseCase{"half", Handler::Source::kStore, false, 4, 2, false, Cause::kStoreLost},
        CauseCase{"store", Handler::Source::kStore, false, 5, 4, false, Cause::kStoreLost},
        CauseCase{"coordinator", Handler::Source::kCoordinator, false, 5, 4, false,
                  Cause::kCoordinatorLost},
        CauseCase{"only_us", Handler::Source::kStore, false, 5, 4, true, Cause::kOneWay},
        CauseCase{"nodes", Handler::Source::kStore, true, 5, 0, false, Cause::kOneWay},
        CauseCase{"list", Handler::Source::kNone, true, 5, 0, false, Cause::kMinority}),
    [](const testing::TestParamInfo<CauseCase>& info) { return std::string(info.param.what); });

TEST_F(Partition, one_node_of_many_out_of_reach_beside_the_store_is_found_though_two_are_probed) {
  begin_anew(options(), 100);
  run(milliseconds(500));
  EXPECT_EQ(probes.back().peers.size(), 2U);
  source = false;
  up.erase("n42");
  run(milliseconds(3500));
  EXPECT_EQ(rule.state(), State::kLocal);
  EXPECT_EQ(rule.reached("n42"), false);
  EXPECT_EQ(rule.reached("n41"), true);
}

TEST_F(Partition, a_node_that_has_never_answered_is_out_of_reach_after_its_first_silent_probe) {
  run(milliseconds(500));
  all.insert("n9");
  rule.set_peers(all);
  EXPECT_EQ(rule.reached("n9"), std::nullopt);
  for (int i = 0; i < 10 && !rule.reached("n9"); ++i) run(seconds(1));
  EXPECT_EQ(rule.reached("n9"), false) << "a packet may be lost of one that was heard before";
  up.insert("n9");
  run(seconds(2));
  EXPECT_EQ(rule.reached("n9"), true);
}

TEST_F(Partition, a_source_that_answers_has_ten_intervals_to_find_silent_nodes_dead) {
  run(milliseconds(500));
  up.clear();
  run(seconds(9));
  EXPECT_EQ(rule.state(), State::kSuspect);
  // Dead, they are in the view no more.
  rule.set_peers({});
  run(seconds(60));
  EXPECT_EQ(rule.state(), State::kConnected);
  EXPECT_EQ(entered(State::kPartitioned), 0);
}

TEST_F(Partition, in_a_cluster_without_other_nodes_there_is_no_partition) {
  rule.set_peers({});
  all.clear();
  run(seconds(3));
  cut();
  run(minutes(5));
  EXPECT_EQ(transitions(), 0);
  EXPECT_EQ(rule.cause(), Cause::kStoreLost);
}

TEST_F(Partition, five_good_rounds_over_five_seconds_lead_back_and_a_lost_one_begins_anew) {
  lose_the_cluster();
  heal();
  const TimePoint healed = now;
  run_until(State::kRecovering, milliseconds(6010));
  EXPECT_GE(now - rule.heard_since(), seconds(5));
  EXPECT_GE(rule.heard_since(), healed);

  begin_anew(options());
  lose_the_cluster();
  heal();
  run(seconds(4));
  cut();
  run(seconds(1));
  heal();
  run(seconds(4));
  EXPECT_EQ(rule.state(), State::kLocal);
  run_until(State::kRecovering, seconds(3));
}

TEST_F(Partition, the_way_back_takes_its_steps_in_order_and_ends_within_12_s) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Handler::Options seeded = options();
    seeded.seed = seed;
    begin_anew(seeded, 3);
    lose_the_cluster();
    run(milliseconds(static_cast<int64_t>(5 * seed)));
    heal();
    const TimePoint healed = now;
    run_until(State::kConnected, seconds(10));
    EXPECT_EQ(steps, (std::vector{Step::kRegister, Step::kList, Step::kConfig, Step::kQuota}));
    EXPECT_LE(now - healed, seconds(10));
    EXPECT_LE(last().took, now - healed + milliseconds(501));
    EXPECT_GE(last().took, now - healed - milliseconds(511));
    EXPECT_EQ(rule.cause(), Cause::kNone);
  }
}

TEST_F(Partition, a_step_that_is_not_taken_keeps_it_on_the_way_back) {
  steps_work = false;
  lose_the_cluster();
  heal();
  run(minutes(5));
  EXPECT_EQ(rule.state(), State::kRecovering);
  EXPECT_EQ(steps, std::vector{Step::kRegister});
  take(rule.recovered(Step::kList, now));  // not its turn
  EXPECT_EQ(rule.step(), Step::kRegister);
}

TEST_F(Partition, all_nodes_without_the_store_are_enough_to_come_back) {
  steps_work = false;
  lose_the_cluster();
  up = all;
  run(seconds(12));
  EXPECT_EQ(rule.state(), State::kConnected);
  run(seconds(3));
  EXPECT_EQ(rule.cause(), Cause::kStoreLost);
}

TEST_F(Partition, nodes_that_were_out_of_reach_get_10_25_50_and_100_percent_within_20_s) {
  run(seconds(3));
  source = false;
  up.erase("n0");
  run_until(State::kLocal, seconds(5));
  EXPECT_TRUE(rule.local());
  EXPECT_EQ(rule.reached("n0"), false);
  EXPECT_EQ(rule.reached("n1"), true);
  heal();
  run_until(State::kConnected, seconds(12));
  EXPECT_EQ(rule.returning(), Ids{"n0"});
  const std::vector<std::pair<milliseconds, double>> table = {
      {milliseconds(0), 0.1},      {milliseconds(6600), 0.1},  {milliseconds(6700), 0.25},
      {milliseconds(13300), 0.25}, {milliseconds(13400), 0.5}, {milliseconds(19980), 0.5},
      {milliseconds(20000), 1.0},
  };
  const TimePoint back = rule.since();
  for (const auto& [after, share] : table) EXPECT_EQ(rule.share(back + after), share);
  run(seconds(21));
  EXPECT_TRUE(rule.returning().empty());
  EXPECT_EQ(rule.share(now), 1);
}

TEST_F(Partition, any_lost_round_on_the_way_back_or_in_the_ramp_leads_to_local_mode) {
  steps_work = false;
  lose_the_cluster();
  heal();
  run_until(State::kRecovering, seconds(7));
  cut();
  run(seconds(2));
  EXPECT_EQ(rule.state(), State::kLocal);

  steps_work = true;
  heal();
  run_until(State::kConnected, seconds(20));
  run(seconds(15));
  EXPECT_EQ(rule.share(now), 0.5);
  cut();
  run(milliseconds(1600));
  EXPECT_EQ(rule.state(), State::kLocal);
}

TEST_F(Partition, around_again_within_a_minute_takes_twice_as_long_up_to_a_minute) {
  const std::vector<seconds> dwells = {seconds(5),  seconds(10), seconds(20),
                                       seconds(40), seconds(60), seconds(60)};
  for (const seconds dwell : dwells) {
    SCOPED_TRACE(dwell.count());
    cut();
    run_until(State::kLocal, seconds(10));
    EXPECT_EQ(rule.dwell(), dwell);
    heal();
    run(dwell);
    EXPECT_EQ(rule.state(), State::kLocal);
    run_until(State::kConnected, seconds(6));
  }
  run(seconds(61));
  cut();
  run_until(State::kLocal, seconds(10));
  EXPECT_EQ(rule.dwell(), seconds(5));
}

TEST_F(Partition, immediate_recovery_gives_all_at_once) {
  begin_anew(options(RecoveryStrategy::kImmediate), 3);
  lose_the_cluster();
  heal();
  run_until(State::kConnected, seconds(12));
  EXPECT_EQ(rule.share(now), 1);
  EXPECT_TRUE(rule.returning().empty());
}

TEST_F(Partition, manual_recovery_waits_for_a_word_and_says_so_once) {
  begin_anew(options(RecoveryStrategy::kManual), 3);
  EXPECT_FALSE(rule.recover());
  lose_the_cluster();
  heal();
  run(minutes(10));
  EXPECT_EQ(rule.state(), State::kLocal);
  EXPECT_TRUE(rule.waits_for_word());
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const auto& each) { return each.second.from == each.second.to; }),
            1);
  EXPECT_TRUE(rule.recover());
  run_until(State::kConnected, seconds(4));
  EXPECT_EQ(rule.share(now), 0.1);
}

TEST_F(Partition, all_come_back_spread_over_2_s_or_20_ms_for_each_node) {
  for (const auto& [nodes, least, most] :
       {std::tuple{3UL, milliseconds(1500), milliseconds(2000)},
        std::tuple{499UL, milliseconds(8000), milliseconds(10000)}}) {
    Duration longest{};
    Duration shortest = seconds(60);
    for (uint64_t seed = 1; seed <= 50; ++seed) {
      Handler::Options seeded = options();
      seeded.seed = seed;
      seeded.most_peers = 1'000;
      begin_anew(seeded, nodes);
      lose_the_cluster();
      heal();
      run_until(State::kRecovering, seconds(10));
      const TimePoint begin = rule.since();
      run_until(State::kConnected, seconds(20));
      longest = std::max(longest, rule.since() - begin);
      shortest = std::min(shortest, rule.since() - begin);
    }
    EXPECT_GE(longest, least);
    EXPECT_LE(longest, most);
    EXPECT_LE(shortest, most / 5);
  }
}

TEST_F(Partition, an_own_pause_of_more_than_2_s_voids_what_was_counted) {
  run(milliseconds(500));
  cut();
  run(milliseconds(2400));
  ASSERT_EQ(rule.state(), State::kSuspect);
  result.reset();
  asked_at.reset();
  now += milliseconds(2100);
  take(rule.tick(now));
  EXPECT_EQ(renewals, 1);
  EXPECT_EQ(rule.state(), State::kConnected);
  // Judged afterwards, from the beginning.
  const TimePoint awake = now;
  run_until(State::kSuspect, milliseconds(1600));
  run_until(State::kLocal, milliseconds(1100));
  EXPECT_GE(now - awake, milliseconds(2500));
  run(milliseconds(1900));
  EXPECT_EQ(renewals, 1);
}

TEST_F(Partition, an_own_pause_voids_the_good_rounds_too) {
  lose_the_cluster();
  heal();
  run(milliseconds(5000));
  result.reset();
  now += seconds(30);
  take(rule.tick(now));
  EXPECT_EQ(rule.state(), State::kLocal);
  run(milliseconds(4900));
  EXPECT_EQ(rule.state(), State::kLocal);
  run_until(State::kRecovering, seconds(2));
}

TEST_F(Partition, a_result_that_was_overtaken_says_nothing) {
  take(rule.tick(now));
  const Round late = *result;
  run(seconds(3));
  Round false_alarm = late;
  false_alarm.source = false;
  for (auto& [id, reached] : false_alarm.peers) reached = false;
  for (int i = 0; i < 5; ++i) take(rule.probed(false_alarm, now));
  EXPECT_TRUE(rule.source_reached());
  EXPECT_EQ(transitions(), 0);
}

TEST_F(Partition, the_cached_view_serves_all_then_reads_then_own_pools) {
  EXPECT_EQ(rule.service(std::chrono::hours(9)), Service::kAll);
  lose_the_cluster();
  EXPECT_EQ(rule.service(seconds(300)), Service::kAll);
  EXPECT_EQ(rule.service(seconds(301)), Service::kReads);
  EXPECT_EQ(rule.service(seconds(1200)), Service::kReads);
  EXPECT_EQ(rule.service(seconds(1205)), Service::kOwnPools);
}

TEST_F(Partition, a_link_that_flaps_for_5_minutes_makes_10_transitions_at_most) {
  // Long enough to be found, and long enough to be suspected only.
  for (const seconds each : {seconds(3), seconds(2)}) {
    for (int phase = 0; phase < 1000; phase += 100) {
      SCOPED_TRACE(phase);
      begin_anew(options());
      run(seconds(5) + milliseconds(phase));
      for (Duration passed{}; passed < minutes(5); passed += 2 * each) {
        cut();
        run(each);
        heal();
        run(each);
      }
      EXPECT_LE(transitions(), 10);
      EXPECT_GE(transitions(), 1);
    }
  }
}

TEST_F(Partition, ten_minutes_of_lost_packets_make_no_partition) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Handler::Options seeded = options();
    seeded.seed = seed;
    begin_anew(seeded, 5);
    uint64_t state = seed;
    // 5 % of the packets of either direction, so that one try of ten has no answer in time; a probe
    // is two.
    const auto lost = [&state] {
      state = state * 6364136223846793005 + 1442695040888963407;
      return (state >> 33) % 1000 < 98;
    };
    loss = [&] { return lost() && lost(); };
    run(minutes(10));
    EXPECT_EQ(entered(State::kPartitioned), 0);
    EXPECT_LE(entered(State::kSuspect), 2);
  }
}

TEST_F(Partition, shorter_intervals_find_a_cut_sooner) {
  Handler::Options fast = options();
  fast.partition.detection_interval = milliseconds(200);
  fast.probe_timeout = milliseconds(100);
  begin_anew(fast);
  timeout = fast.probe_timeout;
  run(seconds(3));
  cut();
  run(milliseconds(810));
  EXPECT_EQ(rule.state(), State::kLocal);
  heal();
  run_until(State::kRecovering, milliseconds(1210));
}

}  // namespace
}  // namespace cenote::partition
