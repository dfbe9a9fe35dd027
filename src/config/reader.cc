// The YAML reader: structure and places here, values by the table of schema.h. yaml-cpp's
// exceptions end in parse_config.
#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "cenote/config.h"

#include "base/clip.h"
#include "config/schema.h"
#include "frame/utf8.h"

namespace cenote {
namespace {

constexpr size_t kMostBytes = 1 << 20;

std::string place(const std::string& name, const YAML::Mark& mark) {
  if (mark.is_null()) return name;
  return name + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
}

// Hears of the documents of a file and forgets them.
class Silence final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { begin_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnAlias(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnScalar(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                const std::string& /*value*/) override {}
  void OnSequenceStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/,
                       YAML::anchor_t /*anchor*/, YAML::EmitterStyle::value /*style*/) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {}
  void OnMapEnd() override {}

  const YAML::Mark& begin() const { return begin_; }  // of the last document

 private:
  YAML::Mark begin_;
};

// Throws YAML::Exception. Not YAML::LoadAll: yaml-cpp 0.7 finds documents in ",oo[" without end,
// and YAML::Load ignores all but the first.
Status check_one_document(const std::string& yaml, const std::string& name) {
  std::istringstream stream(yaml);
  YAML::Parser parser(stream);
  Silence events;
  if (!parser.HandleNextDocument(events)) {
    return make_error(ErrorKind::kConfig, name + ": is empty; it must begin with 'deployment:'");
  }
  if (!parser.HandleNextDocument(events)) return Status::OK();
  return make_error(ErrorKind::kConfig,
                    place(name, events.begin()) + ": a second document; one file holds one");
}

// yaml-cpp complains of something else than the tab that caused it.
std::string hint_of_tab(std::string_view yaml, const YAML::Mark& mark) {
  if (mark.is_null()) return "";
  for (int line = 0; line < mark.line; ++line) {
    yaml.remove_prefix(std::min(yaml.find('\n'), yaml.size() - 1) + 1);
  }
  const std::string_view indent = yaml.substr(0, yaml.find_first_not_of(" \t"));
  const bool tab = indent.find('\t') != std::string_view::npos;
  return tab ? "; the line begins with a tab, and YAML indents with spaces" : "";
}

// Keys of a file are shown, but not pages of them.
std::string shortened(const std::string& text) {
  constexpr size_t kMost = 80;
  return text.size() <= kMost ? text : std::string(clipped(text, kMost)) + "…";
}

// yaml-cpp takes such bytes as they are, and nobody would know how a password in Latin-1 was meant.
Status check_utf8(std::string_view yaml, const std::string& name) {
  YAML::Mark mark = YAML::Mark::null_mark();
  mark.line = mark.column = 0;
  for (size_t at = 0; at < yaml.size();) {
    const bool ends_line = yaml[at] == '\n';
    if (next_code_point(yaml, &at) == kBadCodePoint) {
      return make_error(ErrorKind::kConfig,
                        place(name, mark) + ": a byte that is no UTF-8; save the file as UTF-8");
    }
    mark.line += ends_line ? 1 : 0;
    mark.column = ends_line ? 0 : mark.column + 1;
  }
  return Status::OK();
}

// Whether a value of that key is, or holds, a password.
bool holds_secret(std::string_view key, std::string_view value) {
  if (value.empty()) return false;
  if (key == "password" || key == "token" || key == "secret") return true;
  std::string lower(value);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const bool named =
      lower.find("password=") != std::string::npos || lower.find("pwd=") != std::string::npos;
  if (key == "connection_string") return named;
  if (key != "uri") return false;
  // scheme://user:password@host
  const size_t user = lower.find("://");
  const size_t at = lower.rfind('@');
  const size_t colon = user == std::string::npos ? user : lower.find(':', user + 3);
  return named || (at != std::string::npos && colon < at);
}

// A value, and how messages may call it: what came from a reference may be a secret.
struct Value {
  std::string text;
  std::string shown;
  bool quotable = true;
  bool pending = false;  // a reference that was not resolved
};

// Reads one file; each method names the place in its errors.
class Reader {
 public:
  // `resolve`: references are read; else the values that have one are not looked at.
  Reader(std::string name, bool resolve) : name_(std::move(name)), resolve_(resolve) {}

