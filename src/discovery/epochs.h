// Failover's epochs in Consul or etcd: one record for each group, written by compare-and-set.
//   /cenote/<cluster>/failover/<group>   in etcd
//   cenote/<cluster>/failover/<group>    in Consul
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "discovery/directory.h"
#include "failover/epoch_store.h"

namespace cenote::discovery {

// kConfig as Directory's; do not connect.
Result<std::shared_ptr<failover::EpochStore>> etcd_epochs(const DirectoryOptions& options);
Result<std::shared_ptr<failover::EpochStore>> consul_epochs(const DirectoryOptions& options);

std::string record_text(const failover::Record& record);
Result<failover::Record> record_from(std::string_view text);

}  // namespace cenote::discovery
