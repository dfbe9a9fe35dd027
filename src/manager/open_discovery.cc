// Configuration into options.
#include "manager/open_discovery.h"

#include <array>
#include <utility>

#include <unistd.h>

#include "base/url.h"
#include "discovery/epochs.h"
#include "discovery/store_discovery.h"
#include "manager/coordinator_options.h"

namespace cenote {
namespace {

std::string joined(const std::vector<std::string>& items) {
  std::string all;
  for (const std::string& item : items) all += (all.empty() ? "" : ", ") + item;
  return all;
}

Result<discovery::DirectoryOptions> directory_options(const DiscoveryAccess& access) {
  if (access.type.empty()) {
    return make_error(ErrorKind::kConfig,
                      "discovery is missing, and mode distributed meets there; write for example "
                      "discovery: {type: consul, endpoint: \"consul:8500\"}");
  }
  if (access.type != "consul" && access.type != "etcd") {
    return make_error(ErrorKind::kConfig,
                      "discovery.type '" + access.type + "' is none of consul, etcd, static");
  }
  discovery::DirectoryOptions options;
  options.store = store::store_options(access, "discovery");
  options.cluster = access.cluster;
  options.ttl = access.ttl;
  return options;
}

Result<std::unique_ptr<discovery::ServiceDiscovery>> by_store(const DiscoveryAccess& access,
                                                              const std::string& self) {
  if (access.type == "static") {
    for (const std::string& place : access.endpoints) {
      // Nodes are shown by their places, everywhere.
      if (place.find('@') == std::string::npos) continue;
      return make_error(ErrorKind::kConfig,
                        "discovery.endpoint: '" + without_user(place) +
                            "' must be host and port only; user and password of the nodes belong "
                            "into remote.username and remote.password");
    }
    return discovery::static_discovery({access.endpoints, access.pools, access.cluster});
  }
  discovery::StoreDiscoveryOptions options;
  options.store = access.type == "etcd" ? discovery::StoreDiscoveryOptions::Store::kEtcd
                                        : discovery::StoreDiscoveryOptions::Store::kConsul;
  ARROW_ASSIGN_OR_RAISE(options.directory, directory_options(access));
  options.self = self;
  options.rollout.staged = access.stage_hold > Duration::zero();
  options.rollout.hold = access.stage_hold;
  options.rollout.ack_within = access.ack_timeout;
  return discovery::store_discovery(std::move(options));
}

}  // namespace

Result<OpenedDiscovery> open_discovery(const DeploymentConfig& config, const std::string& self) {
  OpenedDiscovery opened;
  if (config.mode == DeploymentMode::kCoordinated) {
    opened.kind = "coordinator";
    opened.source = joined(config.coordinator.endpoints);
    ARROW_ASSIGN_OR_RAISE(opened.service, discovery::coordinator_discovery(coordinator_options(
                                              config.coordinator, config.metrics)));
  } else {
    const DiscoveryAccess& access = config.discovery;
    opened.kind = access.type == "static" ? "list" : access.type;
    opened.source = joined(access.endpoints);
    ARROW_ASSIGN_OR_RAISE(opened.service, by_store(access, self));
  }
  return opened;
}

Result<Epochs> open_epochs(const DeploymentConfig& config) {
  Epochs epochs;
  const DiscoveryAccess& access = config.discovery;
  epochs.shared = config.mode == DeploymentMode::kFullDistributed && access.type != "static";
  if (!epochs.shared) {
    epochs.store = local_epochs();
    return epochs;
  }
  ARROW_ASSIGN_OR_RAISE(const discovery::DirectoryOptions options, directory_options(access));
  ARROW_ASSIGN_OR_RAISE(epochs.store, access.type == "etcd" ? discovery::etcd_epochs(options)
                                                            : discovery::consul_epochs(options));
  epochs.where = access.type + " (" + joined(access.endpoints) + ")";
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  const std::string& node = config.node.id.empty() ? config.server.node_id : config.node.id;
  epochs.self = (node.empty() ? std::string(host.data()) : node) + "/" + std::to_string(::getpid());
  return epochs;
}

Result<std::unique_ptr<discovery::Directory>> open_directory(const DiscoveryAccess& access) {
  if (access.type == "static") {
    return make_error(
        ErrorKind::kConfig,
        "discovery.type static is a fixed list, which keeps no configuration and drains "
        "nobody");
  }
  ARROW_ASSIGN_OR_RAISE(const discovery::DirectoryOptions options, directory_options(access));
  return access.type == "etcd" ? discovery::etcd_directory(options)
                               : discovery::consul_directory(options);
}

}  // namespace cenote