  Result<DeploymentConfig> read(const YAML::Node& root) {
    DeploymentConfig config;
    ARROW_RETURN_NOT_OK(check_map(root, "the file", {"deployment", "server", "coordinator"}));
    ARROW_RETURN_NOT_OK(read_coordinator(root["coordinator"], &config));
    const YAML::Node deployment = root["deployment"];
    if (!deployment && root["coordinator"] && !root["server"]) return config;
    if (!deployment) return error(root, "deployment", "is missing at the top of the file");
    std::vector<std::string_view> known = {"mode", "pools"};
    for (const Section& section : deployment_sections()) known.push_back(section.name);
    ARROW_RETURN_NOT_OK(check_map(deployment, "deployment", known));
    ARROW_RETURN_NOT_OK(read_mode(deployment["mode"], &config.mode));
    for (const Section& section : deployment_sections()) {
      ARROW_RETURN_NOT_OK(read_section(deployment[std::string(section.name)], section, &config));
    }
    if (deployment["failover"]) {
      ARROW_ASSIGN_OR_RAISE(config.failover, read_failover(deployment["failover"]));
    }
    ARROW_RETURN_NOT_OK(read_pools(deployment["pools"], &config.pools));
    ARROW_RETURN_NOT_OK(check_failovers(deployment, config));
    ARROW_RETURN_NOT_OK(read_server(root["server"], &config));
    ARROW_RETURN_NOT_OK(check_cluster(deployment, config));
    return config;
  }

 private:
  Status error(const YAML::Node& node, std::string_view key, const std::string& what) const {
    const std::string subject = key.empty() ? "" : "key '" + shortened(std::string(key)) + "': ";
    return make_error(ErrorKind::kConfig, place(name_, node.Mark()) + ": " + subject + what);
  }

  // A map whose keys are words and appear once; with `known` given, only those.
  Status check_map(const YAML::Node& node, std::string_view what,
                   const std::vector<std::string_view>& known) const {
    if (!node.IsMap())
      return error(node, "", std::string(what) + " must be a map of keys to values");
    std::set<std::string> seen;
    for (const auto& pair : node) {
      if (!pair.first.IsScalar()) return error(pair.first, "", "a key must be a word");
      const std::string& key = pair.first.Scalar();
      if (!seen.insert(key).second) return error(pair.first, key, "is given twice");
      if (key == "<<") {
        return error(pair.first, key,
                     "merging is not supported; a whole section may be an alias, as pool: *name");
      }
      if (!known.empty() && std::find(known.begin(), known.end(), key) == known.end()) {
        return error(pair.first, key, "is unknown in " + std::string(what) + suggest(key, known));
      }
    }
    return Status::OK();
  }

  Result<Value> scalar(const YAML::Node& node, std::string_view key, bool is_path = false) const {
    if (!node.IsScalar()) return error(node, key, "must be a single value");
    const std::string& raw = node.Scalar();
    if (!resolve_ && has_reference(raw, is_path)) {
      return Value{raw, "the value of " + shortened(raw), false, true};
    }
    Result<std::string> text = resolve_references(raw, is_path);
    if (!text.ok()) return error(node, key, text.status().message());
    if (text->find('\0') != std::string::npos) return error(node, key, "has a zero byte");
    if (!resolve_ && holds_secret(key, raw)) {
      return error(node, key,
                   "has a secret in plain text, and every version is kept and shown; write a "
                   "reference that the nodes resolve, as ${env:NAME} or ${file:PATH}");
    }
    const bool quotable = !has_reference(raw, is_path);
    return Value{std::move(*text),
                 quotable ? "'" + shortened(raw) + "'" : "the value of " + shortened(raw),
                 quotable};
  }

