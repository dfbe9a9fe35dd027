// random: by weight, without memory; the control against which the others are compared.
#include "route/load_balancer.h"

namespace cenote::route {
namespace {

class RandomChoice final : public LoadBalancer {
 public:
  size_t choose(const Tier& tier, TimePoint, uint64_t random) override {
    return tier.at(fraction(random));
  }
};

}  // namespace

std::unique_ptr<LoadBalancer> random_choice() {
  return std::make_unique<RandomChoice>();
}

}  // namespace cenote::route
