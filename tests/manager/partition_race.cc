// The partition watch probing, going local, coming back and ending while calls ask it.
#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/log.h"
#include "manager/partition_watch.h"
#include "manager/silent_port.h"
#include "manager/threads.h"

namespace cenote {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Lists two nodes and the process itself; answers or does not.
class Source final : public discovery::ServiceDiscovery {
 public:
  Source(const std::array<SilentPort, 2>& ports, const std::atomic<bool>& answers)
      : answers_(answers) {
    for (size_t i = 0; i < ports.size(); ++i)
      add("n" + std::to_string(i), "grpc://" + ports[i].address());
    add("self", "grpc://127.0.0.1:1");
    snapshot_.cluster = "c";
    snapshot_.term = snapshot_.revision = 1;
  }
  void watch(const std::stop_token& stop, discovery::Watcher& watcher) override {
    while (!stop.stop_requested()) {
      if (answers_) {
        (void)watcher.list(snapshot_);
      } else {
        watcher.failed(make_error(ErrorKind::kConnection, "cut off"));
      }
      ++snapshot_.revision;
      std::this_thread::sleep_for(milliseconds(2));
    }
  }
  void serve(const std::stop_token& /*stop*/, discovery::Member& /*member*/) override {}
  Status probe(const std::stop_token& /*stop*/) override {
    return answers_ ? Status::OK() : make_error(ErrorKind::kConnection, "cut off");
  }

 private:
  void add(const std::string& id, const std::string& location) {
    cluster::Node node;
    node.about.node_id = id;
    node.about.incarnation = 1;
    node.about.location = location;
    node.about.pools.push_back({"main_db", "sqlite", 10});
    snapshot_.nodes.push_back(std::move(node));
  }
  const std::atomic<bool>& answers_;
  cluster::Snapshot snapshot_;
};

class PartitionRace : public testing::Test {
 protected:
  void SetUp() override {
    set_log_sink({}, LogLevel::kError);
    links_ = *NodeLinks::make({}, Reach());
    view_ = std::make_unique<ClusterView>(std::make_unique<Source>(ports_, whole_),
                                          ClusterView::Options{"store", "here", ""});
    ASSERT_TRUE(view_->wait_until_known({Deadline::in(seconds(60)), {}}));
    knocks_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        if (whole_)
          std::for_each(ports_.begin(), ports_.end(), [](SilentPort& port) { port.accept(); });
        std::this_thread::sleep_for(milliseconds(1));
      }
    });
  }
  void TearDown() override { set_log_sink({}); }

  // A day of such a watch passes in a second.
  std::unique_ptr<PartitionWatch> watch(RecoveryStrategy strategy) {
    PartitionWatch::Options options;
    options.rule.partition.detection_interval = milliseconds(20);
    options.rule.partition.recovery_strategy = strategy;
    options.rule.probe_timeout = milliseconds(10);
    options.rule.reentry = options.rule.least_spread = milliseconds(1);
    options.rule.spread_each = milliseconds(1);
    options.rule.ramp = milliseconds(40);
    options.self = "self";
    options.databases = [this]() -> std::optional<bool> { return whole_.load(); };
    options.metrics = &metrics_;
    return std::make_unique<PartitionWatch>(*view_, *links_, std::move(options));
  }
  void cut() {
    whole_ = false;
    for (SilentPort& port : ports_) port.cut();
  }
  void heal() {
    for (SilentPort& port : ports_) port.heal();
    whole_ = true;
  }
  // What a call asks; every answer is whole.
  static void ask(const PartitionWatch& watch) {
    if (const auto plan = watch.plan()) {
      EXPECT_TRUE(plan->local || plan->share < 1);
      EXPECT_FALSE(plan->why.empty());
      EXPECT_TRUE(!plan->local || plan->is_reached("n0") == plan->reached.contains("n0"));
      (void)plan->holds_back("n1", 0.5);
    }
    const ClusterStatus::Partition status = watch.status();
    EXPECT_FALSE(status.state.empty());
    EXPECT_GE(status.since, Duration::zero());
    for (const auto& [id, reached] : watch.reached()) EXPECT_TRUE(id == "n0" || id == "n1") << id;
  }
  static std::vector<std::jthread> callers(PartitionWatch& watch) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) ask(watch);
      });
    }
    threads.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) watch.registered("self");
    });
    return threads;
  }
  template <typename Condition>
  static bool until(const Condition& condition) {
    const Deadline limit = Deadline::in(seconds(60));
    while (!condition()) {
      if (limit.passed()) return false;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }
  static bool reaches(const PartitionWatch& watch, const std::string& state) {
    return until([&] { return watch.status().state == state; });
  }

  std::atomic<bool> whole_{true};
  std::array<SilentPort, 2> ports_;
  RouteMetrics metrics_;
  std::unique_ptr<NodeLinks> links_;
  std::unique_ptr<ClusterView> view_;
  std::jthread knocks_;
};

TEST_F(PartitionRace, callers_see_one_state_after_another_while_the_network_comes_and_goes) {
  const auto watch = this->watch(RecoveryStrategy::kImmediate);
  const auto threads = callers(*watch);
  for (int i = 0; i < 5; ++i) {
    cut();
    ASSERT_TRUE(reaches(*watch, "local")) << watch->status().state << watch->status().reason;
    EXPECT_NE(watch->plan(), nullptr);
    heal();
    ASSERT_TRUE(reaches(*watch, "connected")) << watch->status().state << watch->status().reason;
  }
  EXPECT_TRUE(until([&] { return watch->plan() == nullptr; }));
}

TEST_F(PartitionRace, with_manual_recovery_one_word_of_several_operators_is_enough) {
  const auto watch = this->watch(RecoveryStrategy::kManual);
  auto threads = callers(*watch);
  // Unless it was held up for so long that it went local and came back.
  EXPECT_TRUE(until([&] { return error_kind(watch->recover()) == ErrorKind::kInterface; }))
      << "nothing waits for it";
  for (int i = 0; i < 3; ++i) {
    cut();
    ASSERT_TRUE(reaches(*watch, "local"));
    heal();
    std::vector<std::jthread> operators;
    for (int each = 0; each < 3; ++each) {
      operators.emplace_back([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) (void)watch->recover();
      });
    }
    ASSERT_TRUE(reaches(*watch, "connected")) << watch->status().state << watch->status().reason;
  }
}

TEST_F(PartitionRace, it_ends_at_any_moment_and_leaves_no_thread) {
  std::vector<std::string> ends = {"connected", "suspect", "local", "recovering"};
  size_t before = 0;
  for (int round = 0; round < 3; ++round) {
    for (const std::string& end : ends) {
      auto watch = this->watch(RecoveryStrategy::kGradual);
      {
        const auto threads = callers(*watch);
        if (end != "connected") cut();
        ASSERT_TRUE(until([&] {
          const std::string now = watch->status().state;
          if (now == "local" && end == "recovering") heal();
          return now == end || (now == "local" && end == "suspect") ||
                 (now == "connected" && end == "recovering" && whole_);
        })) << watch->status().state;
      }
      watch.reset();
      if (!whole_) heal();
    }
    // Those of gRPC stay for a while, and are here after the first round.
    if (round == 0) before = threads_of_this_process();
  }
  EXPECT_TRUE(until([&] { return threads_of_this_process() <= before; }))
      << threads_of_this_process() << " threads, " << before << " before";
}

}  // namespace
}  // namespace cenote
