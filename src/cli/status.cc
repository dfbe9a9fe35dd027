// `cenote status`: one health check of each pool, side by side; a cluster as its coordinator sees
// it.
#include <algorithm>
#include <array>
#include <cstdio>
#include <future>
#include <iterator>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/cluster_report.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/own_node.h"
#include "cli/pretty.h"
#include "cli/target.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "frame/print.h"
#include "manager/failover_group.h"

namespace cenote::cli {
namespace {

struct Report {
  PoolStatus status;
  Status check;
  Duration took{};
};

constexpr Duration kOwnNode = std::chrono::seconds(1);

double milliseconds(Duration value) {
  return std::chrono::duration<double, std::milli>(value).count();
}

std::string_view role_name(Role role) {
  return role == Role::kPrimary ? "primary" : role == Role::kReplica ? "replica" : "unknown";
}

// What one check tells: a single failure is enough here, where the checker of a running pool waits
// for more.
std::string verdict(const Report& report) {
  if (report.check.ok()) return "up";
  if (!report.status.authorised) return "unauthorised";
  return report.status.overloaded ? "overloaded" : "down";
}

Report examine(const PoolConfig& config, const CallContext& context) {
  Report report;
  report.status.id = config.id;
  report.status.type = config.type;
  Result<std::shared_ptr<LocalPool>> pool = open_for_command(config);
  if (!pool.ok()) {
    report.check = pool.status();
    return report;
  }
  const TimePoint begin = Clock::now();
  report.check = (*pool)->health_check(context);
  report.took = Clock::now() - begin;
  report.status = (*pool)->get_status();
  return report;
}

nlohmann::ordered_json as_json(const std::vector<Report>& reports) {
  auto all = nlohmann::ordered_json::array();
  for (const Report& report : reports) {
    const PoolStatus& status = report.status;
    nlohmann::ordered_json one{{"pool_id", status.id},
                               {"type", status.type},
                               {"endpoint", status.endpoint},
                               {"health", verdict(report)},
                               {"role", role_name(status.role)},
                               {"read_only", status.read_only},
                               {"check_ms", milliseconds(report.took)},
                               {"max_connections", status.max},
                               {"error", nullptr}};
    if (status.lag) one["lag_ms"] = status.lag->count();
    if (!report.check.ok()) one["error"] = report.check.message();
    all.push_back(std::move(one));
  }
  return all;
}

std::string as_table(const std::vector<Report>& reports) {
  std::vector<std::vector<std::string>> rows;
  for (const Report& report : reports) {
    const PoolStatus& status = report.status;
    std::array<char, 32> took{};
    std::snprintf(took.data(), took.size(), "%.1f ms", milliseconds(report.took));
    rows.push_back({status.id, status.type, status.endpoint, verdict(report),
                    std::string(role_name(status.role)) + (status.read_only ? ", read-only" : ""),
                    took.data(), std::to_string(status.max)});
  }
  return print_texts({"pool", "type", "endpoint", "health", "role", "check", "max"}, rows,
                     terminal_width());
}

struct StatusCommand {
  Target target;
  ClusterOptions cluster;
  std::string format = "table";
  std::string timeout = "5s";

  int run();

