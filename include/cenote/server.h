// Where a process serves its pools to others, to whom and within which bounds: `server:` of the
// YAML.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cenote/deadline.h"

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

struct ServerOptions {
  std::string node_id;  // empty: host name and port
  FlightServerOptions flight;
  std::vector<ServerUser> users;  // none: everyone is admitted, which only loopback allows
  // Signs login tokens; the same on every node of a cluster, so that a token of one is good at all.
  // Empty: a random one, good for this process.
  std::string secret;
  std::string default_pool;  // for clients that name none; empty: the first
  Duration drain_timeout = std::chrono::seconds(30);
};

}  // namespace cenote
