// The named pools, and pools from URLs and keys.
#include "cenote/manager.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "cenote/driver.h"

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
      .value("DISTRIBUTED", DeploymentMode::kFullDistributed);
  nb::class_<ManagerHandle>(module, "Manager")
      .def(
          "create_pool",
          [](const ManagerHandle& self, const std::string& id, const std::string& type,
             const Keys& keys, nb::object credentials) {
            PoolConfig config = unwrap(config_from(id, type, keys));
            set_credentials(config, std::move(credentials));
            return PoolHandle(
                unlocked([&] { return self.manager->create_pool(std::move(config)); }));
          },
          nb::arg(), nb::arg(), nb::arg(), nb::arg().none())
      .def("pool", [](const ManagerHandle& self,
                      const std::string& id) { return PoolHandle(unwrap(self.manager->pool(id))); })
      .def("list_pools", [](const ManagerHandle& self) { return self.manager->list_pools(); })
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
  module.def("open_manager", [](DeploymentMode mode) {
    DeploymentConfig config;
    config.mode = mode;
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
