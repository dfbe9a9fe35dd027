// `cenote status`: one health check of each pool, side by side.
#include <algorithm>
#include <array>
#include <cstdio>
#include <future>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "config/value.h"
#include "frame/print.h"

namespace cenote::cli {
namespace {

struct Report {
  PoolStatus status;
  Status check;
  Duration took{};
};

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

std::string as_json(const std::vector<Report>& reports) {
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
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
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
  std::string format = "table";
  std::string timeout = "5s";

  int run() const;
};

int StatusCommand::run() const {
  const Result<Duration> limit = parse_duration(timeout);
  if (!limit.ok()) return fail(kUsage, "--timeout: " + limit.status().message());
  Result<std::vector<PoolConfig>> pools = target.pools();
  if (!pools.ok()) return fail(pools.status());
  if (target.url.empty() && !target.pool.empty()) {
    Result<PoolConfig> one = target.chosen();
    if (!one.ok()) return fail(one.status());
    *pools = {std::move(*one)};
  }
  const Interrupt interrupt;
  const CallContext context{Deadline::in(*limit), interrupt.token()};
  std::vector<std::future<Report>> checks;
  for (PoolConfig& pool : *pools) {
    pool.health.timeout = *limit;
    pool.pool.connect_timeout = std::min(pool.pool.connect_timeout, *limit);
    checks.push_back(std::async(std::launch::async, examine, pool, context));
  }
  std::vector<Report> reports;
  for (auto& check : checks) reports.push_back(check.get());
  if (interrupt.happened()) return fail(ExitCode(interrupt.exit_code()), "cancelled");

  FdStream out(STDOUT_FILENO, "standard output", false);
  const Status written = out.Write(format == "json" ? as_json(reports) : as_table(reports));
  if (out.reader_went_away()) return kReaderWentAway;
  if (!written.ok()) return fail(written);
  int code = kOk;
  for (const Report& report : reports) {
    if (report.check.ok()) continue;
    const int worst = std::max<int>(code, exit_code(report.check));
    code = format == "json" ? worst : std::max(worst, fail(report.check));
  }
  return code;
}

}  // namespace

void add_status(CLI::App& app, Command* command) {
  auto status = std::make_shared<StatusCommand>();
  CLI::App* verb = app.add_subcommand("status", "Check every pool once and print how it is");
  status->target.add_options(*verb);
  verb->add_option("-o,--output", status->format, "Format")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->add_option("--timeout", status->timeout, "Longest time of a check")
      ->type_name("DURATION")
      ->capture_default_str();
  verb->callback([status, command] { *command = [status] { return status->run(); }; });
}

}  // namespace cenote::cli
