// The named pools, and pools from URLs and keys.
#include "cenote/manager.h"

#include <algorithm>
#include <chrono>

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "cenote/driver.h"

#include "config/schema.h"
#include "error.h"
#include "interrupt.h"
#include "pool.h"
#include "visit.h"
#include "workers.h"

namespace cenote::python {
namespace {

struct ManagerHandle {
  Held<DistributedPoolManager> manager;
  explicit ManagerHandle(std::shared_ptr<DistributedPoolManager> opened)
      : manager(std::move(opened)) {}
};

// The password callback is Python's: it needs the GIL to run and to be forgotten.
void set_credentials(PoolConfig& config, nb::object callback) {
  if (callback.is_none()) return;
  const auto held = shared_with_threads(std::move(callback));
  config.credentials = [held]() -> Result<Credentials> {
    const Visit visit;
    if (!visit) return make_error(ErrorKind::kPoolClosed, "the interpreter ends");
    try {
      const auto pair = nb::cast<nb::tuple>((*held)());
      return Credentials{nb::cast<std::string>(pair[0]), nb::cast<std::string>(pair[1])};
    } catch (const std::exception&) {
      // Not its words: they may hold the secret.
      return make_error(
          ErrorKind::kAuthentication,
          "the credentials callback failed; it takes nothing and returns (username, password)");
    }
  };
}

using Keys = std::map<std::string, std::string>;

Result<PoolConfig> config_from(const std::string& id, const std::string& type, const Keys& keys) {
  return pool_from_keys(id, type, DriverConfig(keys.begin(), keys.end()));
}

// A key of `discovery:`, by the table that the YAML follows.
Result<bool> set_discovery(DeploymentConfig& config, const std::string& key,
                           const std::string& value) {
  std::vector<std::string_view> known;
  for (const DeploymentKey& row : discovery_keys()) {
    known.push_back(row.name);
    if (row.name != key) continue;
    const Status checked = check_value(row.rule, value, "'" + value + "'");
    if (!checked.ok()) {
      return make_error(ErrorKind::kConfig, "discovery: key '" + key + "': " + checked.message());
    }
    row.store(config, value);
    return true;
  }
  return make_error(ErrorKind::kConfig,
                    "discovery: there is no key '" + key + "'" + suggest(key, known));
}

// What DistributedDatabasePool's arguments mean.
Result<bool> set_key(DeploymentConfig& config, const std::string& key, const std::string& value) {
  if (key == "coordinator_url") {
    config.coordinator.endpoints = split_list(value);
  } else if (key == "token") {
    config.coordinator.token = value;
  } else if (key == "username") {
    config.remote.username = value;
  } else if (key == "password") {
    config.remote.password = value;
  } else if (key == "ca") {
    config.coordinator.tls.ca = config.remote.tls.ca = value;
  } else if (key.starts_with("discovery.")) {
    return set_discovery(config, key.substr(std::string_view("discovery.").size()), value);
  } else if (key == "zone") {
    config.node.zone = value;
  } else {
    const auto names = split_choices(kBalanceAlgorithms);
    const auto found = std::find(names.begin(), names.end(), value);
    if (found == names.end()) {
      return make_error(ErrorKind::kConfig, "load_balancer '" + value + "' is none of " +
                                                std::string(kBalanceAlgorithms));
    }
    config.load_balancer = static_cast<LoadBalanceAlgorithm>(found - names.begin());
  }
  return true;
}

nb::object status_of(const DistributedPoolManager& manager) {
  const std::optional<ClusterStatus> status = manager.cluster_status();
  if (!status) return nb::none();
  nb::list nodes;
  for (const ClusterStatus::Node& node : status->nodes) {
    nb::dict one;
    one["id"] = node.id;
    one["location"] = node.location;
    one["zone"] = node.zone;
    one["state"] = node.state;
    one["pools"] = node.pools;
    one["reached"] = node.reached ? nb::object(nb::bool_(*node.reached)) : nb::object(nb::none());
    nodes.append(one);
  }
  nb::dict dict;
  dict["coordinator"] = status->source;
  dict["source"] = status->source;
  dict["cluster"] = status->cluster;
  dict["term"] = status->term;
  dict["revision"] = status->revision;
  dict["view_age"] =
      status->age ? nb::object(nb::float_(std::chrono::duration<double>(*status->age).count()))
                  : nb::object(nb::none());
  dict["alarm"] = status->alarm;
  dict["last_error"] = status->last_error;
  dict["nodes"] = nodes;
  nb::dict partition;
  partition["state"] = status->partition.state;
  partition["cause"] = status->partition.cause;
  partition["reason"] = status->partition.reason;
  partition["since"] = std::chrono::duration<double>(status->partition.since).count();
  partition["share"] = status->partition.share;
  dict["partition"] = partition;
  return dict;
}

nb::list failover_status_of(const DistributedPoolManager& manager) {
  nb::list all;
  for (const FailoverStatus& status : manager.failover_status()) {
    nb::list targets;
    for (const FailoverStatus::Target& target : status.targets) {
      nb::dict one;
      one["name"] = target.name;
      one["state"] = target.state;
      one["error"] = target.error;
      targets.append(one);
    }
    nb::dict dict;
    dict["pool_id"] = status.id;
    dict["strategy"] = status.strategy;
    dict["state"] = status.state;
    dict["epoch"] = status.epoch;
    dict["store"] = status.store;
    dict["store_error"] = status.store_error;
    dict["active"] = status.active;
    dict["takes_writes"] = status.takes_writes;
    dict["why"] = status.why;
    dict["targets"] = targets;
    dict["events"] = status.events;
    dict["counts"] = status.counts;
    all.append(dict);
  }
  return all;
}

}  // namespace

void bind_manager(nb::module_& module) {
  module.def(
      "open_url",
      [](const std::string& url, const std::string& id, nb::object credentials) {
        PoolConfig config = unwrap(pool_from_url(url, id));
        set_credentials(config, std::move(credentials));
        return PoolHandle(unlocked([&] { return LocalPool::open(std::move(config)); }));
      },
      nb::arg(), nb::arg(), nb::arg().none());
  module.def(
      "open_keys",
      [](const std::string& id, const std::string& type, const Keys& keys, nb::object credentials) {
        PoolConfig config = unwrap(config_from(id, type, keys));
        set_credentials(config, std::move(credentials));
        return PoolHandle(unlocked([&] { return LocalPool::open(std::move(config)); }));
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg().none());
  module.def("supported_databases", [] {
    nb::list names;
    for (const Driver* driver : drivers()) names.append(std::string(driver->traits().name));
    return names;
  });

  nb::enum_<DeploymentMode>(module, "DeploymentMode",
                            "Who knows the pools: this process alone (STANDALONE), a "
                            "coordinator, or a distributed store.")
      .value("STANDALONE", DeploymentMode::kStandalone)
      .value("COORDINATED", DeploymentMode::kCoordinated)
      .value("FULL_DISTRIBUTED", DeploymentMode::kFullDistributed);
  nb::class_<ManagerHandle>(module, "Manager")
      .def(
          "create_pool",
          [](const ManagerHandle& self, const std::string& id, const std::string& type,
             const Keys& keys, nb::object credentials) {
            PoolConfig config = unwrap(config_from(id, type, keys));
            set_credentials(config, std::move(credentials));
            (void)unlocked([&] { return self.manager->create_pool(std::move(config)); });
            return pool_object(self.manager.share(), id);
          },
          nb::arg(), nb::arg(), nb::arg(), nb::arg().none())
      .def("pool", [](const ManagerHandle& self,
                      const std::string& id) { return pool_object(self.manager.share(), id); })
      .def("discover_pools",
           [](const ManagerHandle& self) { return self.manager->discover_pools(); })
      .def("cluster_status", [](const ManagerHandle& self) { return status_of(*self.manager); })
      .def("recover",
           [](const ManagerHandle& self) {
             (void)unlocked([&] { return done(self.manager->recover()); });
           })
      .def("list_pools", [](const ManagerHandle& self) { return self.manager->list_pools(); })
      .def("failover_status",
           [](const ManagerHandle& self) { return failover_status_of(*self.manager); })
      .def("failover",
           [](const ManagerHandle& self, const std::string& id, const std::string& to,
              bool dry_run) {
             return unlocked([&] { return self.manager->failover(id, to, dry_run); });
           })
      .def("async_failover",
           [](const ManagerHandle& self, const Loop& loop, uint64_t token, const std::string& id,
              const std::string& to, bool dry_run) {
             run_on_worker([manager = self.manager.share(), reply = Reply{loop.queue, token}, id,
                            to, dry_run] {
               reply.send(manager->failover(id, to, dry_run),
                          [](const std::string& now) { return nb::cast(now); });
             });
           })
      .def("remove_pool",
           [](const ManagerHandle& self, const std::string& id, double timeout) {
             const auto pool = unwrap(self.manager->pool(id));
             blocking([&] { (void)pool->drain(Deadline::in({})); },
                      [&] {
                        return done(self.manager->remove_pool(id, Deadline::in(seconds(timeout))));
                      });
           })
      .def("async_remove_pool",
           [](const ManagerHandle& self, const Loop& loop, uint64_t token, const std::string& id,
              double timeout) {
             run_on_worker(
                 [manager = self.manager.share(), reply = Reply{loop.queue, token}, id, timeout] {
                   reply.send(manager->remove_pool(id, Deadline::in(seconds(timeout))));
                 });
           })
      .def("drain", [](const ManagerHandle& self, double timeout) {
        blocking([&] { (void)self.manager->drain(Deadline::in({})); },
                 [&] { return done(self.manager->drain(Deadline::in(seconds(timeout)))); });
      });
  module.def("open_manager", [](DeploymentMode mode, const Keys& settings) {
    DeploymentConfig config;
    config.mode = mode;
    for (const auto& [key, value] : settings) unwrap(set_key(config, key, value));
    std::unique_ptr<DistributedPoolManager> made =
        unlocked([&] { return DistributedPoolManager::open(std::move(config)); });
    return ManagerHandle(std::move(made));
  });
  module.def("manager_from_yaml", [](const std::string& path) {
    std::unique_ptr<DistributedPoolManager> made =
        unlocked([&] { return DistributedPoolManager::from_yaml(path); });
    return ManagerHandle(std::move(made));
  });
}

}  // namespace cenote::python
