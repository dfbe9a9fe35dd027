// The answers have the shape of docs/openapi.json.
#include "cli/store_gateway.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <pwd.h>
#include <unistd.h>

#include "cluster/wire.h"
#include "coordinator/audit.h"
#include "coordinator/line_diff.h"
#include "discovery/service_discovery.h"
#include "manager/open_discovery.h"
#include "net/http.h"

namespace cenote::cli {
namespace {

using cluster::View;
using discovery::ConfigVersion;

constexpr std::string_view kConfig = "/v1/config/default";
constexpr uint64_t kMostVersions = 100;  // of a history: each is a call

// Takes the first list, or the first error, and ends the watch.
class OneLook final : public discovery::Watcher {
 public:
  explicit OneLook(std::stop_source stop) : stop_(std::move(stop)) {}
  View::Next list(const cluster::Snapshot& snapshot) override {
    found = snapshot;
    stop_.request_stop();
    return View::Next::kGoOn;
  }
  View::Next change(std::string_view, uint64_t, const cluster::Change&) override {
    return View::Next::kList;
  }
  View::Next bookmark(std::string_view, uint64_t, uint64_t) override { return View::Next::kGoOn; }
  void failed(const Status& why) override {
    found = why;
    stop_.request_stop();
  }

  Result<cluster::Snapshot> found = make_error(ErrorKind::kCancelled, "cancelled");

