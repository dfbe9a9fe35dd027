// Discovery on Consul or etcd (ADR-002's mode distributed): no process in the middle; each reads
// the list, waits for changes and judges for itself.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster/rollout.h"
#include "discovery/directory.h"
#include "discovery/service_discovery.h"

namespace cenote::discovery {

struct StoreDiscoveryOptions {
  enum class Store : uint8_t { kConsul, kEtcd };
  Store store = Store::kConsul;
  DirectoryOptions directory;
  std::string self;  // node id of this process, if it serves; see Roster
  // The list is confirmed at least this often: a watch of etcd may be silent though things change.
  Duration confirm = std::chrono::seconds(5);
  Duration relist = std::chrono::seconds(60);  // ± 20 %
  cluster::Rollout::Options rollout;           // of new configurations
};

// kConfig as Directory's.
Result<std::unique_ptr<ServiceDiscovery>> store_discovery(StoreDiscoveryOptions options);

// A list that never changes: nodes that are taken to be up until calls of them fail.
struct StaticOptions {
  std::vector<std::string> nodes;  // "host:port", "grpc://host:port" or "grpc+tls://host:port"
  std::vector<std::string> pools;  // what each of them serves
  std::string cluster = "cenote";
};
Result<std::unique_ptr<ServiceDiscovery>> static_discovery(const StaticOptions& options);

}  // namespace cenote::discovery
