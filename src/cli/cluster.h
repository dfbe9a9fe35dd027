// The cluster that a verb is about: its coordinator's HTTP API, and how it is reached.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/config.h"

#include "base/json.h"
#include "cli/store_gateway.h"
#include "cluster/instance.h"
#include "net/http_client.h"

namespace CLI {
class App;
}

namespace cenote::cli {

struct ClusterOptions {
  std::string url;     // --coordinator; empty: of the configuration
  std::string config;  // -c; empty: cenote.yaml of the working directory
  std::string token_file;
  TlsClientOptions tls;
  std::string timeout = "10s";  // of one call; 0: no limit

  // Everything; the verb gets the help's words on tokens too.
  void add_options(CLI::App& verb);
  // --coordinator and how it is reached, for a verb that has -c and --timeout of its own.
  void add_access(CLI::App& verb);
};

// Used by one thread.
class Cluster {
 public:
  // Reads the configuration, the token and the certificates; does not connect. `stop` ends the
  // call under way. kConfig; kInterface for an option.
  static Result<Cluster> open(const ClusterOptions& options, std::stop_token stop);
  // The same for a configuration that was read already. In mode distributed, and without
  // --coordinator: what a coordinator would answer, from the store.
  static Result<Cluster> open(const ClusterOptions& options, DeploymentConfig config,
                              std::stop_token stop);

  // What the coordinator says to GET. An answer from 400 on is an error that says what to do:
  // kAuthentication, kConfig (422), kOverload (503), kUnknownPool (404: there is no such thing),
  // kOperational.
  Result<Json> get(std::string_view target);
  // A change, under an Idempotency-Key of its own, so that a lost answer may be asked for again.
  Result<Json> change(std::string_view method, std::string_view target, const Json& body = {},
                      const std::string& if_match = {});
  Result<cluster::Snapshot> nodes();
  // An answer that is no JSON, at most 1 GiB.
  Result<std::string> bytes(std::string_view method, std::string_view target);

  const std::string& url() const {
    return store_ != nullptr ? store_->url() : clients_[current_]->url();
  }

 private:
  Cluster() = default;
  Result<std::string> send(const HttpCall& call);
  // Whether another client is at the leader, which the answer names; it is the current one then.
  bool go_to_leader(const HttpAnswer& answer);
  Status refusal(const HttpAnswer& answer) const;
  Status unreachable(const Status& why) const;

  std::vector<std::unique_ptr<HttpClient>> clients_;  // one for each endpoint
  size_t current_ = 0;
  std::unique_ptr<StoreGateway> store_;  // in place of a coordinator
  Duration timeout_{};
  std::string token_source_;  // for messages; empty: no token
  std::stop_token stop_;
};

// Prints the error as fail() does; 5 for a coordinator that did not answer in time.
int fail_cluster(const Status& status);

// Writes to standard output; the code of the end.
int print(const std::string& text);

// Asks on the terminal. kOk, or the code to end with: nobody can answer (usage), no.
int confirm(const std::string& question, bool yes, const std::stop_token& stop);

}  // namespace cenote::cli