  template <typename Target>
  Status read_key(const KeyRow<Target>& row, std::string_view key, const YAML::Node& node,
                  Target* target) const {
    if (row.rule.kind == ValueRule::Kind::kTexts) {
      if (!node.IsSequence()) return error(node, key, "must be a list: [a, b]");
      for (const YAML::Node& each : node) ARROW_RETURN_NOT_OK(scalar(each, key).status());
      return Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(const Value value, scalar(node, key));
    if (value.pending) return Status::OK();
    const Status status = check_value(row.rule, value.text, value.shown);
    if (!status.ok()) return error(node, key, status.message());
    if (row.store) row.store(*target, value.text);
    return Status::OK();
  }

  template <typename Target>
  Status read_keys(const YAML::Node& node, std::span<const KeyRow<Target>> rows,
                   Target* target) const {
    for (const KeyRow<Target>& row : rows) {
      const YAML::Node value = node[std::string(row.name)];
      if (value) ARROW_RETURN_NOT_OK(read_key(row, row.name, value, target));
    }
    return Status::OK();
  }

  Status read_section(const YAML::Node& node, const Section& section,
                      DeploymentConfig* config) const {
    if (!node) return Status::OK();
    std::vector<std::string_view> known;
    for (const DeploymentKey& row : section.keys) known.push_back(row.name);
    for (const Section& inner : section.sections) known.push_back(inner.name);
    if (!section.list.empty()) known.push_back(section.list);
    ARROW_RETURN_NOT_OK(check_map(node, section.name, known));
    ARROW_RETURN_NOT_OK(read_keys(node, section.keys, config));
    for (const Section& inner : section.sections) {
      ARROW_RETURN_NOT_OK(read_section(node[std::string(inner.name)], inner, config));
    }
    return Status::OK();
  }

  Status read_mode(const YAML::Node& node, DeploymentMode* mode) const {
    if (!node) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const Value value, scalar(node, "mode"));
    for (const DeploymentMode each : {DeploymentMode::kStandalone, DeploymentMode::kCoordinated,
                                      DeploymentMode::kFullDistributed}) {
      if (value.text == to_string(each)) {
        *mode = each;
        return Status::OK();
      }
    }
    return error(node, "mode",
                 value.shown + " is no mode; write standalone, coordinated or distributed");
  }

  Status check_cluster(const YAML::Node& deployment, const DeploymentConfig& config) const {
    if (config.mode == DeploymentMode::kFullDistributed &&
        (config.discovery.type.empty() || config.discovery.endpoints.empty())) {
      return error(deployment["mode"], "mode",
                   "'distributed' needs a store or a list; write "
                   "discovery: {type: consul, endpoint: \"consul:8500\"}");
    }
    if (config.mode == DeploymentMode::kCoordinated && config.coordinator.endpoints.empty()) {
      return error(deployment["mode"], "mode",
                   "'coordinated' needs a coordinator; write "
                   "coordinator: {endpoint: \"http://coordinator:8080\"}");
    }
    for (const auto& [name, tls] :
         {std::pair{"coordinator", &config.coordinator.tls},
          std::pair{"discovery", &config.discovery.tls}, std::pair{"remote", &config.remote.tls}}) {
      if (tls->certificate.empty() == tls->key.empty()) continue;
      return error(deployment[name], name, "needs both a certificate and its key");
    }
    return Status::OK();
  }

  // Of the deployment or of a pool; its keys have been checked.
  Result<FailoverStrategy> read_failover(const YAML::Node& node) const {
    if (!node["strategy"]) return error(node, "strategy", "is missing in failover");
    ARROW_ASSIGN_OR_RAISE(const Value strategy, scalar(node["strategy"], "strategy"));
    std::map<std::string, std::string, std::less<>> given;
    std::vector<std::string> pools;
    for (const auto& pair : node) {
      const std::string& key = pair.first.Scalar();
      if (key == "pools") {
        for (const YAML::Node& each : pair.second) {
          ARROW_ASSIGN_OR_RAISE(Value id, scalar(each, key));
          pools.push_back(std::move(id.text));
        }
      } else {
        ARROW_ASSIGN_OR_RAISE(Value value, scalar(pair.second, key));
        if (!value.pending) given[key] = std::move(value.text);
      }
    }
    return make_strategy(strategy.text, given, std::move(pools));
  }

