// One question to the admin endpoint.
#include "cli/own_node.h"

#include "net/http_client.h"

namespace cenote::cli {
namespace {

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::optional<Json> ask_own_node(const DeploymentConfig& config, const CallContext& context) {
  const std::string& listen = config.server.admin.listen;
  if (listen.empty() || listen.ends_with(":0")) return std::nullopt;
  HttpClientOptions options;
  options.url = "http://" + listen;
  const auto client = HttpClient::make(std::move(options));
  if (!client.ok()) return std::nullopt;
  const auto answer = (*client)->send(context, {"GET", "/api/v1/status", {}, ""});
  if (!answer.ok() || answer->status != 200) return std::nullopt;
  Result<Json> status = parse_json(answer->body);
  if (!status.ok() || !status->is_object()) return std::nullopt;
  return std::move(*status);
}

std::string partition_line(const Json& status) {
  const auto cluster = status.find("cluster");
  if (cluster == status.end() || !cluster->is_object()) return "";
  const auto partition = cluster->find("partition");
  if (partition == cluster->end() || !partition->is_object()) return "";
  std::string line = "this node (" + text_of(status, "node_id") + "): ";
  line += text_of(*partition, "state");
  const auto since = partition->find("since_ms");
  if (since != partition->end() && since->is_number_integer()) {
    line += " for " + std::to_string(since->get<int64_t>() / 1000) + " s";
  }
  const std::string cause = text_of(*partition, "cause");
  if (!cause.empty()) line += ", " + cause + ": " + text_of(*partition, "reason");
  return line + "\n";
}

}  // namespace cenote::cli
