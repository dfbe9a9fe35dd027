// The YAML reader: structure and places here, values by the table of schema.h. yaml-cpp's
// exceptions end in parse_config.
#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include <yaml-cpp/yaml.h>

#include "cenote/config.h"

#include "config/schema.h"
#include "config/value.h"

namespace cenote {
namespace {

constexpr size_t kMostBytes = 1 << 20;

std::string place(const std::string& name, const YAML::Mark& mark) {
  if (mark.is_null()) return name;
  return name + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
}

// Reads one file; each method names the place in its errors.
class Reader {
 public:
  explicit Reader(std::string name) : name_(std::move(name)) {}

  Result<DeploymentConfig> read(const YAML::Node& root) {
    DeploymentConfig config;
    ARROW_RETURN_NOT_OK(check_map(root, "the file", {"deployment"}));
    const YAML::Node deployment = root["deployment"];
    if (!deployment) return error(root, "", "key 'deployment' is missing at the top of the file");
    ARROW_RETURN_NOT_OK(check_map(deployment, "deployment",
                                  {"mode", "pools", "metrics", "failover", "node", "coordinator",
                                   "discovery", "load_balancer", "partition"}));
    ARROW_RETURN_NOT_OK(read_mode(deployment["mode"], &config.mode));
    if (config.mode != DeploymentMode::kStandalone)
      return config;  // the other modes read their own keys
    for (const char* key : {"node", "coordinator", "discovery", "load_balancer", "partition"}) {
      if (deployment[key]) {
        return error(deployment[key], key, "belongs to another mode; remove it or set the mode");
      }
    }
    ARROW_RETURN_NOT_OK(read_failover(deployment["failover"]));
    ARROW_RETURN_NOT_OK(read_metrics(deployment["metrics"], &config.metrics));
    ARROW_RETURN_NOT_OK(read_pools(deployment["pools"], &config.pools));
    return config;
  }

 private:
  Status error(const YAML::Node& node, std::string_view key, const std::string& what) const {
    const std::string subject = key.empty() ? "" : "key '" + std::string(key) + "': ";
    return make_error(ErrorKind::kConfig, place(name_, node.Mark()) + ": " + subject + what);
  }

  // A map whose keys are known and appear once.
  Status check_map(const YAML::Node& node, std::string_view what,
                   const std::vector<std::string_view>& known) const {
    if (!node.IsMap())
      return error(node, "", std::string(what) + " must be a map of keys to values");
    std::set<std::string> seen;
    for (const auto& pair : node) {
      if (!pair.first.IsScalar()) return error(pair.first, "", "a key must be a word");
      const std::string& key = pair.first.Scalar();
      if (!seen.insert(key).second) return error(pair.first, key, "is given twice");
      if (!known.empty() && std::find(known.begin(), known.end(), key) == known.end()) {
        return error(pair.first, key, "is unknown in " + std::string(what) + suggest(key, known));
      }
    }
    return Status::OK();
  }

  Result<std::string> scalar(const YAML::Node& node, std::string_view key) const {
    if (!node.IsScalar()) return error(node, key, "must be a single value");
    Result<std::string> value = resolve_references(node.Scalar());
    if (!value.ok()) return error(node, key, value.status().message());
    return value;
  }

  Status read_mode(const YAML::Node& node, DeploymentMode* mode) const {
    if (!node) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const std::string text, scalar(node, "mode"));
    for (const DeploymentMode each : {DeploymentMode::kStandalone, DeploymentMode::kCoordinated,
                                      DeploymentMode::kFullDistributed}) {
      if (text == to_string(each)) {
        *mode = each;
        return Status::OK();
      }
    }
    return error(node, "mode",
                 "'" + text + "' is no mode; write standalone, coordinated or distributed");
  }

  Status read_failover(const YAML::Node& node) const {
    if (!node) return Status::OK();
    ARROW_RETURN_NOT_OK(check_map(node, "failover", {"strategy"}));
    ARROW_ASSIGN_OR_RAISE(const std::string strategy, scalar(node["strategy"], "strategy"));
    if (strategy != "local_only") {
      return error(node, "strategy",
                   "standalone mode of this version knows local_only, not '" + strategy + "'");
    }
    return Status::OK();
  }

  Status read_metrics(const YAML::Node& node, MetricsOptions* metrics) const {
    if (!node) return Status::OK();
    ARROW_RETURN_NOT_OK(check_map(node, "metrics", {"export_interval"}));
    if (const YAML::Node interval = node["export_interval"]) {
      ARROW_ASSIGN_OR_RAISE(const std::string text, scalar(interval, "export_interval"));
      const Result<Duration> value = parse_duration(text);
      if (!value.ok()) return error(interval, "export_interval", value.status().message());
      metrics->export_interval = *value;
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
      if (!ids.insert(pool.id).second)
        return error(each, "id", "'" + pool.id + "' is given to two pools");
      pools->push_back(std::move(pool));
    }
    return Status::OK();
  }

