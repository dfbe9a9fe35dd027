// ADR-002's DistributedPoolManager: the named pools of this process, and (in the other deployment
// modes) the cluster's.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/config.h"
#include "cenote/pool.h"

namespace cenote {

// Thread-safe.
class DistributedPoolManager {
 public:
  // Opens the pools of `config`, in its order; on an error none stays open. kNotSupported for a
  // mode this build lacks.
  static Result<std::unique_ptr<DistributedPoolManager>> open(DeploymentConfig config);
  static Result<std::unique_ptr<DistributedPoolManager>> from_yaml(
      const std::filesystem::path& file);
  // Closes what is open, waiting for no one.
  ~DistributedPoolManager();

  DeploymentMode mode() const;

  // kConfig if the id is taken.
  Result<std::shared_ptr<LocalPool>> create_pool(PoolConfig config);
  // kUnknownPool names the pools there are.
  Result<std::shared_ptr<LocalPool>> pool(std::string_view id) const;
  // Drains it (refusing new work at once), then forgets it.
  Status remove_pool(std::string_view id, Deadline deadline);
  std::vector<std::string> list_pools() const;  // in the order of their making

  Result<std::shared_ptr<arrow::Table>> execute_query(std::string_view pool_id,
                                                      std::string_view sql,
                                                      const Params& params = {},
                                                      const QueryOptions& options = {});

  std::vector<PoolStatus> get_status() const;
  std::string prometheus() const;  // all pools' metrics as one exposition

  // Where the Prometheus endpoint listens, "127.0.0.1:9464"; empty when it is off.
  std::string prometheus_address() const;

  // Drains all pools side by side.
  Status drain(Deadline deadline);

 private:
  struct Parts;
  explicit DistributedPoolManager(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace cenote
