// A node: a process that serves its pools to others, from its configuration to its drained end.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cenote/manager.h"

#include "node/admin.h"
#include "node/flight_server.h"
#include "node/membership.h"

namespace cenote::node {

class Node {
 public:
  // Opens the pools and begins to serve; on an error nothing stays open. Where a coordinator or a
  // store gives configurations, the pools are those of the one that this node applied last, if it
  // ever had one: it waits for nobody.
  static Result<std::unique_ptr<Node>> start(DeploymentConfig config);
  // Ends at once; drain() first where that matters.
  ~Node() = default;

  DistributedPoolManager& manager() { return *manager_; }
  FlightServer& flight() { return *flight_; }
  const Membership* membership() const { return membership_.get(); }  // null in mode standalone
  std::string location() const { return flight_->location_uri(); }
  const Admin* admin() const { return admin_.get(); }  // null where it is not configured

  // Serves until SIGTERM or SIGINT arrives, then drains. A second one ends it at once. SIGHUP calls
  // `on_hangup`, on this thread. To be called on the main thread, before which block_signals() was.
  void run_until_signal(const std::function<void()>& on_hangup);
  // Blocks the signals that run_until_signal() waits for, in this thread and those it makes.
  static void block_signals();

  // Makes the pools those of a new configuration; on an error all stays as it is. kConfig where the
  // pools are those that the cluster's configuration says.
  Status reload(DeploymentConfig config);

  // Tells the cluster, refuses new work and lets what runs end within the configured drain_timeout;
  // then closes.
  void drain();

 private:
  Node(std::unique_ptr<DistributedPoolManager> manager, ServerOptions options, std::string giver)
      : options_(std::move(options)), giver_(std::move(giver)), manager_(std::move(manager)) {}

  const ServerOptions options_;
  const std::string giver_;  // of configurations
  std::unique_ptr<DistributedPoolManager> manager_;
  std::unique_ptr<FlightServer> flight_;    // ends before the pools it serves
  std::unique_ptr<Admin> admin_;            // null where it is not configured
  std::unique_ptr<Membership> membership_;  // last: leaves first; null in mode standalone
};

}  // namespace cenote::node
