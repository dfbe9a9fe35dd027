// What it costs to choose a target from the view: ns per choice, its two clock readings and random
// bits counted, among instances of which one in ten has an open breaker.
#include <array>
#include <random>
#include <string>
#include <vector>

#include "bench.h"
#include "route/targets.h"

namespace cenote::bench {
namespace {

constexpr std::array<LoadBalanceAlgorithm, 5> kAlgorithms = {
    LoadBalanceAlgorithm::kRoundRobin, LoadBalanceAlgorithm::kLeastConnections,
    LoadBalanceAlgorithm::kWeightedRoundRobin, LoadBalanceAlgorithm::kRandom,
    LoadBalanceAlgorithm::kP2cEwma};
constexpr std::array<const char*, 5> kNames = {"round_robin", "least_connections",
                                               "weighted_round_robin", "random", "p2c_ewma"};
constexpr int kShutEvery = 10;

std::shared_ptr<const route::Targets> targets_of(int instances) {
  std::vector<cluster::PoolInstance> all;
  for (int i = 0; i < instances; ++i) {
    cluster::PoolInstance instance;
    instance.node_id = "node-" + std::to_string(i);
    instance.location = "grpc://10.0.0.1:" + std::to_string(i + 1);
    instance.weight = 1 + i % 3;
    instance.pool.pool_id = "main_db";
    instance.pool.max = 10;
    all.push_back(std::move(instance));
  }
  auto targets = route::Targets::build(all, "", nullptr);
  const TimePoint later = Clock::now() + std::chrono::hours(1);
  for (int i = 0; i < instances; i += kShutEvery) {
    targets->find("node-" + std::to_string(i))->load->shut(later);
  }
  return targets;
}

void measure(int instances, size_t algorithm, int choices) {
  const auto targets = targets_of(instances);
  const auto balancer = route::make_load_balancer(kAlgorithms.at(algorithm), 1);
  std::mt19937_64 random(1);
  const double seconds = timed([&] {
    for (int i = 0; i < choices; ++i) {
      const TimePoint now = Clock::now();
      const auto choice = targets->choose(route::Need::kRead, *balancer, now, random());
      if (choice.target == nullptr) fail("no target");
      choice.target->load->begin();
      choice.target->load->end(Clock::now(), std::chrono::microseconds(100), false);
    }
  });
  Line("choose", kNames.at(algorithm))
      .add("instances", instances)
      .add("ns", seconds / choices * 1e9);
}

}  // namespace
}  // namespace cenote::bench

int main(int argc, char** argv) {
  const int choices = cenote::bench::number(argc, argv, 1, 300'000);
  for (const int instances : {100, 10'000}) {
    for (size_t i = 0; i < cenote::bench::kAlgorithms.size(); ++i) {
      cenote::bench::measure(instances, i, choices);
    }
  }
}
