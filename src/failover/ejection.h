// Which members of a balanced group get calls: ADR-002's LoadBalanced. Pure: how calls and checks
// went and a time in, who is out.
//
// A member's breaker opens on its errors; it is ejected unless half of the group are already, and
// never as the last. One that its checks find down gets no calls either. With less than half left,
// all get calls. Who comes back starts at a tenth of its share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "failover/event.h"
#include "failover/sight.h"
#include "route/breaker.h"
#include "route/load_balancer.h"
#include "route/target.h"

namespace cenote::failover {

// Used by one thread at a time, but for the loads.
class Ejection {
 public:
  struct Options {
    int fall = 3;  // failed checks in a row until a member is down
    int rise = 2;  // passed ones until it is not
    route::Breaker::Options breaker;
  };
  struct Member {
    std::string name;
    double weight = 1.0;
    int capacity = 1;  // its max_connections
  };

  Ejection(const std::vector<Member>& members, LoadBalanceAlgorithm algorithm, uint64_t seed,
           Options options);

  // How a call went. `random`: 64 random bits.
  std::vector<Event> succeeded(size_t member, TimePoint now);
  std::vector<Event> failed(size_t member, std::string_view why, TimePoint now, uint64_t random);
  // A check; a recovery ends an ejection at once.
  std::vector<Event> saw(size_t member, Sight sight, TimePoint now);

  // The member for a call; `tried` failed it already. A write goes to one that takes writes, or
  // that was never checked. None: size().
  size_t choose(bool write, const std::vector<bool>& tried, TimePoint now, uint64_t random);

  size_t size() const { return members_.size(); }
  bool ejected(size_t member) const { return members_[member].ejected; }
  bool down(size_t member) const { return members_[member].down; }
  bool panic() const { return panic_; }
  const Sight& sight(size_t member) const { return members_[member].sight; }
  route::Load& load(size_t member) { return *members_[member].load; }
  const std::string& name(size_t member) const { return members_[member].name; }
  // For errors: why choose() found none.
  std::string why(bool write) const;

 private:
  struct State {
    std::string name;
    std::shared_ptr<route::Load> load = std::make_shared<route::Load>();
    route::Breaker breaker;
    Sight sight;
    bool ejected = false;
    bool down = false;
    bool check_failed = false;  // since it was well
    bool kept_told = false;
    int fails = 0;
    int passes = 0;
  };

  bool out(size_t member) const { return members_[member].ejected || members_[member].down; }
  bool may_eject(size_t member) const;
  void give_back(size_t member, std::string why, TimePoint now, std::vector<Event>* events);
  void judge_panic(std::vector<Event>* events);
  void tell(std::vector<Event>* events, Event::Kind kind, size_t member, std::string reason,
            bool alert = false) const;

  const Options options_;
  std::vector<State> members_;
  route::Tier tier_;
  std::unique_ptr<route::LoadBalancer> balancer_;
  const bool weighs_;  // the algorithm knows of slow starts by itself
  bool panic_ = false;
};

}  // namespace cenote::failover
