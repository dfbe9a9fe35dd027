// What processes tell one another about nodes and their pools, as plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/deadline.h"

namespace cenote::cluster {

// The version of the protocol between nodes, coordinators and clients. It grows when a request gets
// a key; what is there already keeps its meaning for as long as paths begin with /v1
// (docs/operations.md).
inline constexpr int kProtocol = 1;

// One pool on one node, as the node's heartbeat tells.
struct PoolReport {
  std::string pool_id;
  std::string type;
  int max = 0;
  int active = 0;
  int idle = 0;
  int waiting = 0;
  bool healthy = true;   // its database is not down
  bool writable = true;  // its database takes writes: primary and not read-only
  std::optional<std::chrono::milliseconds> lag{};  // of a replica behind its primary

  bool operator==(const PoolReport&) const = default;
  // Whether a client would choose differently: everything but the load.
  bool routes_like(const PoolReport& other) const {
    return pool_id == other.pool_id && type == other.type && max == other.max &&
           healthy == other.healthy && writable == other.writable;
  }
};

enum class NodeState : uint8_t {
  kUp,
  kSuspect,   // silent: no new work
  kFrozen,    // silent together with too many others: used last, after a probe
  kDraining,  // finishes what it has
  kDead,
};
std::string_view to_string(NodeState state);
std::optional<NodeState> node_state(std::string_view name);

// How a node introduces itself. `incarnation` grows with every start of the node.
struct Registration {
  std::string node_id;
  uint64_t incarnation = 0;
  std::string location;  // where it serves Flight SQL: "grpc://host:port" or "grpc+tls://…"
  std::string admin;     // where it serves its admin API: "http://host:port"; or empty
  std::string zone;
  double weight = 1.0;
  std::map<std::string, std::string> labels;
  int protocol = kProtocol;
  std::vector<PoolReport> pools;

  bool operator==(const Registration&) const = default;
};

// A node as the view shows it.
struct Node {
  Registration about;
  NodeState state = NodeState::kUp;
  uint64_t config_version = 0;  // the newest that it applied

  bool operator==(const Node&) const = default;
};

// ADR-002's PoolInstance: one pool on one node, as others see it.
struct PoolInstance {
  std::string node_id;
  std::string location;
  std::string zone;
  double weight = 1.0;
  NodeState state = NodeState::kUp;
  PoolReport pool;
};

// One step of the registry's history: what became of a node at a revision.
struct Change {
  uint64_t revision = 0;
  std::string node_id;
  std::optional<Node> node;  // none: it left

  bool operator==(const Change&) const = default;
};

// The whole registry at one revision. Two answers compare by (cluster, term, revision).
struct Snapshot {
  std::string cluster;
  uint64_t term = 0;
  uint64_t revision = 0;
  bool provisional = false;  // made just after a start: nodes may be missing
  std::vector<Node> nodes;   // sorted by id
};

}  // namespace cenote::cluster
