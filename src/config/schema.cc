// The rows, and what is looked up in them.
#include "config/schema.h"

#include <algorithm>
#include <array>
#include <utility>

namespace cenote {
namespace {

using Kind = ValueRule::Kind;

constexpr int64_t kMostCount = 100'000;
constexpr ValueRule kDuration{Kind::kDuration};
constexpr ValueRule kText{Kind::kText};

constexpr ValueRule from(int64_t least) {
  return {Kind::kInteger, least, kMostCount};
}

constexpr ValueRule one_of(std::string_view choices) {
  return {Kind::kChoice, 0, 0, choices};
}

// The stores below parse what has passed the rule, so that failures cannot happen.
template <typename Options>
auto duration(Options PoolConfig::* part, Duration Options::* field) {
  return [=](PoolConfig& config, std::string_view text) {
    config.*part.*field = parse_duration(text).ValueOr(config.*part.*field);
  };
}

template <typename Options>
auto integer(Options PoolConfig::* part, int Options::* field) {
  return [=](PoolConfig& config, std::string_view text) {
    config.*part.*field = static_cast<int>(parse_integer(text).ValueOr(config.*part.*field));
  };
}

const std::vector<PoolKey>& pool_rows() {
  static constexpr auto kPool = &PoolConfig::pool;
  static const std::vector<PoolKey> rows = {
      {"max_connections", from(1), "Most connections, closing ones counted too.",
       integer(kPool, &PoolOptions::max_connections), "max_connections"},
      {"min_connections", from(0), "Connections kept open.",
       integer(kPool, &PoolOptions::min_connections), "min_connections"},
      {"max_readers", from(0),
       "Most readers where the database has a read lane (SQLite); 0: its own default.",
       integer(kPool, &PoolOptions::max_readers)},
      {"max_connecting", from(1), "Connects under way at once.",
       integer(kPool, &PoolOptions::max_connecting)},
      {"max_waiting", from(0), "Callers that may wait; 0: no limit.",
       integer(kPool, &PoolOptions::max_waiting)},
      {"acquire_timeout", kDuration, "Longest wait for a connection.",
       duration(kPool, &PoolOptions::acquire_timeout), "acquire_timeout"},
      {"connect_timeout", kDuration, "Longest time to open a connection.",
       duration(kPool, &PoolOptions::connect_timeout)},
      {"query_timeout", kDuration, "Longest time of a statement; 0: none.",
       duration(kPool, &PoolOptions::query_timeout)},
      {"idle_timeout", kDuration, "Idle connections close after this; 0: never.",
       duration(kPool, &PoolOptions::idle_timeout), "idle_timeout"},
      {"max_lifetime", kDuration, "Connections close after this, less the jitter; 0: never.",
       duration(kPool, &PoolOptions::max_lifetime), "max_lifetime"},
      {"lifetime_jitter",
       {Kind::kFraction},
       "Random fraction taken off each lifetime.",
       [](PoolConfig& config, std::string_view text) {
         config.pool.lifetime_jitter = parse_number(text).ValueOr(config.pool.lifetime_jitter);
       }},
      {"validate_after_idle", kDuration, "A connection idle for longer is validated before use.",
       duration(kPool, &PoolOptions::validate_after_idle)},
      {"validation_timeout", kDuration, "Longest time of a validation.",
       duration(kPool, &PoolOptions::validation_timeout)},
      {"keepalive_interval", kDuration,
       "Idle connections to remote databases are probed this often; 0: never.",
       duration(kPool, &PoolOptions::keepalive_interval)},
      {"reset_timeout", kDuration, "Longest time to reset a session on return.",
       duration(kPool, &PoolOptions::reset_timeout)},
      {"leak_threshold", kDuration,
       "A connection held for longer is logged with its holder; 0: never.",
       duration(kPool, &PoolOptions::leak_threshold)},
      {"stream_idle_limit", kDuration, "A stream not read for this long loses its connection.",
       duration(kPool, &PoolOptions::stream_idle_limit)},
  };
  return rows;
}

const std::vector<PoolKey>& health_rows() {
  static constexpr auto kHealth = &PoolConfig::health;
  static const std::vector<PoolKey> rows = {
      {"interval", kDuration, "Time between checks, ± 20 %; 0: no checks.",
       duration(kHealth, &HealthOptions::interval), "health_check_interval"},
      {"timeout", kDuration, "Longest time of a check.",
       duration(kHealth, &HealthOptions::timeout)},
      {"fall", from(1), "Failures in a row until the verdict is down.",
       integer(kHealth, &HealthOptions::fall)},
      {"rise", from(1), "Successes in a row until it is up again.",
       integer(kHealth, &HealthOptions::rise)},
  };
  return rows;
}

const std::vector<DeploymentKey>& metrics_rows() {
  static const std::vector<DeploymentKey> rows = {
      {"export_interval", kDuration, "Time between exports of the metrics to a coordinator.",
       [](DeploymentConfig& config, std::string_view text) {
         config.metrics.export_interval =
             parse_duration(text).ValueOr(config.metrics.export_interval);
       }},
  };
  return rows;
}

const std::vector<DeploymentKey>& prometheus_rows() {
  static const std::vector<DeploymentKey> rows = {
      {"listen",
       {Kind::kAddress},
       "Address and port of /metrics and /healthz, as 127.0.0.1:9464; off without it.",
       [](DeploymentConfig& config, std::string_view text) {
         config.metrics.prometheus_listen = text;
       }},
      {"allow_remote",
       {Kind::kBoolean},
       "Needed to listen on an address that other machines reach: there is no TLS and no password.",
       [](DeploymentConfig& config, std::string_view text) {
         config.metrics.prometheus_allow_remote = parse_boolean(text).ValueOr(false);
       }},
  };
  return rows;
}

// The reader reads them itself, since a pool may have them too.
const std::vector<DeploymentKey>& failover_rows() {
  static const std::vector<DeploymentKey> rows = {
      {"strategy", one_of("local_only|active_standby|load_balanced"), "Where queries go.", {}},
      {"primary", kText, "Of active_standby: the pool used while it is up.", {}},
      {"backup", kText, "Of active_standby: the one used otherwise.", {}},
      {"switch_threshold",
       kDuration,
       "Of active_standby: how long the active target must be down until it is left; 5s.",
       {}},
      {"fail_back",
       one_of("manual|automatic"),
       "Of active_standby: how calls come back to the primary; manual.",
       {}},
      {"fail_back_after",
       kDuration,
       "Of fail_back automatic: how long the primary must be well without a break; 60s.",
       {}},
      {"hold", kDuration, "Of active_standby: how long callers wait for a switch; 10s.", {}},
      {"without_store",
       one_of("keep|hold"),
       "Of active_standby in mode distributed: whether writes go on while the store does not "
       "answer; keep.",
       {}},
      {"pools", {Kind::kTexts}, "Of load_balanced: the pools that share the load.", {}},
      {"algorithm",
       one_of(kBalanceAlgorithms),
       "Of load_balanced: how they share it; round_robin.",
       {}}};
  return rows;
}

const std::vector<Section>& sections() {
  static const std::vector<Section> in_metrics = {
      {"prometheus", "The endpoint that Prometheus scrapes.", prometheus_rows(), {}}};
  static const std::vector<Section> all = {
      {"node", "This process among the nodes.", node_keys(), {}},
      {"coordinator", "Where the coordinator of mode coordinated answers.", coordinator_keys(), {}},
      {"remote", "How this process logs in to the nodes that serve pools.", remote_keys(), {}},
      {"discovery", "Where the processes of mode distributed meet.", discovery_keys(), {}},
      {"load_balancer", "How instances are chosen.", load_balancer_keys(), {}},
      {"failover", "What happens when a database is down.", failover_rows(), {}},
      {"partition", "What happens when the cluster is out of reach.", partition_keys(), {}},
      {"metrics", "How metrics leave the process.", metrics_rows(), in_metrics}};
  return all;
}

}  // namespace

std::span<const PoolKey> pool_keys() {
  return pool_rows();
}
std::span<const PoolKey> health_keys() {
  return health_rows();
}
std::span<const Section> deployment_sections() {
  return sections();
}
const Section& failover_section() {
  return *std::find_if(sections().begin(), sections().end(),
                       [](const Section& each) { return each.name == "failover"; });
}

const PoolKey* find_key(std::span<const PoolKey> rows, std::string_view name) {
  const auto row = std::find_if(rows.begin(), rows.end(),
                                [&](const PoolKey& each) { return each.name == name; });
  return row == rows.end() ? nullptr : &*row;
}

const PoolKey* find_original(std::string_view name) {
  for (const std::span<const PoolKey> rows : {pool_keys(), health_keys()}) {
    for (const PoolKey& row : rows) {
      if (!row.original.empty() && row.original == name) return &row;
    }
  }
  return nullptr;
}

std::span<const std::string_view> ignored_originals() {
  // Scaling is what every pool does between its limits; retries and slow-query logs belong to the
  // caller of the original.
  static constexpr std::array<std::string_view, 4> kIgnored = {
      "auto_scaling", "retry_attempts", "log_slow_queries", "log_threshold_ms"};
  return kIgnored;
}

bool is_ignored_original(std::string_view name) {
  const auto all = ignored_originals();
  return std::find(all.begin(), all.end(), name) != all.end();
}

ValueRule rule_of(const OptionSpec& option) {
  switch (option.type) {
    case OptionType::kInteger:
      if (option.name == "port") return {Kind::kInteger, 1, 65'535};
      return {Kind::kInteger, INT32_MIN, int64_t{1} << 53};
    case OptionType::kBoolean:
      return {Kind::kBoolean};
    case OptionType::kDuration:
      return kDuration;
    case OptionType::kEnum:
      return one_of(option.choices);
    default:
      return kText;
  }
}

const OptionSpec* find_option(const DriverTraits& traits, std::string_view name) {
  const auto option = std::find_if(traits.options.begin(), traits.options.end(),
                                   [name](const OptionSpec& each) { return each.name == name; });
  return option == traits.options.end() ? nullptr : &*option;
}

bool has_endpoints(const DriverTraits& traits) {
  return find_option(traits, "host") != nullptr && find_option(traits, "port") != nullptr;
}

Status check_endpoints(const DriverTraits& traits, const std::vector<std::string>& endpoints) {
  const auto bad = [](const std::string& what) { return make_error(ErrorKind::kConfig, what); };
  if (!has_endpoints(traits)) {
    return bad("type " + std::string(traits.name) + " has no hosts, so no endpoints either");
  }
  if (endpoints.empty()) return bad("must name a server at least: [host:port, host:port]");
  for (auto each = endpoints.begin(); each != endpoints.end(); ++each) {
    const size_t colon = each->rfind(':');
    const std::string port = colon == std::string::npos ? "1" : each->substr(colon + 1);
    const Result<int64_t> number = parse_integer(port);
    const bool bracketed = each->ends_with(']');
    if (each->empty() || colon == 0 || each->find_first_of("@/ ") != std::string::npos ||
        (!bracketed && (!number.ok() || *number < 1 || *number > 65'535))) {
      return bad("must be host or host:port, without a name or password");
    }
    if (std::find(endpoints.begin(), each, *each) != each) {
      return bad("'" + *each + "' is given twice");
    }
  }
  return Status::OK();
}

Status check_driver_key(const DriverTraits& traits, std::string_view key, std::string_view value,
                        std::string_view shown, const std::vector<std::string_view>& near) {
  const OptionSpec* option = find_option(traits, key);
  if (option == nullptr) {
    std::vector<std::string_view> known;
    for (const OptionSpec& each : traits.options) known.push_back(each.name);
    return make_error(ErrorKind::kConfig, "type " + std::string(traits.name) + " has no such key" +
                                              suggest(key, known, near));
  }
  return check_value(rule_of(*option), value,
                     option->type == OptionType::kSecret ? "the value" : shown);
}

Status check_required(const DriverTraits& traits, const DriverConfig& config) {
  for (const OptionSpec& option : traits.options) {
    if (option.required && config.find(option.name) == config.end()) {
      return make_error(ErrorKind::kConfig, "key '" + std::string(option.name) +
                                                "' is missing: " + std::string(option.doc));
    }
  }
  return Status::OK();
}

Status check_driver_config(const DriverTraits& traits, const DriverConfig& config,
                           const std::vector<std::string_view>& near) {
  for (const auto& [key, value] : config) {
    const Status status = check_driver_key(traits, key, value, "'" + value + "'", near);
    if (!status.ok()) {
      return make_error(ErrorKind::kConfig, "key '" + key + "': " + status.message());
    }
  }
  return check_required(traits, config);
}

}  // namespace cenote
