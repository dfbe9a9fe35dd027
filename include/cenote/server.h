// Where a process serves its pools to others, to whom and within which bounds: `server:` of the
// YAML.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cenote/deadline.h"
#include "cenote/deployment.h"

namespace cenote {

// What a user may do. A reader's statements run in read-only transactions; an admin may also use
// the admin API's changes.
enum class UserRole : uint8_t { kReader, kWriter, kAdmin };

struct ServerUser {
  std::string name;
  std::string password;
  UserRole role = UserRole::kWriter;
  std::vector<std::string> pools;  // empty: all
};

// Files in PEM. With `client_ca` every client must show a certificate that it signed (mTLS).
struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string client_ca;
};

struct FlightServerOptions {
  std::string listen = "127.0.0.1:8815";  // port 0 picks a free one
  std::string advertise;                  // host:port for others; empty: as it listens
  TlsFiles tls;
  int max_calls = 256;  // calls and streams at once; each holds a thread of gRPC
  int max_sessions = 1'000;
  int max_prepared = 10'000;
  int max_results = 256;                          // executed and not yet fetched
  int max_transactions = 1'000;                   // begun by clients and not ended
  int64_t max_message_bytes = int64_t{16} << 20;  // of one message from a client
  Duration transaction_idle = std::chrono::seconds(60);
  Duration result_idle = std::chrono::seconds(60);  // from execution to the first fetch
  Duration stream_idle = std::chrono::minutes(5);   // a stream that its client does not read
  Duration session_idle = std::chrono::hours(1);    // also of prepared statements
  Duration token_lifetime = std::chrono::hours(12);
};

// HTTP for operators and their tools: health, metrics, status.
struct AdminServerOptions {
  std::string listen;         // "127.0.0.1:8816"; port 0 picks a free one; empty: off
  bool allow_remote = false;  // needed to listen on an address that is not loopback
};

struct ServerOptions {
  std::string node_id;  // empty: host name and port
  FlightServerOptions flight;
  AdminServerOptions admin;
  std::vector<ServerUser> users;  // none: everyone is admitted, which only loopback allows
  // Signs login tokens; the same on every node of a cluster, so that a token of one is good at all.
  // Empty: a random one, good for this process.
  std::string secret;
  std::string default_pool;  // for clients that name none; empty: the first
  Duration drain_timeout = std::chrono::seconds(30);
};

// What a caller of the coordinator may do. A node registers and renews its own lease; a client
// reads the nodes and asks for routes; an operator changes things; a viewer reads everything.
enum class TokenRole : uint8_t { kNode, kClient, kOperator, kViewer };

struct CoordinatorToken {
  std::string name;   // stands in the audit log
  std::string token;  // what the caller sends as `Authorization: Bearer …`
  TokenRole role = TokenRole::kViewer;
  std::string node_id;  // of a node's token: the only node it may speak for; empty: any
  std::string expires;  // "2027-01-31" or "2027-01-31T12:00:00Z", UTC; empty: never
};

// How a coordinator serves: the top-level `coordinator:` of the YAML.
struct CoordinatorServerOptions {
  std::string cluster = "cenote";
  std::string listen = "127.0.0.1:8080";  // port 0 picks a free one
  std::string state = "coordinator.db";   // the SQLite file that outlives the process
  // In place of the file: shared by several coordinators, of which one leads.
  StoreAccess store;
  std::string advertise;  // of a shared store: the URL under which others reach this one; empty:
                          // as it listens
  TlsFiles tls;  // with client_ca, nodes must show a certificate whose SAN is their node_id
  std::vector<CoordinatorToken>
      tokens;  // none: everyone is an operator, which only loopback allows
  int max_connections = 10'000;
  bool staged = true;                                // roll-outs: canary, a quarter, all
  Duration stage_hold = std::chrono::seconds(15);    // a stage lasts at least this long
  Duration ack_timeout = std::chrono::seconds(30);   // for a node to apply or refuse
  Duration suspect_after = std::chrono::seconds(3);  // of silence: no new work
  Duration dead_after = std::chrono::seconds(5);     // of silence; the lease's time to live
  int registrations_per_second = 50;                 // more are told to come back later
  // Where nodes may be: "10.0.0.0/8", "fd00::/8". Empty: everywhere but loopback (unless the
  // coordinator listens there itself), link-local and the like.
  std::vector<std::string> node_networks{};
};

}  // namespace cenote
