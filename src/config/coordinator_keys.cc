// The rows of the top-level `coordinator:`, in the order of the reference page.
#include <string>
#include <vector>

#include "config/schema.h"

namespace cenote {
namespace {

using Kind = ValueRule::Kind;
using Options = CoordinatorServerOptions;

constexpr ValueRule kText{Kind::kText};
constexpr ValueRule kDuration{Kind::kDuration};

// The stores below parse what has passed the rule, so that failures cannot happen.
auto text(std::string Options::* field) {
  return [=](DeploymentConfig& config, std::string_view value) {
    config.coordinator_server.*field = value;
  };
}
auto text(std::string TlsFiles::* field) {
  return [=](DeploymentConfig& config, std::string_view value) {
    config.coordinator_server.tls.*field = value;
  };
}
auto store(std::string StoreAccess::* field) {
  return [=](DeploymentConfig& config, std::string_view value) {
    config.coordinator_server.store.*field = value;
  };
}
auto store(std::string ClientTlsFiles::* field) {
  return [=](DeploymentConfig& config, std::string_view value) {
    config.coordinator_server.store.tls.*field = value;
  };
}
auto duration(Duration Options::* field) {
  return [=](DeploymentConfig& config, std::string_view value) {
    config.coordinator_server.*field =
        parse_duration(value).ValueOr(config.coordinator_server.*field);
  };
}
auto number(int Options::* field) {
  return [=](DeploymentConfig& config, std::string_view value) {
    config.coordinator_server.*field =
        static_cast<int>(parse_integer(value).ValueOr(config.coordinator_server.*field));
  };
}

const std::vector<DeploymentKey>& tls_rows() {
  static const std::vector<DeploymentKey> rows = {
      {"certificate", kText, "The server's certificate chain, PEM.", text(&TlsFiles::certificate)},
      {"key", kText, "Its key, PEM.", text(&TlsFiles::key)},
      {"client_ca", kText,
       "Given: nodes must show a certificate that this one signed, with their node_id as its "
       "subject alternative name.",
       text(&TlsFiles::client_ca)},
  };
  return rows;
}

const std::vector<DeploymentKey>& store_rows() {
  static const std::vector<DeploymentKey> rows = {
      {"type", {Kind::kChoice, 0, 0, "consul|etcd"}, "What it is.", store(&StoreAccess::type)},
      {"endpoint", kText, "As consul:8500 or https://etcd:2379; several by commas.",
       [](DeploymentConfig& config, std::string_view value) {
         config.coordinator_server.store.endpoints = split_list(value);
       }},
      {"token", kText, "Consul's ACL token or etcd's JWT, best as ${env:NAME} or ${file:PATH}.",
       store(&StoreAccess::token)},
      {"username", kText, "The user at etcd.", store(&StoreAccess::username)},
      {"password", kText, "Its password, best as ${env:NAME} or ${file:PATH}.",
       store(&StoreAccess::password)},
      {"ca", kText, "The authority that signed the store's certificates, PEM.",
       store(&ClientTlsFiles::ca)},
      {"certificate", kText, "The coordinator's own certificate at the store, PEM.",
       store(&ClientTlsFiles::certificate)},
      {"key", kText, "Its key, PEM.", store(&ClientTlsFiles::key)},
  };
  return rows;
}

const std::vector<DeploymentKey>& coordinator_rows() {
  static const std::vector<DeploymentKey> rows = {
      {"cluster", kText, "The cluster's name; members of another are not heard.",
       text(&Options::cluster)},
      {"listen", kText, "Address and port, as 127.0.0.1:8080; port 0 picks a free one.",
       text(&Options::listen)},
      {"state", kText, "The SQLite file that keeps registrations and configuration; see `store`.",
       text(&Options::state)},
      {"advertise", kText,
       "With a store that several coordinators share: the URL under which others reach this one, "
       "as https://coordinator1:8080; by default as it listens.",
       text(&Options::advertise)},
      {"max_connections",
       {Kind::kInteger, 1, 1'000'000},
       "Open HTTP connections; a node needs two, a client one.",
       number(&Options::max_connections)},
      {"staged",
       {Kind::kBoolean},
       "Roll configurations out to one node first, then to a quarter, then to all.",
       [](DeploymentConfig& config, std::string_view value) {
         config.coordinator_server.staged = parse_boolean(value).ValueOr(true);
       }},
      {"stage_hold", kDuration, "A stage lasts at least this long.",
       duration(&Options::stage_hold)},
      {"ack_timeout", kDuration, "How long a node may take to apply or refuse a version.",
       duration(&Options::ack_timeout)},
      {"suspect_after", kDuration, "A node silent for this long gets no new work.",
       duration(&Options::suspect_after)},
      {"dead_after", kDuration, "A node silent for this long is dead.",
       duration(&Options::dead_after)},
      {"registrations_per_second",
       {Kind::kInteger, 1, 1'000'000},
       "More are told to come back a little later.",
       number(&Options::registrations_per_second)},
      {"node_networks", kText,
       "Where nodes may be, as 10.0.0.0/8, fd00::/8. By default everywhere but on loopback (unless "
       "the coordinator listens there itself), link-local and cloud metadata addresses.",
       [](DeploymentConfig& config, std::string_view value) {
         config.coordinator_server.node_networks = split_list(value);
       }},
  };
  return rows;
}

}  // namespace

const Section& coordinator_section() {
  static const std::vector<Section> inner = {
      {"tls", "Encryption; needed on addresses that other machines reach.", tls_rows(), {}},
      {"store",
       "In place of the file: a store that several coordinators share, of which one leads.",
       store_rows(),
       {}}};
  static const Section section = {"coordinator", "Being the coordinator of others.",
                                  coordinator_rows(), inner, "tokens"};
  return section;
}

std::span<const KeyRow<CoordinatorToken>> token_keys() {
  static const std::vector<KeyRow<CoordinatorToken>> rows = {
      {"name", kText, "What the audit log calls its bearer.",
       [](CoordinatorToken& token, std::string_view value) { token.name = value; }},
      {"token", kText, "The token itself, best as ${file:PATH}.",
       [](CoordinatorToken& token, std::string_view value) { token.token = value; }},
      {"role",
       {Kind::kChoice, 0, 0, "node|client|operator|viewer"},
       "What its bearer may do.",
       [](CoordinatorToken& token, std::string_view value) {
         token.role = value == "node"       ? TokenRole::kNode
                      : value == "client"   ? TokenRole::kClient
                      : value == "operator" ? TokenRole::kOperator
                                            : TokenRole::kViewer;
       }},
      {"node_id", kText, "Of a node's token: the only node it may speak for.",
       [](CoordinatorToken& token, std::string_view value) { token.node_id = value; }},
      {"expires", kText, "As 2027-01-31 or 2027-01-31T12:00:00Z; never by default.",
       [](CoordinatorToken& token, std::string_view value) { token.expires = value; }},
  };
  return rows;
}

}  // namespace cenote
