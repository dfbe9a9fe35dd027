// The threads behind a server's own: those of handlers that compute and those of handlers that
// wait.
#pragma once

#include <cstddef>
#include <optional>

#include <boost/asio/thread_pool.hpp>

#include "net/http_routes.h"

namespace cenote {

// Used on the server's thread; only the pools are shared.
class HttpLanes {
 public:
  using Executor = boost::asio::thread_pool::executor_type;

  HttpLanes(size_t waiting_threads, size_t most) : wait_(waiting_threads), most_(most) {}

  // A call's way to the lane's threads; none if too many are under way there. Each enter() has its
  // leave().
  std::optional<Executor> enter(HttpLane lane) {
    size_t& under_way = lane == HttpLane::kCompute ? computing_ : waiting_;
    if (under_way >= most_) return std::nullopt;
    ++under_way;
    return (lane == HttpLane::kCompute ? compute_ : wait_).get_executor();
  }
  void leave(HttpLane lane) { --(lane == HttpLane::kCompute ? computing_ : waiting_); }

  // Waits for the handlers that run.
  void join() {
    compute_.join();
    wait_.join();
  }

 private:
  boost::asio::thread_pool compute_{1};
  boost::asio::thread_pool wait_;
  const size_t most_;
  size_t computing_ = 0;
  size_t waiting_ = 0;
};

}  // namespace cenote
