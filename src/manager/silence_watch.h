// Asks nodes for a sign of life on which calls wait in vain, and ends what waits there if none
// comes. A list that names nodes without a lease has nobody else to tell (mode distributed with
// discovery.type static), nor has a cluster whose store is away.
#pragma once

#include <stop_token>
#include <thread>
#include <vector>

#include "manager/node_links.h"

namespace cenote {

class SilenceWatch {
 public:
  // `links` outlives it.
  explicit SilenceWatch(NodeLinks& links);
  // Asks no more.
  ~SilenceWatch() = default;

 private:
  void run(const std::stop_token& stop);

  NodeLinks& links_;
  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace cenote
