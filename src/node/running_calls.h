// The calls of cenote's own clients that run now, so that another call can stop one: a client of
// libarrow_flight cannot interrupt its call before the first message of the answer.
#pragma once

#include <deque>
#include <map>
#include <stop_token>
#include <string>
#include <utility>

#include "base/mutex.h"

namespace cenote::node {

// Thread-safe.
class RunningCalls {
 public:
  // The call is known while it lives. An empty id is never found.
  class Scope {
   public:
    Scope(RunningCalls& calls, std::string user, std::string id, std::stop_source stop)
        : calls_(calls), key_(std::move(user), std::move(id)) {
      if (calls_.add(key_, stop)) stop.request_stop();
    }
    ~Scope() {
      const Lock lock(calls_.mutex_);
      calls_.stops_.erase(key_);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    RunningCalls& calls_;
    const std::pair<std::string, std::string> key_;
  };

  // Stops the user's call; if it has not come yet, as soon as it comes.
  void stop(const std::string& user, const std::string& id) {
    if (id.empty()) return;
    std::stop_source found{std::nostopstate};
    {
      const Lock lock(mutex_);
      const Key key{user, id};
      const auto call = stops_.find(key);
      if (call == stops_.end()) {
        early_.push_back(key);
        if (early_.size() > kMostEarly) early_.pop_front();
        return;
      }
      found = call->second;
    }
    found.request_stop();  // calls a driver
  }

 private:
  using Key = std::pair<std::string, std::string>;  // user, request id
  static constexpr size_t kMostEarly = 256;

  // Whether it was stopped before it came.
  bool add(const Key& key, const std::stop_source& stop) {
    const Lock lock(mutex_);
    stops_.insert_or_assign(key, stop);
    return std::erase(early_, key) > 0;
  }

  Mutex mutex_;  // guards both
  std::map<Key, std::stop_source> stops_ CENOTE_GUARDED_BY(mutex_);
  std::deque<Key> early_
      CENOTE_GUARDED_BY(mutex_);  // ids are unique: one that never comes ages out
};

}  // namespace cenote::node
