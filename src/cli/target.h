// Which database a verb is about: `-c cenote.yaml -p main_db`, or `--url sqlite:shop.db`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cenote/config.h"
#include "cenote/pool.h"

namespace CLI {
class App;
}

namespace cenote::cli {

struct Target {
  std::string config;
  std::string pool;
  std::string url;

  void add_options(CLI::App& app);

  // The file, or the URL's one pool, called "url". Without either option: cenote.yaml of the
  // working directory. kConfig if there is neither a pool nor a coordinator.
  Result<DeploymentConfig> deployment() const;
  // All pools of this process.
  Result<std::vector<PoolConfig>> pools() const;
  // The one that -p names; the only one without -p.
  Result<PoolConfig> chosen() const;
  // What a command needs for calls to one pool, whose id is `id` then: that pool, or in mode
  // coordinated all of the file and the way to the cluster.
  Result<DeploymentConfig> for_calls(std::string* id) const;
};

// A pool for the length of one command: connects when needed, checks no health by itself.
Result<std::shared_ptr<LocalPool>> open_for_command(PoolConfig config);

}  // namespace cenote::cli
