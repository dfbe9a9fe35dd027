// A process that calls the nodes of its view, by the real targets, balancers and breakers: a read,
// tried once elsewhere when it fails, or a write. No call may go to a node that all have known dead
// for long.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "route/breaker.h"
#include "route/load_balancer.h"
#include "simulation/checked_view.h"
#include "simulation/nemesis.h"
#include "simulation/partition_actor.h"
#include "simulation/world.h"

namespace cenote::simulation {

class Caller {
 public:
  struct Options {
    // A dead node may be called for this long, where nothing but nodes has failed for `calm`.
    Duration known_dead = std::chrono::seconds(8);
    Duration calm = std::chrono::seconds(30);
  };

  // `process` of a node's id; `on_refused`: told where a port was closed.
  Caller(World& world, Options options, ProcessId self, CheckedView& view,
         std::function<ProcessId(const std::string&)> process,
         std::function<void(const std::string&)> on_refused);

  // With the process: calls follow one another until it dies.
  void boot();
  void judge_by(const Nemesis* nemesis) { nemesis_ = nemesis; }
  // Its calls follow what that knows of partitions, as manager/router.cc's do.
  void heed(const PartitionActor* partition) { partition_ = partition; }
  uint64_t answered() const { return answered_; }

 private:
  void next();
  void attempt(bool write, std::vector<std::string> tried);
  void send(const std::string& node, bool write, std::vector<std::string> tried);
  // Whether the age of the view forbids it.
  bool refused(bool write) const;
  route::Targets::Choice choose(bool write, const std::vector<std::string>& tried) const;
  void check(const std::string& node) const;

  World& world_;
  const Options options_;
  const ProcessId self_;
  CheckedView& view_;
  const std::function<ProcessId(const std::string&)> process_;
  const std::function<void(const std::string&)> on_refused_;
  const Nemesis* nemesis_ = nullptr;
  const PartitionActor* partition_ = nullptr;
  std::unique_ptr<route::LoadBalancer> balancer_;
  std::map<std::string, route::Breaker> breakers_;
  uint64_t answered_ = 0;
};

}  // namespace cenote::simulation
