// How a process takes part in a cluster: where it asks, how it reaches nodes, and who it is to
// others. Parts of the YAML's `deployment:` that the mode standalone does not need.
#pragma once

#include <string>
#include <vector>

#include "cenote/deadline.h"

namespace cenote {

// Files in PEM. Without `ca` the system's authorities are trusted.
struct ClientTlsFiles {
  std::string ca;
  std::string certificate;  // with `key`: our own, where the server asks for one (mTLS)
  std::string key;
};

// Where the coordinator answers.
struct CoordinatorAccess {
  std::vector<std::string> endpoints;  // "http://coordinator:8080"; one that does not answer is
                                       // left for the next
  std::string token;
  ClientTlsFiles tls;
};

// Where a store answers that others run.
struct StoreAccess {
  std::string type;                    // "consul", "etcd"; empty: none
  std::vector<std::string> endpoints;  // "consul:8500" or a URL
  std::string token;                   // Consul's ACL token, etcd's JWT
  std::string username;                // etcd's, with `password`
  std::string password;
  ClientTlsFiles tls;
};

// Where the processes of mode distributed meet. `type` may also be "static", a fixed list; then
// `endpoints` are the nodes, "db1:8815".
struct DiscoveryAccess : StoreAccess {
  std::string cluster = "cenote";          // its name in the store; those of another do not see it
  Duration ttl = std::chrono::seconds(5);  // of a node's lease; renewed at a third of it
  std::vector<std::string> pools;          // of a fixed list: what its nodes serve
  // Of a new configuration: how long one node, then a quarter, tries it before the others take it;
  // 0: all at once. And for a node to apply or refuse it.
  Duration stage_hold = std::chrono::seconds(15);
  Duration ack_timeout = std::chrono::seconds(30);
};

// How this process logs in to the nodes that serve pools.
struct NodeAccess {
  std::string username;  // empty: none
  std::string password;
  std::string token;  // in place of name and password
  ClientTlsFiles tls;
  Duration connect_timeout = std::chrono::seconds(3);
  // Where nodes may be, whatever the coordinator says: "10.0.0.0/8", "fd00::/8". Empty: everywhere
  // but loopback (unless the coordinator is there), link-local and the like.
  std::vector<std::string> networks{};
};

// This process among the nodes.
struct NodeIdentity {
  std::string id;  // empty: server.node_id, else host name and port
  std::string
      advertise;        // host:port for others; empty: server.flight.advertise, else as it listens
  std::string zone;     // targets of the same zone are preferred
  double weight = 1.0;  // its share of the work beside other nodes
  // Where the node keeps its incarnation, a number that grows with every start. Empty:
  // $STATE_DIRECTORY, else $XDG_STATE_HOME/cenote, else ~/.local/state/cenote.
  std::string state_dir;
};

}  // namespace cenote
