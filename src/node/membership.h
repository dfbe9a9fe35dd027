// The node as the cluster's registry sees it: registers, renews its lease with what its pools are
// like, takes configurations and keeps the last good one, says that it drains before it goes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "cenote/config.h"
#include "cenote/manager.h"

#include "base/mutex.h"
#include "discovery/service_discovery.h"
#include "node/flight_server.h"

namespace cenote::node {

// Thread-safe.
class Membership final : private discovery::Member {
 public:
  // Begins to register; whether that works shows in status(). `manager` and `flight` outlive it.
  // `booted`: the version of the configuration that the manager's pools are of already; 0: none.
  static Result<std::unique_ptr<Membership>> join(DistributedPoolManager& manager,
                                                  FlightServer& flight,
                                                  const DeploymentConfig& config, std::string admin,
                                                  uint64_t booted);
  // Leaves the registry.
  ~Membership() override;

  struct State {
    uint64_t incarnation = 0;
    bool registered = false;  // the last heartbeat was heard
    std::string last_error;   // why not
    // The newest that the coordinator gave and this process applied. One that it began with counts
    // once the coordinator has confirmed its content.
    uint64_t config_version = 0;
    uint64_t pools_of = 0;  // the version whose pools are served; 0: those of the node's own file
    std::optional<uint64_t> config_rejected;
    std::string config_reason;
  };
  State state() const;

  // Lets others know that no new work is wanted, and gives them time to hear it; returns at the
  // deadline at the latest, at once if nobody listens.
  void announce_drain(Deadline deadline);

 private:
  Membership(DistributedPoolManager& manager, FlightServer& flight, cluster::Registration about,
             Duration drain_timeout, std::filesystem::path last_good, uint64_t booted,
             std::unique_ptr<discovery::ServiceDiscovery> discovery);

  // Of Member, all on the serving thread.
  cluster::Registration about() override;
  void fill(cluster::Heartbeat* beat) override;
  cluster::MetricsReport metrics() override;
  Status apply_config(uint64_t version, std::string_view content) override;
  void set_draining(bool draining) override;
  void renewed(const Status& status) override;
  void seen_at(uint64_t term, uint64_t revision) override;

  std::vector<cluster::PoolReport> reports() const;
  double error_rate();

  DistributedPoolManager& manager_;
  FlightServer& flight_;
  const cluster::Registration about_;
  const Duration drain_timeout_;
  const std::filesystem::path last_good_;
  const std::unique_ptr<discovery::ServiceDiscovery> discovery_;
  uint64_t queries_ = 0;  // of the serving thread: what the last heartbeat had counted
  uint64_t errors_ = 0;
  bool told_draining_ = false;  // of the serving thread: what the last heartbeat said

  mutable Mutex mutex_;  // guards all below; memory only
  std::condition_variable_any heard_;
  State state_ CENOTE_GUARDED_BY(mutex_);
  bool leaving_ CENOTE_GUARDED_BY(mutex_) = false;
  bool leaving_heard_ CENOTE_GUARDED_BY(mutex_) = false;

  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace cenote::node