  // That each pool of a strategy is there; a pool with endpoints needs none to be named.
  Status check_failover(const YAML::Node& node, const FailoverStrategy& strategy,
                        const DeploymentConfig& config, const PoolConfig* owner) const {
    const std::vector<PoolConfig>& pools = config.pools;
    const bool endpoints = owner != nullptr && !owner->endpoints.empty();
    std::vector<std::pair<const char*, std::string>> names;
    if (const auto* standby = std::get_if<ActiveStandby>(&strategy)) {
      names = {{"primary", standby->primary}, {"backup", standby->backup}};
      if (!endpoints && standby->primary == standby->backup && !standby->primary.empty()) {
        return error(node["backup"], "backup", "is the primary; name another pool");
      }
    } else if (const auto* balanced = std::get_if<LoadBalanced>(&strategy)) {
      for (const std::string& id : balanced->pools) names.emplace_back("pools", id);
      if (names.empty()) names.emplace_back("pools", "");
    }
    for (const auto& [key, id] : names) {
      if (endpoints) {
        if (!id.empty()) {
          return error(node[key], key, "is of no use in a pool with endpoints; leave it out");
        }
        continue;
      }
      if (id.empty()) return error(node, key, "is missing in failover");
      std::string known;
      const auto found = std::find_if(pools.begin(), pools.end(), [&](const PoolConfig& each) {
        if (each.endpoints.empty()) known += (known.empty() ? "" : ", ") + shortened(each.id);
        return each.id == id && each.endpoints.empty();
      });
      // Elsewhere than in mode standalone it may be a pool of nodes.
      if (found != pools.end() || !resolve_ || config.mode != DeploymentMode::kStandalone) continue;
      return error(node[key], key,
                   "names no pool of this file that has one endpoint; " +
                       (known.empty() ? "there is none" : "there are: " + known));
    }
    return Status::OK();
  }

  Status check_failovers(const YAML::Node& deployment, const DeploymentConfig& config) const {
    const YAML::Node& own = deployment["failover"];
    if (own) ARROW_RETURN_NOT_OK(check_failover(own, config.failover, config, nullptr));
    for (size_t i = 0; i < config.pools.size(); ++i) {
      const PoolConfig& pool = config.pools[i];
      if (!pool.failover) continue;
      ARROW_RETURN_NOT_OK(
          check_failover(deployment["pools"][i]["failover"], *pool.failover, config, &pool));
    }
    return Status::OK();
  }

  Status read_server(const YAML::Node& node, DeploymentConfig* config) const {
    if (!node) return Status::OK();
    ARROW_RETURN_NOT_OK(read_section(node, server_section(), config));
    const TlsFiles& tls = config->server.flight.tls;
    if (tls.certificate.empty() != tls.key.empty() ||
        (tls.certificate.empty() && !tls.client_ca.empty())) {
      return error(node["flight"]["tls"], "tls", "needs both a certificate and its key");
    }
    const YAML::Node users = node["users"];
    if (!users) return Status::OK();
    if (!users.IsSequence()) return error(users, "users", "must be a list: - name: …");
    for (const YAML::Node& each : users) {
      ServerUser user;
      ARROW_RETURN_NOT_OK(read_user(each, &user));
      for (const ServerUser& other : config->server.users) {
        if (other.name != user.name) continue;
        return error(each["name"], "name", "'" + shortened(user.name) + "' is given to two users");
      }
      config->server.users.push_back(std::move(user));
    }
    return Status::OK();
  }

  Status read_coordinator(const YAML::Node& node, DeploymentConfig* config) const {
    if (!node) return Status::OK();
    ARROW_RETURN_NOT_OK(read_section(node, coordinator_section(), config));
    CoordinatorServerOptions& options = config->coordinator_server;
    if (options.tls.certificate.empty() != options.tls.key.empty() ||
        (options.tls.certificate.empty() && !options.tls.client_ca.empty())) {
      return error(node["tls"], "tls", "needs both a certificate and its key");
    }
    if (options.store.tls.certificate.empty() != options.store.tls.key.empty()) {
      return error(node["store"], "store", "needs both a certificate and its key");
    }
    if (node["store"] && (options.store.type.empty() || options.store.endpoints.empty())) {
      return error(node["store"], "store",
                   "needs a type and an endpoint; write store: {type: etcd, endpoint: "
                   "\"etcd:2379\"}");
    }
    if (options.suspect_after >= options.dead_after) {
      return error(node, "suspect_after", "must be shorter than dead_after");
    }
    const YAML::Node tokens = node["tokens"];
    if (!tokens) return Status::OK();
    if (!tokens.IsSequence()) return error(tokens, "tokens", "must be a list: - name: …");
    std::set<std::string> names;
    for (const YAML::Node& each : tokens) {
      CoordinatorToken token;
      std::vector<std::string_view> known;
      for (const KeyRow<CoordinatorToken>& row : token_keys()) known.push_back(row.name);
      ARROW_RETURN_NOT_OK(check_map(each, "a token", known));
      for (const char* key : {"name", "token", "role"}) {
        if (!each[key]) return error(each, key, "is missing in this token");
      }
      ARROW_RETURN_NOT_OK(read_keys(each, token_keys(), &token));
      if (!names.insert(token.name).second && resolve_) {
        return error(each["name"], "name", "'" + shortened(token.name) + "' is given to two");
      }
      options.tokens.push_back(std::move(token));
    }
    return Status::OK();
  }

