// Calls, and what refusals mean.
#include "store/consul_client.h"

#include <charconv>
#include <utility>

namespace cenote::store {
namespace {

using Kind = Endpoints::Kind;

constexpr uint64_t kLongestSilence = 5'000;  // milliseconds that a server may be without its leader

uint64_t number_in(const HttpAnswer& answer, const std::string& header) {
  const auto found = answer.headers.find(header);
  uint64_t value = 0;
  if (found == answer.headers.end()) return 0;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

// A key in a path keeps its slashes.
std::string path_of(std::string_view key) {
  std::string path;
  while (true) {
    const size_t slash = key.find('/');
    path += url_encode(key.substr(0, slash));
    if (slash == std::string_view::npos) return path;
    path += '/';
    key.remove_prefix(slash + 1);
  }
}

}  // namespace

Result<ConsulClient> ConsulClient::make(const StoreOptions& options) {
  ARROW_ASSIGN_OR_RAISE(Endpoints endpoints, Endpoints::make("consul", options));
  return ConsulClient(std::move(endpoints), options);
}

HttpCall ConsulClient::request(std::string method, std::string target, std::string body) const {
  HttpCall call{std::move(method), "/v1/" + std::move(target), {}, std::move(body)};
  if (!token_.empty()) call.headers["x-consul-token"] = token_;
  if (!call.body.empty()) call.headers["content-type"] = "application/json";
  return call;
}

Status ConsulClient::unanswered(const Status& why) const {
  const ErrorDetail* detail = error_detail(why);
  const bool broken =
      detail != nullptr && detail->kind == ErrorKind::kConnection && detail->sent != Sent::kNo;
  if (!broken) return why;
  ErrorDetail told = *detail;
  return make_error(std::move(told),
                    why.message() +
                        "; an agent cuts off connections beyond limits.http_max_conns_per_client "
                        "(200 from one address)");
}

Result<HttpAnswer> ConsulClient::call(const CallContext& context, const HttpCall& request,
                                      Kind kind) {
  Result<HttpAnswer> answer = endpoints_.call(context, request, kind);
  if (!answer.ok()) return unanswered(answer.status());
  return answer;
}

Status ConsulClient::refused(const HttpAnswer& answer, std::string_view what) {
  const bool denied = answer.status == 401 || answer.status == 403 ||
                      answer.body.find("ermission denied") != std::string::npos;
  const std::string check =
      section_ + ".token, and that its policy may read and write the service and its keys";
  return store_refused(answer, &endpoints_,
                       {what, std::string_view(answer.body).substr(0, 200), denied, check});
}

Result<ConsulClient::Services> ConsulClient::services_of(const HttpAnswer& answer) {
  if (answer.status != 200) return refused(answer, "listing nodes");
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(answer.body));
  Services services;
  ARROW_ASSIGN_OR_RAISE(services.list, consul::services_from(value));
  services.index = std::max<uint64_t>(1, number_in(answer, "x-consul-index"));
  return services;
}

Result<ConsulClient::Services> ConsulClient::services(const CallContext& context,
                                                      std::string_view name) {
  ARROW_ASSIGN_OR_RAISE(
      const HttpAnswer answer,
      call(context, request("GET", "health/service/" + url_encode(name) + "?consistent")));
  return services_of(answer);
}

Result<ConsulClient::Services> ConsulClient::wait_services(const std::stop_token& stop,
                                                           std::string_view name, uint64_t index,
                                                           Duration most) {
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(most);
  const std::string target = "health/service/" + url_encode(name) +
                             "?stale&index=" + std::to_string(index) +
                             "&wait=" + std::to_string(wait.count()) + "ms";
  // Consul adds up to a sixteenth of its own.
  const CallContext context{Deadline::in(most + most / 16 + std::chrono::seconds(2)), stop};
  const Result<HttpAnswer> answer = endpoints_.wait(context, request("GET", target));
  if (!answer.ok()) return unanswered(answer.status());
  ARROW_ASSIGN_OR_RAISE(Services services, services_of(*answer));
  const auto leader = answer->headers.find("x-consul-knownleader");
  const bool led = leader == answer->headers.end() || leader->second == "true";
  if (!led || number_in(*answer, "x-consul-lastcontact") > kLongestSilence) {
    const Status status =
        store_error(ErrorKind::kOperational, endpoints_, "is out of touch with its leader");
    endpoints_.next();
    return status;
  }
  return services;
}

Status ConsulClient::enter(const CallContext& context, const consul::Registration& registration) {
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer,
                        call(context, request("PUT", "agent/service/register",
                                              consul::registration_body(registration))));
  return answer.status == 200 ? Status::OK() : refused(answer, "registering");
}

