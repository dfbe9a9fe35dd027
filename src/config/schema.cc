// The table, and the JSON Schema made of it.
#include "config/schema.h"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "config/value.h"

namespace cenote {
namespace {

using Setter = std::function<Status(PoolConfig&, std::string_view)>;

template <typename Options>
Setter duration(Options PoolConfig::* part, Duration Options::* field) {
  return [=](PoolConfig& config, std::string_view text) {
    return parse_duration(text).Value(&(config.*part.*field));
  };
}

template <typename Options>
Setter integer(Options PoolConfig::* part, int Options::* field, int least) {
  return [=](PoolConfig& config, std::string_view text) -> Status {
    ARROW_ASSIGN_OR_RAISE(const int64_t value, parse_integer(text));
    constexpr int64_t kMost = 100'000;
    if (value < least || value > kMost) {
      return make_error(ErrorKind::kConfig, "must be from " + std::to_string(least) +
                                                " to 100000, not " + std::to_string(value));
    }
    config.*part.*field = static_cast<int>(value);
    return Status::OK();
  };
}

Setter fraction(double PoolOptions::* field) {
  return [=](PoolConfig& config, std::string_view text) -> Status {
    ARROW_ASSIGN_OR_RAISE(const double value, parse_number(text));
    if (value < 0 || value > 0.5) {
      return make_error(ErrorKind::kConfig, "must be a fraction from 0 to 0.5, as 0.1");
    }
    config.pool.*field = value;
    return Status::OK();
  };
}

const std::vector<KeyRow>& pool_rows() {
  using enum OptionType;
  static const auto kPool = &PoolConfig::pool;
  static const std::vector<KeyRow> rows = {
      {"max_connections", kInteger, "Most connections, closing ones counted too.",
       integer(kPool, &PoolOptions::max_connections, 1), "max_connections"},
      {"min_connections", kInteger, "Connections kept open.",
       integer(kPool, &PoolOptions::min_connections, 0), "min_connections"},
      {"max_readers", kInteger,
       "Most readers where the database has a read lane (SQLite); 0: its own default.",
       integer(kPool, &PoolOptions::max_readers, 0), ""},
      {"max_connecting", kInteger, "Connects under way at once.",
       integer(kPool, &PoolOptions::max_connecting, 1), ""},
      {"max_waiting", kInteger, "Callers that may wait; 0: no limit.",
       integer(kPool, &PoolOptions::max_waiting, 0), ""},
      {"acquire_timeout", kDuration, "Longest wait for a connection.",
       duration(kPool, &PoolOptions::acquire_timeout), "acquire_timeout"},
      {"connect_timeout", kDuration, "Longest time to open a connection.",
       duration(kPool, &PoolOptions::connect_timeout), ""},
      {"query_timeout", kDuration, "Longest time of a statement; 0: none.",
       duration(kPool, &PoolOptions::query_timeout), ""},
      {"idle_timeout", kDuration, "Idle connections close after this; 0: never.",
       duration(kPool, &PoolOptions::idle_timeout), "idle_timeout"},
      {"max_lifetime", kDuration, "Connections close after this, less the jitter; 0: never.",
       duration(kPool, &PoolOptions::max_lifetime), "max_lifetime"},
      {"lifetime_jitter", kString, "Random fraction taken off each lifetime.",
       fraction(&PoolOptions::lifetime_jitter), ""},
      {"validate_after_idle", kDuration, "A connection idle for longer is validated before use.",
       duration(kPool, &PoolOptions::validate_after_idle), ""},
      {"validation_timeout", kDuration, "Longest time of a validation.",
       duration(kPool, &PoolOptions::validation_timeout), ""},
      {"keepalive_interval", kDuration,
       "Idle connections to remote databases are probed this often; 0: never.",
       duration(kPool, &PoolOptions::keepalive_interval), ""},
      {"reset_timeout", kDuration, "Longest time to reset a session on return.",
       duration(kPool, &PoolOptions::reset_timeout), ""},
      {"leak_threshold", kDuration,
       "A connection held for longer is logged with its holder; 0: never.",
       duration(kPool, &PoolOptions::leak_threshold), ""},
      {"stream_idle_limit", kDuration, "A stream not read for this long loses its connection.",
       duration(kPool, &PoolOptions::stream_idle_limit), ""},
  };
  return rows;
}

const std::vector<KeyRow>& health_rows() {
  using enum OptionType;
  static const auto kHealth = &PoolConfig::health;
  static const std::vector<KeyRow> rows = {
      {"interval", kDuration, "Time between checks, ± 20 %; 0: no checks.",
       duration(kHealth, &HealthOptions::interval), "health_check_interval"},
      {"timeout", kDuration, "Longest time of a check.", duration(kHealth, &HealthOptions::timeout),
       ""},
      {"fall", kInteger, "Failures in a row until the verdict is down.",
       integer(kHealth, &HealthOptions::fall, 1), ""},
      {"rise", kInteger, "Successes in a row until it is up again.",
       integer(kHealth, &HealthOptions::rise, 1), ""},
  };
  return rows;
}

Status check_value(const OptionSpec& spec, const std::string& value) {
  switch (spec.type) {
    case OptionType::kInteger:
      return parse_integer(value).status();
    case OptionType::kBoolean:
      return parse_boolean(value).status();
    case OptionType::kDuration:
      return parse_duration(value).status();
    case OptionType::kEnum: {
      std::string_view choices = spec.choices;
      while (!choices.empty()) {
        const std::string_view choice = choices.substr(0, choices.find('|'));
        if (choice == value) return Status::OK();
        choices.remove_prefix(std::min(choices.size(), choice.size() + 1));
      }
      return make_error(ErrorKind::kConfig,
                        "'" + value + "' is not one of " + std::string(spec.choices));
    }
    default:
      return Status::OK();
  }
}

nlohmann::json type_schema(OptionType type, std::string_view doc) {
  nlohmann::json schema{{"description", doc}};
  const char* kReference = "^\\$\\{(env|file):.+\\}$";
  switch (type) {
    case OptionType::kInteger:
      schema["type"] = {"integer", "string"};
      break;
    case OptionType::kBoolean:
      schema["type"] = {"boolean", "string"};
      break;
    case OptionType::kDuration:
      schema["anyOf"] = {{{"type", "number"}, {"minimum", 0}},
                         {{"type", "string"}, {"pattern", "^[0-9.]+(us|ms|s|min|m|h|d)?$"}},
                         {{"type", "string"}, {"pattern", kReference}}};
      break;
    default:
      schema["type"] = {"string", "number", "boolean"};
  }
  return schema;
}

nlohmann::json section(std::span<const KeyRow> rows) {
  nlohmann::json properties = nlohmann::json::object();
  for (const KeyRow& row : rows) properties[std::string(row.name)] = type_schema(row.type, row.doc);
  return {{"type", "object"}, {"additionalProperties", false}, {"properties", properties}};
}

}  // namespace

std::span<const KeyRow> pool_keys() {
  return pool_rows();
}
std::span<const KeyRow> health_keys() {
  return health_rows();
}

const KeyRow* find_key(std::span<const KeyRow> rows, std::string_view name) {
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&](const KeyRow& each) { return each.name == name; });
  return row == rows.end() ? nullptr : &*row;
}

