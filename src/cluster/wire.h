// The JSON that nodes, coordinators and clients exchange; the OpenAPI document describes the same.
// An answer may hold keys that we do not know: the coordinator may be newer. A request may only if
// it says that its sender is (`protocol`), since else it is a mistake.
#pragma once

#include <string_view>

#include "base/json.h"
#include "cluster/instance.h"
#include "cluster/service_registry.h"

namespace cenote::cluster {

Json to_json(const PoolReport& pool);
Json to_json(const Registration& about);
Json to_json(const Node& node);
Json to_json(const Heartbeat& beat);
Json to_json(const Change& change);
Json to_json(const Snapshot& snapshot);
Json to_json(const PoolInstance& instance);
Json to_json(const NodeRecord& record);

Result<Registration> registration_from(const Json& value);
Result<Heartbeat> heartbeat_from(const Json& value);
Result<Change> change_from(const Json& value);
Result<Snapshot> snapshot_from(const Json& value);
Result<NodeRecord> node_record_from(const Json& value);

}  // namespace cenote::cluster
