// weighted_round_robin: turns in proportion to the weights, spread evenly. The k-th call takes the
// target at the fraction part of k × the golden ratio on the line of summed weights: by the
// three-gap theorem no stretch of it is visited in clumps, and no call needs more than one search
// in it, where nginx's smooth scheme visits every target.
#include "route/load_balancer.h"

namespace cenote::route {
namespace {

constexpr uint64_t kGoldenRatio = 0x9e3779b97f4a7c15;  // 2^64 / φ

class WeightedRoundRobin final : public LoadBalancer {
 public:
  explicit WeightedRoundRobin(uint64_t seed) : next_(seed) {}
  size_t choose(const Tier& tier, TimePoint, uint64_t) override {
    return tier.at(fraction(next_.fetch_add(kGoldenRatio, std::memory_order_relaxed)));
  }

 private:
  std::atomic<uint64_t> next_;
};

}  // namespace

std::unique_ptr<LoadBalancer> weighted_round_robin(uint64_t seed) {
  return std::make_unique<WeightedRoundRobin>(seed);
}

}  // namespace cenote::route
