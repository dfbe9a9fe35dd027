// The part of a directory that is alike on every store: configurations and who is to be drained,
// below one prefix.
//   config/v/<n>  a configuration, never changed
//   config/head   number and hash of the newest, moved with it in one transaction
//   drain/<id>    there if the node is to take no work
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "discovery/directory.h"
#include "store/keys.h"

namespace cenote::discovery {

class KeyedDirectory : public Directory {
 public:
  Result<cluster::ConfigId> config_head(const std::stop_token& stop) override;
  Result<ConfigVersion> config(const std::stop_token& stop, uint64_t version) override;
  Result<bool> append_config(const std::stop_token& stop, const cluster::ConfigId& head,
                             const ConfigVersion& version) override;
  Result<std::vector<std::string>> drained(const std::stop_token& stop) override;
  Status set_drained(const std::stop_token& stop, const std::string& node_id, bool on,
                     const std::string& who) override;

 protected:
  explicit KeyedDirectory(std::string prefix) : prefix_(std::move(prefix)) {}
  virtual store::Keys& keys() = 0;
  std::string head_key() const { return prefix_ + "config/head"; }

  const std::string prefix_;

 private:
  std::string version_key(uint64_t version) const {
    return prefix_ + "config/v/" + std::to_string(version);
  }
};

}  // namespace cenote::discovery