 private:
  Result<std::vector<PoolConfig>> pools_to_check(DeploymentConfig deployment) const;
  std::vector<Report> check(std::vector<PoolConfig> pools, Duration limit,
                            const CallContext& context) const;
  int print_cluster(const DeploymentConfig& config, const std::vector<Report>& pools,
                    const std::stop_token& stop) const;
  int worst(const std::vector<Report>& reports, int code) const;
};

Result<std::vector<PoolConfig>> StatusCommand::pools_to_check(DeploymentConfig deployment) const {
  if (target.url.empty() && !target.pool.empty()) {
    ARROW_ASSIGN_OR_RAISE(PoolConfig one, target.chosen());
    deployment.pools = {std::move(one)};
  }
  std::vector<PoolConfig> pools;
  for (PoolConfig& pool : deployment.pools) {
    if (pool.endpoints.empty()) {
      pools.push_back(std::move(pool));
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(std::vector<PoolConfig> each, pools_of_endpoints(pool));
    std::move(each.begin(), each.end(), std::back_inserter(pools));
  }
  return pools;
}

std::vector<Report> StatusCommand::check(std::vector<PoolConfig> pools, Duration limit,
                                         const CallContext& context) const {
  std::vector<std::future<Report>> checks;
  for (PoolConfig& pool : pools) {
    pool.health.timeout = limit;
    pool.pool.connect_timeout = std::min(pool.pool.connect_timeout, limit);
    checks.push_back(std::async(std::launch::async, examine, pool, context));
  }
  std::vector<Report> reports;
  for (auto& check : checks) reports.push_back(check.get());
  return reports;
}

int StatusCommand::worst(const std::vector<Report>& reports, int code) const {
  for (const Report& report : reports) {
    if (report.check.ok()) continue;
    const int worse = std::max<int>(code, exit_code(report.check));
    code = format == "json" ? worse : std::max(worse, fail(report.check));
  }
  return code;
}

int StatusCommand::print_cluster(const DeploymentConfig& config, const std::vector<Report>& pools,
                                 const std::stop_token& stop) const {
  const std::optional<Json> node = ask_own_node(config, {Deadline::in(kOwnNode), stop});
  const std::string own_line = node ? partition_line(*node) : "";
  // Cut off, the cluster cannot be asked, and the node's own word is all there is.
  const auto failed = [&](const Status& why) {
    if (format != "json" && !own_line.empty()) (void)print(own_line);
    return fail_cluster(why);
  };
  Result<Cluster> asked = Cluster::open(cluster, config, stop);
  if (!asked.ok()) return failed(asked.status());
  Result<ClusterReport> report = report_cluster(*asked);
  if (!report.ok()) return failed(report.status());
  if (node && node->contains("cluster")) {
    report->json["this_node"] = nlohmann::ordered_json::parse((*node)["cluster"].dump());
  }
  report->text += own_line;
  const std::string own = pools.empty() ? "" : "pools of this process:\n" + as_table(pools);
  const int code = print(
      format == "json"
          ? pretty<nlohmann::ordered_json>({{"cluster", report->json}, {"pools", as_json(pools)}})
          : report->text + own);
  if (code != kOk || report->trouble.empty()) return code;
  return fail(kUnreachable, "no node that is up serves " + report->trouble +
                                "; 'cenote pools' shows where each was");
}

int StatusCommand::run() {
  const Result<Duration> limit = limit_from("--timeout", timeout);
  if (!limit.ok()) return fail(kUsage, limit.status().message());
  cluster.timeout = timeout;
  const bool asks_cluster_alone = !cluster.url.empty() && target.config.empty();
  DeploymentConfig deployment;
  if (!asks_cluster_alone) {
    Result<DeploymentConfig> read = target.deployment();
    if (!read.ok()) return fail(read.status());
    deployment = std::move(*read);
  }
  const DeploymentConfig config = deployment;
  const bool clustered = !cluster.url.empty() || deployment.mode != DeploymentMode::kStandalone;
  Result<std::vector<PoolConfig>> pools = pools_to_check(std::move(deployment));
  if (asks_cluster_alone) pools = std::vector<PoolConfig>();
  if (!pools.ok()) return fail(pools.status());
  const Interrupt interrupt;
  const std::vector<Report> reports =
      check(std::move(*pools), *limit, {Deadline::in(*limit), interrupt.token()});
  if (interrupt.happened()) return fail(ExitCode(interrupt.exit_code()), "cancelled");
  const int code = clustered
                       ? print_cluster(config, reports, interrupt.token())
                       : print(format == "json" ? pretty(as_json(reports)) : as_table(reports));
  return code == kReaderWentAway ? code : worst(reports, code);
}

}  // namespace

void add_status(CLI::App& app, Command* command) {
  auto status = std::make_shared<StatusCommand>();
  CLI::App* verb =
      app.add_subcommand("status", "Check every pool once, or a cluster, and print how it is");
  status->target.add_options(*verb);
  status->cluster.add_access(*verb);
  verb->add_option("-o,--output", status->format, "Format")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->add_option("--timeout", status->timeout, "Longest time of a check; 0: no limit")
      ->type_name("DURATION")
      ->capture_default_str();
  verb->callback([status, command] { *command = [status] { return status->run(); }; });
}

}  // namespace cenote::cli