const KeyRow* find_original(std::string_view name) {
  for (const std::span<const KeyRow> rows : {pool_keys(), health_keys()}) {
    for (const KeyRow& row : rows) {
      if (!row.original.empty() && row.original == name) return &row;
    }
  }
  return nullptr;
}

bool is_ignored_original(std::string_view name) {
  // Scaling is what every pool does between its limits; retries and slow-query logs belong to the
  // caller of the original.
  static constexpr std::array kIgnored = {"auto_scaling", "retry_attempts", "log_slow_queries",
                                          "log_threshold_ms"};
  return std::find(kIgnored.begin(), kIgnored.end(), name) != kIgnored.end();
}

Status check_driver_config(const DriverTraits& traits, const DriverConfig& config) {
  std::vector<std::string_view> known;
  for (const OptionSpec& spec : traits.options) known.push_back(spec.name);
  // Where keys stand side by side (a URL, the original's flat keys), a pool's may be the one that
  // was meant.
  std::vector<std::string_view> near = known;
  for (const KeyRow& row : pool_keys()) near.push_back(row.name);
  for (const auto& [key, value] : config) {
    const auto spec =
        std::find_if(traits.options.begin(), traits.options.end(),
                     [&name = key](const OptionSpec& each) { return each.name == name; });
    if (spec == traits.options.end()) {
      return make_error(ErrorKind::kConfig, "key '" + key + "': type " + std::string(traits.name) +
                                                " has no such key" + suggest(key, near));
    }
    const Status status = check_value(*spec, value);
    if (!status.ok()) {
      return make_error(ErrorKind::kConfig,
                        "key '" + key + "': " +
                            (spec->type == OptionType::kSecret ? "wrong value" : status.message()));
    }
  }
  for (const OptionSpec& spec : traits.options) {
    if (spec.required && config.find(spec.name) == config.end()) {
      return make_error(ErrorKind::kConfig, "key '" + std::string(spec.name) +
                                                "' is missing: " + std::string(spec.doc));
    }
  }
  return Status::OK();
}

std::string config_schema() {
  nlohmann::json types = nlohmann::json::array();
  nlohmann::json configs = nlohmann::json::array();
  for (const Driver* driver : drivers()) {
    const DriverTraits& traits = driver->traits();
    nlohmann::json properties = nlohmann::json::object();
    for (const OptionSpec& spec : traits.options) {
      properties[std::string(spec.name)] = type_schema(spec.type, spec.doc);
    }
    for (const std::span<const KeyRow> rows : {pool_keys(), health_keys()}) {
      for (const KeyRow& row : rows) {
        if (!row.original.empty())
          properties[std::string(row.original)] = type_schema(row.type, row.doc);
      }
    }
    types.push_back(traits.name);
    configs.push_back(
        {{"if", {{"properties", {{"type", {{"const", traits.name}}}}}}},
         {"then",
          {{"properties", {{"config", {{"type", "object"}, {"properties", properties}}}}}}}});
  }
  nlohmann::json pool{{"type", "object"},
                      {"additionalProperties", false},
                      {"required", {"id", "type", "config"}},
                      {"properties",
                       {{"id", {{"type", "string"}, {"minLength", 1}}},
                        {"type", {{"enum", types}}},
                        {"config", {{"type", "object"}}},
                        {"pool", section(pool_keys())},
                        {"health", section(health_keys())}}},
                      {"allOf", configs}};
  const nlohmann::json schema{
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "cenote"},
      {"type", "object"},
      {"required", {"deployment"}},
      {"additionalProperties", false},
      {"properties",
       {{"deployment",
         {{"type", "object"},
          {"additionalProperties", false},
          {"properties",
           {{"mode",
             {{"enum", {"standalone", "coordinated", "distributed"}}, {"default", "standalone"}}},
            {"pools", {{"type", "array"}, {"items", pool}}}}}}}}}};
  return schema.dump(2) + "\n";
}

}  // namespace cenote
