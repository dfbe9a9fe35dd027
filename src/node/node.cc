// The node's life.
#include "node/node.h"

#include <csignal>
#include <thread>
#include <utility>

#include "base/log.h"

namespace cenote::node {
namespace {

// Two heartbeats, and the time for others to hear of them.
constexpr Duration kAnnounce = std::chrono::seconds(3);

sigset_t awaited_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

Result<std::unique_ptr<Node>> Node::start(DeploymentConfig config) {
  ServerOptions options = config.server;
  if (config.pools.empty()) {
    return make_error(ErrorKind::kConfig,
                      "a node serves pools, but deployment.pools has none; add one");
  }
  if (options.node_id.empty()) options.node_id = config.node.id;
  if (options.flight.advertise.empty()) options.flight.advertise = config.node.advertise;
  ARROW_ASSIGN_OR_RAISE(auto manager, DistributedPoolManager::open(config));
  std::unique_ptr<Node> node(new Node(std::move(manager), options));
  ARROW_ASSIGN_OR_RAISE(node->flight_, FlightServer::start(*node->manager_, options));
  if (!options.admin.listen.empty()) {
    ARROW_ASSIGN_OR_RAISE(node->admin_,
                          Admin::start(*node->manager_, *node->flight_, options.admin));
  }
  if (config.mode != DeploymentMode::kStandalone) {
    const std::string admin = node->admin_ == nullptr ? "" : node->admin_->url();
    ARROW_ASSIGN_OR_RAISE(node->membership_,
                          Membership::join(*node->manager_, *node->flight_, config, admin));
  }
  log(LogLevel::kInfo, "node",
      "node '" + node->flight_->node_id() + "' serves at " + node->location());
  return node;
}

void Node::block_signals() {
  const sigset_t set = awaited_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void Node::run_until_signal(const std::function<void()>& on_hangup) {
  const sigset_t set = awaited_signals();
  for (int signal = SIGHUP; signal == SIGHUP;) {
    sigwait(&set, &signal);
    if (signal == SIGHUP) on_hangup();
  }
  log(LogLevel::kInfo, "node", "draining; a second signal ends the node at once");
  // The second one finds the default action again.
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  drain();
}

Status Node::reload(DeploymentConfig config) {
  if (config.pools.empty()) {
    return make_error(ErrorKind::kConfig,
                      "a node serves pools, but deployment.pools has none; add one");
  }
  return manager_->replace_pools(std::move(config.pools), Deadline::in(options_.drain_timeout));
}

void Node::drain() {
  const Deadline deadline = Deadline::in(options_.drain_timeout);
  if (membership_ != nullptr) membership_->announce_drain(deadline.sooner(Deadline::in(kAnnounce)));
  flight_->drain(deadline);
  membership_.reset();
  (void)manager_->drain(deadline);
}

}  // namespace cenote::node
