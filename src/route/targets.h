// A pool's instances in tiers, and the choice of one for a call. Nothing here waits or leaves the
// process: what is chosen from is the view's last good state.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/instance.h"
#include "route/load_balancer.h"
#include "route/target.h"

namespace cenote::route {

// What a call needs of its target.
enum class Need : uint8_t { kRead, kWrite };

// Immutable; rebuilt when the view changes, which is seldom beside calls.
class Targets {
 public:
  // `zone`: this process's own, whose targets come first; empty for no preference. `before` hands
  // on the loads of targets that stay.
  static std::shared_ptr<const Targets> build(std::span<const cluster::PoolInstance> instances,
                                              std::string_view zone, const Targets* before);

  struct Choice {
    const Target* target = nullptr;  // null: nothing can take the call
    bool probe_first = false;        // frozen: ask it for a sign of life before use
  };
  // Draining and dead targets never; frozen ones only when nothing else is left. Targets whose
  // breaker is open are passed over while half of their tier is open for calls; below that all are
  // used (Envoy's panic threshold). `tried`: those that failed this call already.
  Choice choose(Need need, LoadBalancer& balancer, TimePoint now, uint64_t random,
                std::span<const Target* const> tried = {}) const;

  bool take_writes() const { return !writers_.empty(); }
  size_t size() const { return all_.size(); }
  const Target* find(std::string_view node_id) const;

 private:
  struct Ranked {
    Tier tier;
    bool frozen = false;
  };
  const Target* choose_in(const Tier& tier, LoadBalancer& balancer, TimePoint now, uint64_t random,
                          std::span<const Target* const> tried, bool last) const;

  std::vector<Target> all_;
  std::vector<Ranked> readers_;  // best first; none is empty
  std::vector<Ranked> writers_;
};

}  // namespace cenote::route
