// One writer and one reader for each message.
#include "cluster/wire.h"

#include <utility>

namespace cenote::cluster {
namespace {

Result<PoolReport> pool_from(const Json& value, const std::string& where, bool tolerant) {
  PoolReport pool;
  JsonReader reader(value, where);
  reader.get("pool_id", &pool.pool_id);
  reader.get("type", &pool.type);
  reader.get("max", &pool.max);
  reader.maybe("active", &pool.active);
  reader.maybe("idle", &pool.idle);
  reader.maybe("waiting", &pool.waiting);
  reader.maybe("healthy", &pool.healthy);
  reader.maybe("writable", &pool.writable);
  uint64_t lag = UINT64_MAX;
  reader.maybe("lag_ms", &lag);
  if (lag != UINT64_MAX) pool.lag = std::chrono::milliseconds(lag);
  ARROW_RETURN_NOT_OK(reader.finish(tolerant));
  return pool;
}

Status pools_from(JsonReader* reader, bool tolerant, std::vector<PoolReport>* pools) {
  const Json* list = reader->child("pools", true);
  if (list == nullptr) return Status::OK();
  if (!list->is_array()) {
    reader->fail("pools", "must be an array");
    return Status::OK();
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string where = reader->path("pools") + "/" + std::to_string(i);
    ARROW_ASSIGN_OR_RAISE(PoolReport pool, pool_from((*list)[i], where, tolerant));
    pools->push_back(std::move(pool));
  }
  return Status::OK();
}

// `tolerant` of keys that we do not know; of a newer node's it is anyway.
Status about_from(JsonReader* reader, Registration* about, bool* tolerant) {
  reader->maybe("protocol", &about->protocol);
  *tolerant = *tolerant || about->protocol > kProtocol;
  reader->get("node_id", &about->node_id);
  reader->get("incarnation", &about->incarnation);
  reader->get("location", &about->location);
  reader->maybe("admin", &about->admin);
  reader->maybe("zone", &about->zone);
  reader->maybe("weight", &about->weight);
  reader->maybe("labels", &about->labels);
  return pools_from(reader, *tolerant, &about->pools);
}

Result<Node> node_from(const Json& value, const std::string& where) {
  Node node;
  JsonReader reader(value, where);
  // What a coordinator says of a node may be more than the node said, whose protocol is no newer.
  bool tolerant = true;
  ARROW_RETURN_NOT_OK(about_from(&reader, &node.about, &tolerant));
  std::string state;
  reader.get("state", &state);
  reader.maybe("config_version", &node.config_version);
  const std::optional<NodeState> known = node_state(state);
  // A state of a newer coordinator's: listed, but nothing is sent there.
  node.state = known.value_or(NodeState::kDraining);
  ARROW_RETURN_NOT_OK(reader.finish(tolerant));
  return node;
}

}  // namespace

Json to_json(const PoolReport& pool) {
  Json out = {{"pool_id", pool.pool_id}, {"type", pool.type},        {"max", pool.max},
              {"active", pool.active},   {"idle", pool.idle},        {"waiting", pool.waiting},
              {"healthy", pool.healthy}, {"writable", pool.writable}};
  if (pool.lag) out["lag_ms"] = pool.lag->count();
  return out;
}

Json to_json(const Registration& about) {
  Json pools = Json::array();
  for (const PoolReport& pool : about.pools) pools.push_back(to_json(pool));
  Json out = {{"protocol", about.protocol},
              {"node_id", about.node_id},
              {"incarnation", json_number(about.incarnation)},
              {"location", about.location},
              {"weight", about.weight},
              {"pools", std::move(pools)}};
  if (!about.admin.empty()) out["admin"] = about.admin;
  if (!about.zone.empty()) out["zone"] = about.zone;
  if (!about.labels.empty()) out["labels"] = about.labels;
  return out;
}

Json to_json(const Node& node) {
  Json out = to_json(node.about);
  out["state"] = to_string(node.state);
  out["config_version"] = json_number(node.config_version);
  return out;
}

Json to_json(const Heartbeat& beat) {
  Json pools = Json::array();
  for (const PoolReport& pool : beat.pools) pools.push_back(to_json(pool));
  Json out = {{"protocol", kProtocol},
              {"node_id", beat.node_id},
              {"incarnation", json_number(beat.incarnation)},
              {"lease", json_number(beat.lease)},
              {"seq", json_number(beat.seq)},
              {"config_scope", beat.config_scope},
              {"config_version", json_number(beat.config_version)},
              {"error_rate", beat.error_rate},
              {"pools", std::move(pools)}};
  if (beat.config_rejected) {
    out["config_rejected"] = json_number(*beat.config_rejected);
    out["config_reason"] = beat.config_reason;
  }
  // Not before the coordinator is known to take them.
  if (!beat.config_hash.empty()) out["config_hash"] = beat.config_hash;
  if (!beat.config_rejected_hash.empty()) out["config_rejected_hash"] = beat.config_rejected_hash;
  if (!beat.peers.empty()) out["peers"] = beat.peers;
  if (beat.draining) out["draining"] = true;
  return out;
}

Json to_json(const Change& change) {
  Json out = {{"revision", json_number(change.revision)}, {"node_id", change.node_id}};
  out["node"] = change.node ? to_json(*change.node) : Json();
  return out;
}

Json to_json(const Snapshot& snapshot) {
  Json nodes = Json::array();
  for (const Node& node : snapshot.nodes) nodes.push_back(to_json(node));
  return {{"protocol", kProtocol},
          {"cluster", snapshot.cluster},
          {"term", json_number(snapshot.term)},
          {"revision", json_number(snapshot.revision)},
          {"provisional", snapshot.provisional},
          {"nodes", std::move(nodes)}};
}

Json to_json(const PoolInstance& instance) {
  return {{"node_id", instance.node_id},
          {"location", instance.location},
          {"zone", instance.zone},
          {"weight", instance.weight},
          {"state", to_string(instance.state)},
          {"pool", to_json(instance.pool)}};
}

Json to_json(const NodeRecord& record) {
  return {{"about", to_json(record.about)},
          {"lease", json_number(record.lease)},
          {"draining", record.draining},
          {"config_version", json_number(record.config_version)}};
}

Result<Registration> registration_from(const Json& value) {
  Registration about;
  JsonReader reader(value);
  bool tolerant = false;
  ARROW_RETURN_NOT_OK(about_from(&reader, &about, &tolerant));
  ARROW_RETURN_NOT_OK(reader.finish(tolerant));
  return about;
}

Result<Heartbeat> heartbeat_from(const Json& value) {
  Heartbeat beat;
  JsonReader reader(value);
  int protocol = kProtocol;
  reader.maybe("protocol", &protocol);
  const bool tolerant = protocol > kProtocol;
  reader.get("node_id", &beat.node_id);
  reader.get("incarnation", &beat.incarnation);
  reader.get("lease", &beat.lease);
  reader.get("seq", &beat.seq);
  reader.maybe("config_scope", &beat.config_scope);
  reader.maybe("config_version", &beat.config_version);
  uint64_t rejected = 0;
  reader.maybe("config_rejected", &rejected);
  if (rejected != 0) beat.config_rejected = rejected;
  reader.maybe("config_reason", &beat.config_reason);
  reader.maybe("config_hash", &beat.config_hash);
  reader.maybe("config_rejected_hash", &beat.config_rejected_hash);
  reader.maybe("error_rate", &beat.error_rate);
  reader.maybe("draining", &beat.draining);
  ARROW_RETURN_NOT_OK(pools_from(&reader, tolerant, &beat.pools));
  if (const Json* peers = reader.child("peers", false)) {
    if (!peers->is_object()) reader.fail("peers", "must be an object of true and false");
    for (const auto& [peer, reached] : peers->items()) {
      if (!reached.is_boolean()) {
        reader.fail("peers", "must be an object of true and false");
        break;
      }
      beat.peers.emplace(peer, reached.get<bool>());
    }
  }
  ARROW_RETURN_NOT_OK(reader.finish(tolerant));
  return beat;
}

Result<Change> change_from(const Json& value) {
  Change change;
  JsonReader reader(value);
  reader.get("revision", &change.revision);
  reader.get("node_id", &change.node_id);
  if (const Json* node = reader.child("node", false)) {
    ARROW_ASSIGN_OR_RAISE(change.node, node_from(*node, reader.path("node")));
  }
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return change;
}

Result<Snapshot> snapshot_from(const Json& value) {
  Snapshot snapshot;
  JsonReader reader(value);
  reader.get("cluster", &snapshot.cluster);
  reader.get("term", &snapshot.term);
  reader.get("revision", &snapshot.revision);
  reader.maybe("provisional", &snapshot.provisional);
  if (const Json* nodes = reader.child("nodes", true)) {
    if (!nodes->is_array()) reader.fail("nodes", "must be an array");
    for (size_t i = 0; nodes->is_array() && i < nodes->size(); ++i) {
      ARROW_ASSIGN_OR_RAISE(Node node, node_from((*nodes)[i], "/nodes/" + std::to_string(i)));
      snapshot.nodes.push_back(std::move(node));
    }
  }
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return snapshot;
}

Result<NodeRecord> node_record_from(const Json& value) {
  NodeRecord record;
  JsonReader reader(value);
  if (const Json* about = reader.child("about", true)) {
    ARROW_ASSIGN_OR_RAISE(record.about, registration_from(*about));
  }
  reader.get("lease", &record.lease);
  reader.maybe("draining", &record.draining);
  reader.maybe("config_version", &record.config_version);
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return record;
}

}  // namespace cenote::cluster
