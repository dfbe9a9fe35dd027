// A cluster without a coordinator, asked as if it had one: the calls of the coordinator's API that
// read and write what a store keeps, answered from Consul or etcd.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "cenote/config.h"

#include "base/json.h"
#include "discovery/directory.h"

namespace cenote::cli {

// Used by one thread.
class StoreGateway {
 public:
  // Does not connect. kConfig. A fixed list can be listed, and keeps nothing: all else is kConfig.
  static Result<std::unique_ptr<StoreGateway>> open(DeploymentConfig config);

  // As Cluster::get and Cluster::change. kNotSupported for what only a coordinator does.
  Result<Json> get(const std::stop_token& stop, std::string_view target);
  Result<Json> change(const std::stop_token& stop, std::string_view method, std::string_view target,
                      const Json& body, const std::string& if_match);
  const std::string& url() const { return source_; }

 private:
  explicit StoreGateway(DeploymentConfig config) : config_(std::move(config)) {}
  Status needs_store() const;
  Result<Json> nodes(const std::stop_token& stop) const;
  Result<Json> drain(const std::stop_token& stop, std::string_view node, bool on);
  // 0: the newest.
  Result<discovery::ConfigVersion> version(const std::stop_token& stop, uint64_t number);
  Result<Json> history(const std::stop_token& stop);
  Result<Json> diff(const std::stop_token& stop, std::string_view query);
  // How far the newest version has come.
  Result<Json> rollout(const std::stop_token& stop);
  Result<Json> append(const std::stop_token& stop, const cluster::ConfigId& head,
                      std::string content, std::string reason);

  DeploymentConfig config_;
  std::string source_;
  std::unique_ptr<discovery::Directory> directory_;  // null: a fixed list
};

}  // namespace cenote::cli