  Status read_pool(const YAML::Node& node, PoolConfig* pool) const {
    ARROW_RETURN_NOT_OK(check_map(node, "a pool", {"id", "type", "config", "pool", "health"}));
    for (const char* key : {"id", "type", "config"}) {
      if (!node[key]) return error(node, key, "is missing in this pool");
    }
    ARROW_ASSIGN_OR_RAISE(pool->id, scalar(node["id"], "id"));
    if (pool->id.empty()) return error(node["id"], "id", "must not be empty");
    ARROW_ASSIGN_OR_RAISE(pool->type, scalar(node["type"], "type"));
    const Result<const Driver*> driver = find_driver(pool->type);
    if (!driver.ok()) return error(node["type"], "type", driver.status().message());
    ARROW_RETURN_NOT_OK(read_section(node["pool"], "pool", pool_keys(), pool));
    ARROW_RETURN_NOT_OK(read_section(node["health"], "health", health_keys(), pool));
    ARROW_RETURN_NOT_OK(read_driver_config(node["config"], (*driver)->traits(), pool));
    if (pool->pool.min_connections > pool->pool.max_connections) {
      return error(node, "min_connections", "is greater than max_connections");
    }
    return Status::OK();
  }

  Status read_section(const YAML::Node& node, std::string_view what, std::span<const KeyRow> rows,
                      PoolConfig* pool) const {
    if (!node) return Status::OK();
    std::vector<std::string_view> known;
    for (const KeyRow& row : rows) known.push_back(row.name);
    ARROW_RETURN_NOT_OK(check_map(node, what, known));
    for (const auto& pair : node) {
      ARROW_RETURN_NOT_OK(
          set(*find_key(rows, pair.first.Scalar()), pair.first.Scalar(), pair.second, pool));
    }
    return Status::OK();
  }

  Status set(const KeyRow& row, const std::string& key, const YAML::Node& node,
             PoolConfig* pool) const {
    ARROW_ASSIGN_OR_RAISE(const std::string text, scalar(node, key));
    const Status status = row.set(*pool, text);
    return status.ok() ? status : error(node, key, status.message());
  }

  Status read_driver_config(const YAML::Node& node, const DriverTraits& traits,
                            PoolConfig* pool) const {
    ARROW_RETURN_NOT_OK(check_map(node, "config", {}));
    for (const auto& pair : node) {
      const std::string& key = pair.first.Scalar();
      const bool own = std::any_of(traits.options.begin(), traits.options.end(),
                                   [&](const OptionSpec& spec) { return spec.name == key; });
      const KeyRow* original = own ? nullptr : find_original(key);
      if (original != nullptr) {
        ARROW_RETURN_NOT_OK(set(*original, key, pair.second, pool));
      } else if (own || !is_ignored_original(key)) {
        ARROW_ASSIGN_OR_RAISE(pool->config[key], scalar(pair.second, key));
        // One key at a time, so that the error has the key's own place.
        const DriverConfig one{{key, pool->config[key]}};
        const Status status = check_driver_config(traits, one);
        if (!status.ok() && status.message().find("is missing") == std::string::npos) {
          return error(pair.second, "", status.message());
        }
      }
    }
    const Status status = check_driver_config(traits, pool->config);
    return status.ok() ? status : error(node, "", status.message());
  }

  const std::string name_;
};

}  // namespace

std::string_view to_string(DeploymentMode mode) {
  static constexpr std::array<std::string_view, 3> kNames = {"standalone", "coordinated",
                                                             "distributed"};
  return kNames.at(static_cast<size_t>(mode));
}

Result<DeploymentConfig> parse_config(std::string_view yaml, std::string_view name) {
  if (yaml.size() > kMostBytes) {
    return make_error(ErrorKind::kConfig,
                      std::string(name) + ": larger than 1 MiB; is it the right file?");
  }
  try {
    return Reader(std::string(name)).read(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception& error) {
    return make_error(ErrorKind::kConfig, place(std::string(name), error.mark) + ": " + error.msg);
  }
}

Result<DeploymentConfig> load_config(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf())) {
    return make_error(ErrorKind::kConfig,
                      "the configuration file '" + file.string() +
                          "' cannot be read; check the path and its permissions");
  }
  return parse_config(std::move(text).str(), file.string());
}

}  // namespace cenote