  Status read_user(const YAML::Node& node, ServerUser* user) const {
    std::vector<std::string_view> known;
    for (const KeyRow<ServerUser>& row : user_keys()) known.push_back(row.name);
    ARROW_RETURN_NOT_OK(check_map(node, "a user", known));
    ARROW_RETURN_NOT_OK(read_keys(node, user_keys(), user));
    if (user->name.empty()) return error(node, "name", "is missing in this user");
    const bool pending = !resolve_ && node["password"];
    if (user->password.empty() && !pending) {
      return error(node, "password", "is missing in this user");
    }
    for (const YAML::Node& pool : node["pools"]) {
      ARROW_ASSIGN_OR_RAISE(Value id, scalar(pool, "pools"));
      user->pools.push_back(std::move(id.text));
    }
    return Status::OK();
  }

  Status read_pools(const YAML::Node& node, std::vector<PoolConfig>* pools) const {
    if (!node) return Status::OK();
    if (!node.IsSequence()) return error(node, "pools", "must be a list: - id: …");
    std::set<std::string> ids;
    for (const YAML::Node& each : node) {
      PoolConfig pool;
      ARROW_RETURN_NOT_OK(read_pool(each, &pool));
      if (!ids.insert(pool.id).second) {
        return error(each["id"], "id", "'" + shortened(pool.id) + "' is given to two pools");
      }
      pools->push_back(std::move(pool));
    }
    return Status::OK();
  }

  Status read_pool(const YAML::Node& node, PoolConfig* pool) const {
    ARROW_RETURN_NOT_OK(
        check_map(node, "a pool", {"id", "type", "config", "pool", "health", "failover"}));
    for (const char* key : {"id", "type", "config"}) {
      if (!node[key]) return error(node, key, "is missing in this pool");
    }
    ARROW_ASSIGN_OR_RAISE(const Value id, scalar(node["id"], "id"));
    if (id.text.empty()) return error(node["id"], "id", "must not be empty");
    pool->id = id.text;
    ARROW_ASSIGN_OR_RAISE(const Value type, scalar(node["type"], "type"));
    pool->type = type.text;
    const Result<const Driver*> driver = find_driver(pool->type);
    if (!driver.ok()) {
      return error(node["type"], "type",
                   type.quotable ? driver.status().message() : type.shown + " is no database type");
    }
    DeploymentConfig unused;
    ARROW_RETURN_NOT_OK(read_section(node["failover"], failover_section(), &unused));
    if (node["failover"]) {
      ARROW_ASSIGN_OR_RAISE(pool->failover, read_failover(node["failover"]));
    }
    // Before the sections, so that those win over the original's flat keys.
    ARROW_RETURN_NOT_OK(read_driver_config(node["config"], (*driver)->traits(), pool));
    ARROW_RETURN_NOT_OK(read_part(node["pool"], "pool", pool_keys(), pool));
    ARROW_RETURN_NOT_OK(read_part(node["health"], "health", health_keys(), pool));
    if (pool->pool.min_connections > pool->pool.max_connections) {
      return error(node, "min_connections", "is greater than max_connections");
    }
    return Status::OK();
  }

