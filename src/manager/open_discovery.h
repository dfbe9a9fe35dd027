// The discovery that a configuration names.
#pragma once

#include <memory>
#include <string>

#include "cenote/config.h"

#include "discovery/directory.h"
#include "discovery/service_discovery.h"
#include "manager/failover_group.h"

namespace cenote {

struct OpenedDiscovery {
  std::unique_ptr<discovery::ServiceDiscovery> service;
  std::string kind;    // as messages call it: "coordinator", "consul", "etcd", "list"
  std::string source;  // where it is: the endpoints
};

// `self`: the node id of this process, if it serves. Does not connect. kConfig.
Result<OpenedDiscovery> open_discovery(const DeploymentConfig& config, const std::string& self);

// What keeps failover's epochs: the store of mode distributed, else this process. Does not connect.
// kConfig.
Result<Epochs> open_epochs(const DeploymentConfig& config);

// The store itself. kConfig, for a fixed list too: it keeps nothing.
Result<std::unique_ptr<discovery::Directory>> open_directory(const DiscoveryAccess& access);

}  // namespace cenote
