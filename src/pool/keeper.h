// The thread that calls a pool's upkeep.
#pragma once

#include <memory>
#include <thread>
#include <utility>

#include "pool/connection_pool.h"

namespace cenote {

class Keeper {
 public:
  explicit Keeper(std::shared_ptr<ConnectionPool> pool)
      : pool_(std::move(pool)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

 private:
  void run(const std::stop_token& stop) noexcept {
    while (!stop.stop_requested()) {
      const Duration unnoticed = pool_->wait_for_upkeep(stop);
      if (!stop.stop_requested()) pool_->keep(Clock::now(), unnoticed);
    }
  }

  const std::shared_ptr<ConnectionPool> pool_;
  std::jthread thread_;  // last: joined before what it uses dies
};

}  // namespace cenote
