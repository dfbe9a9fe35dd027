// The rows of `server:`, in the order of the reference page.
#include <cstdint>
#include <string>
#include <vector>

#include "config/schema.h"

namespace cenote {
namespace {

using Kind = ValueRule::Kind;

constexpr ValueRule kText{Kind::kText};
constexpr ValueRule kDuration{Kind::kDuration};

constexpr ValueRule up_to(int64_t most) {
  return {Kind::kInteger, 1, most};
}
constexpr ValueRule kMany = up_to(1'000'000);

// The stores below parse what has passed the rule, so that failures cannot happen.
auto text(std::string ServerOptions::* field) {
  return [=](DeploymentConfig& config, std::string_view value) { config.server.*field = value; };
}
auto text(std::string FlightServerOptions::* field) {
  return [=](DeploymentConfig& config, std::string_view value) {
    config.server.flight.*field = value;
  };
}
auto text(std::string TlsFiles::* field) {
  return [=](DeploymentConfig& config, std::string_view value) {
    config.server.flight.tls.*field = value;
  };
}
auto duration(Duration FlightServerOptions::* field) {
  return [=](DeploymentConfig& config, std::string_view value) {
    config.server.flight.*field = parse_duration(value).ValueOr(config.server.flight.*field);
  };
}
template <typename Number>
auto number(Number FlightServerOptions::* field) {
  return [=](DeploymentConfig& config, std::string_view value) {
    config.server.flight.*field =
        static_cast<Number>(parse_integer(value).ValueOr(config.server.flight.*field));
  };
}

const std::vector<DeploymentKey>& tls_rows() {
  static const std::vector<DeploymentKey> rows = {
      {"certificate", kText, "The server's certificate chain, PEM.", text(&TlsFiles::certificate)},
      {"key", kText, "Its key, PEM.", text(&TlsFiles::key)},
      {"client_ca", kText, "Given: clients must show a certificate that this one signed.",
       text(&TlsFiles::client_ca)},
  };
  return rows;
}

const std::vector<DeploymentKey>& flight_rows() {
  using F = FlightServerOptions;
  static const std::vector<DeploymentKey> rows = {
      {"listen",
       {Kind::kAddress},
       "Address and port, as 127.0.0.1:8815; port 0 picks a free one.",
       text(&F::listen)},
      {"advertise",
       {Kind::kAddress},
       "host:port under which others reach the node.",
       text(&F::advertise)},
      {"max_calls", up_to(10'000), "Calls and streams at once; each holds a thread.",
       number(&F::max_calls)},
      {"max_sessions", kMany, "Clients that keep something on the node.", number(&F::max_sessions)},
      {"max_prepared", kMany, "Prepared statements of all clients.", number(&F::max_prepared)},
      {"max_results", kMany, "Results that were made and not yet fetched.",
       number(&F::max_results)},
      {"max_transactions", kMany, "Transactions that clients have begun and not ended.",
       number(&F::max_transactions)},
      {"max_message", up_to(int64_t{1} << 31), "Most bytes of one message from a client.",
       number(&F::max_message_bytes)},
      {"transaction_idle", kDuration, "A client's transaction idle for longer is rolled back.",
       duration(&F::transaction_idle)},
      {"result_idle", kDuration, "A result not fetched for this long is dropped.",
       duration(&F::result_idle)},
      {"stream_idle", kDuration, "A stream that its client does not read for this long is closed.",
       duration(&F::stream_idle)},
      {"session_idle", kDuration, "What an idle client keeps is forgotten after this.",
       duration(&F::session_idle)},
      {"token_lifetime", kDuration, "How long a login token is good.",
       duration(&F::token_lifetime)},
  };
  return rows;
}

const std::vector<DeploymentKey>& admin_rows() {
  static const std::vector<DeploymentKey> rows = {
      {"listen", kText,
       "Address and port of health, metrics and status by HTTP, as 127.0.0.1:8816; off without it.",
       [](DeploymentConfig& config, std::string_view value) {
         config.server.admin.listen = value;
       }},
      {"allow_remote",
       {Kind::kBoolean},
       "Needed to listen on an address that other machines reach: there is no TLS and no password.",
       [](DeploymentConfig& config, std::string_view value) {
         config.server.admin.allow_remote = parse_boolean(value).ValueOr(false);
       }},
  };
  return rows;
}

const std::vector<DeploymentKey>& server_rows() {
  static const std::vector<DeploymentKey> rows = {
      {"node_id", kText, "The node's stable name; by default host and port.",
       text(&ServerOptions::node_id)},
      {"default_pool", kText, "The pool of clients that name none; by default the first.",
       text(&ServerOptions::default_pool)},
      {"secret", kText,
       "Signs login tokens; the same on every node, so that a token of one is good at all.",
       text(&ServerOptions::secret)},
      {"drain_timeout", kDuration, "How long a stopping node lets work end.",
       [](DeploymentConfig& config, std::string_view value) {
         config.server.drain_timeout = parse_duration(value).ValueOr(config.server.drain_timeout);
       }},
  };
  return rows;
}

}  // namespace

const Section& server_section() {
  static const std::vector<Section> in_flight = {
      {"tls", "Encryption; needed on addresses that other machines reach.", tls_rows(), {}}};
  static const std::vector<Section> in_server = {
      {"flight", "The Arrow Flight SQL server.", flight_rows(), in_flight},
      {"admin", "HTTP for operators and their tools.", admin_rows(), {}}};
  static const Section server = {"server", "Serving this process's pools to others.", server_rows(),
                                 in_server, "users"};
  return server;
}

std::span<const KeyRow<ServerUser>> user_keys() {
  static const std::vector<KeyRow<ServerUser>> rows = {
      {"name", kText, "The login name.",
       [](ServerUser& user, std::string_view value) { user.name = value; }},
      {"password", kText, "The password, best as ${env:NAME} or ${file:PATH}.",
       [](ServerUser& user, std::string_view value) { user.password = value; }},
      {"role",
       {Kind::kChoice, 0, 0, "reader|writer|admin"},
       "What the user may do; writer by default.",
       [](ServerUser& user, std::string_view value) {
         user.role = value == "reader"  ? UserRole::kReader
                     : value == "admin" ? UserRole::kAdmin
                                        : UserRole::kWriter;
       }},
      {"pools", {Kind::kTexts}, "The pools the user may use; all by default.", {}},
  };
  return rows;
}

}  // namespace cenote