  Status read_part(const YAML::Node& node, std::string_view what, std::span<const PoolKey> rows,
                   PoolConfig* pool) const {
    if (!node) return Status::OK();
    std::vector<std::string_view> known;
    for (const PoolKey& row : rows) known.push_back(row.name);
    ARROW_RETURN_NOT_OK(check_map(node, what, known));
    return read_keys(node, rows, pool);
  }

  Status read_endpoints(const YAML::Node& node, const DriverTraits& traits,
                        PoolConfig* pool) const {
    if (!node.IsSequence())
      return error(node, "endpoints", "must be a list: [host:port, host:port]");
    bool pending = false;
    for (const YAML::Node& each : node) {
      ARROW_ASSIGN_OR_RAISE(Value value, scalar(each, "endpoints"));
      pending = pending || value.pending;
      pool->endpoints.push_back(std::move(value.text));
    }
    const Status status = pending ? Status::OK() : check_endpoints(traits, pool->endpoints);
    return status.ok() ? status : error(node, "endpoints", status.message());
  }

  Status read_driver_config(const YAML::Node& node, const DriverTraits& traits,
                            PoolConfig* pool) const {
    ARROW_RETURN_NOT_OK(check_map(node, "config", {}));
    std::vector<std::string_view> originals;
    for (const std::span<const PoolKey> rows : {pool_keys(), health_keys()}) {
      for (const PoolKey& row : rows) {
        if (!row.original.empty()) originals.push_back(row.original);
      }
    }
    for (const auto& pair : node) {
      const std::string& key = pair.first.Scalar();
      if (key == "endpoints" && has_endpoints(traits)) {
        ARROW_RETURN_NOT_OK(read_endpoints(pair.second, traits, pool));
        continue;
      }
      const OptionSpec* own = find_option(traits, key);
      if (own != nullptr) {
        const bool is_path = own->type == OptionType::kPath;
        ARROW_ASSIGN_OR_RAISE(const Value value, scalar(pair.second, key, is_path));
        const Status status = value.pending
                                  ? Status::OK()
                                  : check_driver_key(traits, key, value.text, value.shown, {});
        if (!status.ok()) return error(pair.second, key, status.message());
        pool->config[key] = value.text;
      } else if (const PoolKey* original = find_original(key)) {
        ARROW_RETURN_NOT_OK(read_key(*original, key, pair.second, pool));
      } else if (!is_ignored_original(key)) {
        return error(pair.first, key, check_driver_key(traits, key, {}, {}, originals).message());
      }
    }
    const Status status = check_required(traits, pool->config);
    return status.ok() ? status : error(node, "", status.message());
  }

  const std::string name_;
  const bool resolve_;
};

Result<DeploymentConfig> read_yaml(std::string_view yaml, const std::string& name, bool resolve) {
  if (yaml.size() > kMostBytes) {
    return make_error(ErrorKind::kConfig, name + ": larger than 1 MiB; is it the right file?");
  }
  ARROW_RETURN_NOT_OK(check_utf8(yaml, name));
  try {
    const std::string text(yaml);
    ARROW_RETURN_NOT_OK(check_one_document(text, name));
    return Reader(name, resolve).read(YAML::Load(text));
  } catch (const YAML::Exception& error) {
    return make_error(ErrorKind::kConfig,
                      place(name, error.mark) + ": " + error.msg + hint_of_tab(yaml, error.mark));
  }
}

}  // namespace

std::string_view to_string(DeploymentMode mode) {
  static constexpr std::array<std::string_view, 3> kNames = {"standalone", "coordinated",
                                                             "distributed"};
  return kNames.at(static_cast<size_t>(mode));
}

Result<DeploymentConfig> parse_config(std::string_view yaml, std::string_view name) {
  return read_yaml(yaml, std::string(name), true);
}

Status check_config(std::string_view yaml, std::string_view name) {
  return read_yaml(yaml, std::string(name), false).status();
}

Result<DeploymentConfig> load_config(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  // One byte more than allowed tells a file that is too large, or endless.
  std::string text(kMostBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream.is_open() || stream.bad()) {
    return make_error(ErrorKind::kConfig,
                      "the configuration file '" + file.string() +
                          "' cannot be read; check the path and its permissions");
  }
  text.resize(static_cast<size_t>(stream.gcount()));
  return parse_config(text, file.string());
}

}  // namespace cenote
