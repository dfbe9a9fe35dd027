// The node's life.
#include "node/node.h"

#include <csignal>
#include <thread>
#include <utility>

#include "base/log.h"
#include "node/state_files.h"

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

struct Booted {
  std::unique_ptr<DistributedPoolManager> manager;
  uint64_t version = 0;  // of the cluster's configuration; 0: the file's pools
};

// What gives the node its configurations, in messages; empty: nothing does.
std::string giver_of(const DeploymentConfig& config) {
  if (config.mode == DeploymentMode::kCoordinated) return "the coordinator";
  const bool stored =
      config.mode == DeploymentMode::kFullDistributed && config.discovery.type != "static";
  return stored ? config.discovery.type : "";
}

// The pools that this node had last. Whatever is wrong with them, it serves those of its file.
Result<Booted> boot(const DeploymentConfig& config, const std::string& node_id) {
  const auto open = [&config](std::vector<PoolConfig> pools) {
    DeploymentConfig first = config;
    first.pools = std::move(pools);
    return DistributedPoolManager::open(std::move(first));
  };
  const auto last = [&]() -> Result<std::optional<Booted>> {
    // Without an id of its own in the file, a node is not known before it listens.
    if (giver_of(config).empty() || node_id.empty()) return std::optional<Booted>();
    ARROW_ASSIGN_OR_RAISE(
        std::optional<LastGood> kept,
        read_last_good(state_file(config.node.state_dir, node_id, kLastGoodEnding)));
    if (!kept) return std::optional<Booted>();
    const std::string name = "last good configuration " + std::to_string(kept->version);
    ARROW_ASSIGN_OR_RAISE(DeploymentConfig known, parse_config(kept->content, name));
    if (known.pools.empty()) return make_error(ErrorKind::kConfig, name + " has no pool");
    ARROW_ASSIGN_OR_RAISE(auto manager, open(std::move(known.pools)));
    log(LogLevel::kInfo, "node", "begins with the " + name);
    return std::optional(Booted{std::move(manager), kept->version});
  };
  Result<std::optional<Booted>> booted = last();
  if (booted.ok() && *booted) return std::move(**booted);
  if (!booted.ok()) {
    log(LogLevel::kError, "node",
        booted.status().message() + "; begins with the pools of its own file");
  }
  ARROW_ASSIGN_OR_RAISE(auto manager, open(config.pools));
  return Booted{std::move(manager), 0};
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
  ARROW_ASSIGN_OR_RAISE(Booted booted, boot(config, options.node_id));
  std::unique_ptr<Node> node(new Node(std::move(booted.manager), options, giver_of(config)));
  ARROW_ASSIGN_OR_RAISE(node->flight_, FlightServer::start(*node->manager_, options));
  if (!options.admin.listen.empty()) {
    ARROW_ASSIGN_OR_RAISE(node->admin_,
                          Admin::start(*node->manager_, *node->flight_, options.admin));
  }
  if (config.mode != DeploymentMode::kStandalone) {
    const std::string admin = node->admin_ == nullptr ? "" : node->admin_->url();
    ARROW_ASSIGN_OR_RAISE(node->membership_, Membership::join(*node->manager_, *node->flight_,
                                                              config, admin, booted.version));
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
  const uint64_t given = membership_ == nullptr ? 0 : membership_->state().pools_of;
  if (given != 0) {
    return make_error(ErrorKind::kConfig,
                      "the pools are those of configuration " + std::to_string(given) + " of " +
                          giver_ + ", not of this file; change them with: cenote config apply");
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