Result<bool> ConsulClient::pass(const CallContext& context, std::string_view check_id,
                                std::string_view note) {
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer,
                        call(context, request("PUT", "agent/check/update/" + url_encode(check_id),
                                              consul::check_body(note))));
  if (answer.status == 200) return true;
  // 500 in Consul 1.8, 404 later.
  const bool unknown = answer.status == 404 ||
                       answer.body.find("does not have associated TTL") != std::string::npos ||
                       answer.body.find("Unknown check") != std::string::npos;
  if (unknown) return false;
  return refused(answer, "renewing");
}

Status ConsulClient::leave(const CallContext& context, std::string_view service_id) {
  ARROW_ASSIGN_OR_RAISE(
      const HttpAnswer answer,
      call(context, request("PUT", "agent/service/deregister/" + url_encode(service_id))));
  return answer.status == 200 ? Status::OK() : refused(answer, "leaving");
}

Result<std::optional<consul::Item>> ConsulClient::get(const CallContext& context,
                                                      std::string_view key) {
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer,
                        call(context, request("GET", "kv/" + path_of(key) + "?consistent")));
  if (answer.status == 404) return std::optional<consul::Item>();
  if (answer.status != 200) return refused(answer, "reading a key");
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(answer.body));
  ARROW_ASSIGN_OR_RAISE(std::vector<consul::Item> items, consul::items_from(value));
  if (items.size() != 1) return store_error(ErrorKind::kData, endpoints_, "a key has two values");
  return std::optional(std::move(items.front()));
}

Result<std::vector<consul::Item>> ConsulClient::list(const CallContext& context,
                                                     std::string_view prefix) {
  ARROW_ASSIGN_OR_RAISE(
      const HttpAnswer answer,
      call(context, request("GET", "kv/" + path_of(prefix) + "?recurse&consistent")));
  if (answer.status == 404) return std::vector<consul::Item>();
  if (answer.status != 200) return refused(answer, "listing keys");
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(answer.body));
  return consul::items_from(value);
}

Result<std::optional<uint64_t>> ConsulClient::commit(const CallContext& context,
                                                     const std::vector<consul::Step>& steps) {
  ARROW_ASSIGN_OR_RAISE(
      const HttpAnswer answer,
      call(context, request("PUT", "txn", consul::transaction_body(steps)), Kind::kOnce));
  // Missing rights are told as a step that does not hold.
  const bool denied = answer.body.find("ermission denied") != std::string::npos;
  if (answer.status == 409 && !denied) return std::optional<uint64_t>();
  if (answer.status != 200) return refused(answer, "writing");
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(answer.body));
  ARROW_ASSIGN_OR_RAISE(const uint64_t index, consul::written_from(value));
  return std::optional(index);
}

Result<std::string> ConsulClient::agent_name(const CallContext& context) {
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, call(context, request("GET", "agent/self")));
  if (answer.status != 200) return refused(answer, "asking the agent for its name");
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(answer.body));
  return consul::agent_name_from(value);
}

Result<std::string> ConsulClient::make_session(const CallContext& context,
                                               const consul::Session& session) {
  ARROW_ASSIGN_OR_RAISE(
      const HttpAnswer answer,
      call(context, request("PUT", "session/create", consul::session_body(session))));
  if (answer.status != 200) return refused(answer, "making a session");
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(answer.body));
  return consul::session_from(value);
}

Status ConsulClient::end_session(const CallContext& context, std::string_view id) {
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer,
                        call(context, request("PUT", "session/destroy/" + std::string(id))));
  return answer.status == 200 ? Status::OK() : refused(answer, "ending a session");
}

}  // namespace cenote::store
