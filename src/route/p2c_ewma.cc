// p2c_ewma: of two random targets the one with the lower score
//     latency × (in flight + waiting + 1) / (weight × share)
// where latency is a moving average to the first batch (tau 10 s, up at once, down by decay) and
// share is the slow start. Up to four targets are all compared. Finagle's and brpc's policy.
#include <algorithm>

#include "route/load_balancer.h"

namespace cenote::route {
namespace {

constexpr size_t kAllCompared = 4;
// Before the first answer a target is taken for this fast, so that it is tried but not flooded.
constexpr Duration kUnknown = std::chrono::milliseconds(1);

class P2cEwma final : public LoadBalancer {
 public:
  size_t choose(const Tier& tier, TimePoint now, uint64_t random) override {
    const size_t n = tier.size();
    if (n <= kAllCompared) {
      size_t best = random % n;
      for (size_t i = 1; i < n; ++i) {
        const size_t other = (random + i) % n;
        if (score(tier.targets[other], now) < score(tier.targets[best], now)) best = other;
      }
      return best;
    }
    const size_t one = (random & 0xffffffff) % n;
    const size_t two = (one + 1 + (random >> 32) % (n - 1)) % n;
    return score(tier.targets[two], now) < score(tier.targets[one], now) ? two : one;
  }

 private:
  static double score(const Target& target, TimePoint now) {
    const Load& load = *target.load;
    const Duration seen = load.latency(now);
    const auto latency = static_cast<double>((seen == Duration::zero() ? kUnknown : seen).count());
    return latency * (load.in_flight() + load.waiting() + 1) / (target.weight * load.share(now));
  }
};

}  // namespace

std::unique_ptr<LoadBalancer> p2c_ewma() {
  return std::make_unique<P2cEwma>();
}

}  // namespace cenote::route