 private:
  std::stop_source stop_;
};

std::string user() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread runs
  const passwd* known = ::getpwuid(::geteuid());
  return known == nullptr ? std::to_string(::geteuid()) : known->pw_name;
}

uint64_t number_of(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The number behind "key=" in a query; 0: there is none.
uint64_t asked_for(std::string_view query, std::string_view key) {
  const size_t at = query.find(key);
  return at == std::string_view::npos ? 0 : number_of(query.substr(at + key.size()));
}

Json entry_json(const ConfigVersion& version) {
  return {{"scope", "default"},
          {"version", version.version},
          {"content", version.content},
          {"hash", sha256(version.content)},
          {"at", version.at},
          {"who", version.who},
          {"action", version.reason.empty() ? "config.put" : "config.rollback"},
          {"reason", version.reason}};
}

std::string text_of(const Json& body, const char* key) {
  const auto found = body.is_object() ? body.find(key) : body.end();
  return found != body.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Result<std::unique_ptr<StoreGateway>> StoreGateway::open(DeploymentConfig config) {
  std::unique_ptr<StoreGateway> gateway(new StoreGateway(std::move(config)));
  const DiscoveryAccess& access = gateway->config_.discovery;
  if (access.type != "static") {
    ARROW_ASSIGN_OR_RAISE(gateway->directory_, open_directory(access));
  }
  for (const std::string& endpoint : access.endpoints) {
    gateway->source_ += (gateway->source_.empty() ? "" : ", ") + endpoint;
  }
  return gateway;
}

Status StoreGateway::needs_store() const {
  return directory_ != nullptr ? Status::OK() : open_directory(config_.discovery).status();
}

Result<Json> StoreGateway::nodes(const std::stop_token& stop) const {
  ARROW_ASSIGN_OR_RAISE(const OpenedDiscovery opened, open_discovery(config_, ""));
  std::stop_source seen;
  const std::stop_callback cancelled(stop, [&] { seen.request_stop(); });
  OneLook look(seen);
  opened.service->watch(seen.get_token(), look);
  ARROW_RETURN_NOT_OK(look.found.status());
  if (directory_ == nullptr) return cluster::to_json(*look.found);
  // A node hears of it with its next renewal; to the one who asked it is done.
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> drained, directory_->drained(stop));
  for (cluster::Node& node : look.found->nodes) {
    const bool wanted =
        std::find(drained.begin(), drained.end(), node.about.node_id) != drained.end();
    if (wanted && node.state == cluster::NodeState::kUp) {
      node.state = cluster::NodeState::kDraining;
    }
  }
  return cluster::to_json(*look.found);
}

Result<Json> StoreGateway::drain(const std::stop_token& stop, std::string_view node, bool on) {
  const std::optional<std::string> id = url_decode(node);
  if (!id) return make_error(ErrorKind::kInterface, "the node's name is badly encoded");
  ARROW_RETURN_NOT_OK(directory_->set_drained(stop, *id, on, user()));
  return Json{{"node_id", *id}, {"draining", on}};
}

Result<ConfigVersion> StoreGateway::version(const std::stop_token& stop, uint64_t number) {
  if (number == 0) {
    ARROW_ASSIGN_OR_RAISE(const cluster::ConfigId head, directory_->config_head(stop));
    number = head.version;
  }
  if (number == 0) {
    return make_error(ErrorKind::kUnknownPool, "the store has no configuration yet");
  }
  return directory_->config(stop, number);
}

Result<Json> StoreGateway::history(const std::stop_token& stop) {
  ARROW_ASSIGN_OR_RAISE(const cluster::ConfigId head, directory_->config_head(stop));
  Json versions = Json::array();
  for (uint64_t at = head.version; at > 0 && head.version - at < kMostVersions; --at) {
    ARROW_ASSIGN_OR_RAISE(const ConfigVersion each, directory_->config(stop, at));
    Json entry = entry_json(each);
    entry.erase("content");
    versions.push_back(std::move(entry));
  }
  return Json{{"scope", "default"}, {"versions", std::move(versions)}};
}

Result<Json> StoreGateway::diff(const std::stop_token& stop, std::string_view query) {
  ARROW_ASSIGN_OR_RAISE(const ConfigVersion to, version(stop, asked_for(query, "to=")));
  const uint64_t from = asked_for(query, "from=");
  const uint64_t before = from != 0 ? from : to.version - 1;
  ConfigVersion old;
  if (before != 0) {
    ARROW_ASSIGN_OR_RAISE(old, directory_->config(stop, before));
  }
  return Json{{"scope", "default"},
              {"from", before},
              {"to", to.version},
              {"diff", coordinator::line_diff(old.content, to.content)}};
}

Result<Json> StoreGateway::rollout(const std::stop_token& stop) {
  ARROW_ASSIGN_OR_RAISE(const cluster::ConfigId head, directory_->config_head(stop));
  ARROW_ASSIGN_OR_RAISE(const discovery::Listing listing, directory_->list(stop));
  Json nodes = Json::object();
  size_t there = 0;
  size_t have_it = 0;
  for (const discovery::Entry& entry : listing.entries) {
    if (!entry.alive) continue;
    if (head.version != 0 && same(entry.rejected(), head)) {
      return make_error(ErrorKind::kOperational,
                        "node '" + entry.about.node_id + "' refuses version " +
                            std::to_string(head.version) + ": " + entry.config_reason +
                            "; the nodes go back to the one before");
    }
    ++there;
    have_it += same(entry.applied(), head) ? 1 : 0;
    nodes[entry.about.node_id] = entry.config_version;
  }
  std::string reason;
  if (head.version != 0) {
    ARROW_ASSIGN_OR_RAISE(const ConfigVersion newest, directory_->config(stop, head.version));
    reason = newest.reason;
  }
  const std::string_view stage = have_it == there           ? "done"
                                 : have_it <= 1             ? "canary"
                                 : have_it * 4 <= there + 3 ? "quarter"
                                                            : "all";
  return Json{{"scope", "default"},
              {"version", head.version},
              {"stage", stage},
              {"reason", reason},
              {"nodes", std::move(nodes)}};
}

Result<Json> StoreGateway::append(const std::stop_token& stop, const cluster::ConfigId& head,
                                  std::string content, std::string reason) {
  const ConfigVersion version{head.version + 1, std::move(content), coordinator::now_text(), user(),
                              std::move(reason)};
  ARROW_ASSIGN_OR_RAISE(const bool done, directory_->append_config(stop, head, version));
  if (!done) {
    return make_error(ErrorKind::kOperational,
                      "somebody else changed the configuration meanwhile; look at the difference "
                      "first");
  }
  Json entry = entry_json(version);
  entry.erase("content");
  return entry;
}

Result<Json> StoreGateway::get(const std::stop_token& stop, std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  const std::string_view query = target.substr(path.size());
  if (path == "/v1/nodes") return nodes(stop);
  // Renewals are not counted in the store.
  if (path == "/v1/summary") return Json{{"heartbeat_seq", Json::object()}};
  ARROW_RETURN_NOT_OK(needs_store());
  if (path == "/v1/rollouts/default") return rollout(stop);
  if (path.starts_with(kConfig)) {
    const std::string_view rest = path.substr(kConfig.size());
    constexpr std::string_view kVersions = "/versions/";
    if (rest == "/history") return history(stop);
    if (rest == "/diff") return diff(stop, query);
    if (rest.empty() || rest.starts_with(kVersions)) {
      const uint64_t number = rest.empty() ? 0 : number_of(rest.substr(kVersions.size()));
      ARROW_ASSIGN_OR_RAISE(const ConfigVersion found, version(stop, number));
      return entry_json(found);
    }
  }
  return make_error(ErrorKind::kNotSupported,
                    "this needs a coordinator; the cluster meets in a store (mode distributed)");
}

Result<Json> StoreGateway::change(const std::stop_token& stop, std::string_view method,
                                  std::string_view target, const Json& body,
                                  const std::string& if_match) {
  ARROW_RETURN_NOT_OK(needs_store());
  const std::string content = text_of(body, "content");
  if (target == std::string(kConfig) + "/validate") {
    ARROW_RETURN_NOT_OK(check_config(content, "configuration"));
    return Json{{"valid", true}};
  }
  if (target == kConfig && method == "PUT") {
    ARROW_RETURN_NOT_OK(check_config(content, "configuration"));
    std::string_view tag = if_match;
    if (tag.starts_with('"')) tag.remove_prefix(1);
    return append(stop, {number_of(tag)}, content, "");
  }
  if (target == std::string(kConfig) + "/rollback") {
    const auto to = body.find("to");
    const bool named = body.is_object() && to != body.end() && to->is_number_unsigned();
    ARROW_ASSIGN_OR_RAISE(const cluster::ConfigId head, directory_->config_head(stop));
    const uint64_t before = head.version - std::min<uint64_t>(head.version, 1);
    const uint64_t wanted = named ? to->get<uint64_t>() : before;
    if (wanted == 0 || wanted >= head.version) {
      return make_error(ErrorKind::kOperational, "there is no such older version to go back to");
    }
    ARROW_ASSIGN_OR_RAISE(const ConfigVersion old, version(stop, wanted));
    return append(stop, head, old.content, "back to version " + std::to_string(wanted));
  }
  for (const bool on : {true, false}) {
    constexpr std::string_view kNodes = "/v1/nodes/";
    const std::string_view ending = on ? "/drain" : "/undrain";
    if (method != "POST" || !target.starts_with(kNodes) || !target.ends_with(ending)) continue;
    std::string_view node = target.substr(kNodes.size());
    node.remove_suffix(ending.size());
    return drain(stop, node, on);
  }
  return make_error(ErrorKind::kNotSupported,
                    "this needs a coordinator; the cluster meets in a store (mode distributed)");
}

}  // namespace cenote::cli
