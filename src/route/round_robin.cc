// round_robin: every target in turn, whatever its weight.
#include "route/load_balancer.h"

namespace cenote::route {
namespace {

class RoundRobin final : public LoadBalancer {
 public:
  explicit RoundRobin(uint64_t seed) : next_(seed) {}
  size_t choose(const Tier& tier, TimePoint, uint64_t) override {
    return next_.fetch_add(1, std::memory_order_relaxed) % tier.size();
  }

 private:
  std::atomic<uint64_t> next_;
};

}  // namespace

std::unique_ptr<LoadBalancer> round_robin(uint64_t seed) {
  return std::make_unique<RoundRobin>(seed);
}

}  // namespace cenote::route
