// least_connections: the target with the fewest calls of ours in flight for its capacity and
// weight. Few targets are all compared, from a random one on, so that ties spread; of many, as many
// are drawn, which keeps the choice cheap with 10,000.
#include <algorithm>

#include "route/load_balancer.h"

namespace cenote::route {
namespace {

constexpr size_t kCompared = 32;

class LeastConnections final : public LoadBalancer {
 public:
  size_t choose(const Tier& tier, TimePoint now, uint64_t random) override {
    const size_t n = tier.size();
    const size_t compared = std::min(n, kCompared);
    size_t best = random % n;
    double least = -1;
    for (size_t i = 0; i < compared; ++i) {
      const size_t index = n <= kCompared ? (random + i) % n : draw(&random) % n;
      const Target& target = tier.targets[index];
      const double room = target.weight * std::max(target.capacity, 1) * target.load->share(now);
      const double busy = (target.load->in_flight() + target.load->waiting() + 1) / room;
      if (least < 0 || busy < least) {
        least = busy;
        best = index;
      }
    }
    return best;
  }

 private:
  // One step of splitmix64.
  static uint64_t draw(uint64_t* state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
};

}  // namespace

std::unique_ptr<LoadBalancer> least_connections() {
  return std::make_unique<LeastConnections>();
}

}  // namespace cenote::route
