// Checks and translations.
#include "coordinator/setup.h"

#include <utility>

#include "cenote/config.h"

#include "net/listen_address.h"

namespace cenote::coordinator {
namespace {

Status check_exposure(const CoordinatorServerOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const ListenAddress address, parse_listen_address(options.listen));
  if (address.loopback || (!options.tokens.empty() && !options.tls.certificate.empty())) {
    return Status::OK();
  }
  const std::string missing = options.tokens.empty()
                                  ? options.tls.certificate.empty() ? "TLS and tokens" : "tokens"
                                  : "TLS";
  return make_error(ErrorKind::kConfig,
                    "'" + options.listen + "' can be reached from other machines, without " +
                        missing +
                        "; set coordinator.tls and coordinator.tokens, or listen on 127.0.0.1");
}

// A coordinator that other machines do not reach has its nodes beside it.
Result<Reach> node_reach(const CoordinatorServerOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const ListenAddress address, parse_listen_address(options.listen));
  const Result<Reach> reach = Reach::make(options.node_networks, address.loopback);
  if (reach.ok()) return reach;
  return make_error(ErrorKind::kConfig, "coordinator.node_networks: " + reach.status().message());
}

PoolCoordinator::Options core_options(const CoordinatorServerOptions& options) {
  PoolCoordinator::Options core;
  core.cluster = options.cluster;
  core.registry.health.suspect_after = options.suspect_after;
  core.registry.health.dead_after = options.dead_after;
  core.registry.health.grace = 2 * options.dead_after;
  core.rollout.staged = options.staged;
  core.rollout.hold = options.stage_hold;
  core.rollout.ack_within = options.ack_timeout;
  core.validate = [](std::string_view content) { return check_config(content, "configuration"); };
  return core;
}

HttpServerOptions http_options(const CoordinatorServerOptions& options) {
  HttpServerOptions http;
  http.listen = options.listen;
  http.allow_remote = true;  // checked above, more strictly
  http.max_connections = static_cast<size_t>(options.max_connections);
  http.tls = options.tls;
  return http;
}

Result<Api::Options> api_options(const CoordinatorServerOptions& options) {
  Api::Options rules;
  rules.node_certificates = !options.tls.client_ca.empty();
  rules.registrations_per_second = options.registrations_per_second;
  ARROW_ASSIGN_OR_RAISE(rules.reach, node_reach(options));
  return rules;
}

Result<std::vector<TokenRecord>> token_records(const CoordinatorServerOptions& options) {
  std::vector<TokenRecord> tokens;
  bool operators = false;
  for (const CoordinatorToken& each : options.tokens) {
    ARROW_ASSIGN_OR_RAISE(TokenRecord token, token_record_from(each));
    operators = operators || token.role == TokenRole::kOperator;
    tokens.push_back(std::move(token));
  }
  if (!tokens.empty() && !operators) {
    return make_error(ErrorKind::kConfig,
                      "coordinator.tokens: none has the role operator; nobody could change "
                      "anything");
  }
  return tokens;
}

}  // namespace

Result<Setup> set_up(const CoordinatorServerOptions& options) {
  ARROW_RETURN_NOT_OK(check_exposure(options));
  Setup setup;
  setup.http = http_options(options);
  ARROW_ASSIGN_OR_RAISE(setup.rules, api_options(options));
  ARROW_ASSIGN_OR_RAISE(setup.tokens, token_records(options));
  setup.core = core_options(options);
  return setup;
}

Result<std::unique_ptr<PoolCoordinator>> open_coordinator(const Setup& setup,
                                                          std::unique_ptr<Store> store,
                                                          const CallContext& context) {
  ARROW_ASSIGN_OR_RAISE(auto coordinator,
                        PoolCoordinator::open(setup.core, std::move(store), context));
  coordinator->tokens().configure(setup.tokens);
  return coordinator;
}

}  // namespace cenote::coordinator
