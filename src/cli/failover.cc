// `cenote failover`: send a pool's calls to another target, by the record that all processes of a
// mode distributed follow.
#include <condition_variable>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "cenote/manager.h"

#include "base/json.h"
#include "base/mutex.h"
#include "cli/cluster.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/pretty.h"
#include "cli/target.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "frame/print.h"

namespace cenote::cli {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(50);

struct FailoverCommand {
  Target target;
  std::string to;
  bool dry_run = false;
  std::string timeout = "5s";
  std::string format = "text";

  int run();

 private:
  // Of the one that -p names, or the only one.
  Result<FailoverStatus> chosen(const DistributedPoolManager& manager) const;
  // The same, once each target was checked and the store was asked, or the time is over.
  Result<FailoverStatus> seen(const DistributedPoolManager& manager, Deadline deadline,
                              const std::stop_token& stop) const;
  int report(const FailoverStatus& before, const Result<std::string>& got) const;
};

std::string mode_refusal(const DeploymentConfig& config) {
  const std::string where = config.mode == DeploymentMode::kFullDistributed
                                ? "with discovery.type static"
                            : config.mode == DeploymentMode::kCoordinated ? "in mode coordinated"
                                                                          : "in mode standalone";
  return where +
         " each process decides for itself, by its own checks, and this command cannot reach into "
         "another: call DistributedPoolManager::failover() there (Python: "
         "DatabasePool.failover()), or use "
         "mode distributed with Consul or etcd, whose processes follow one record. After a "
         "promotion nothing is to be done: calls follow within one check";
}

Result<FailoverStatus> FailoverCommand::chosen(const DistributedPoolManager& manager) const {
  std::vector<FailoverStatus> all = manager.failover_status();
  if (target.pool.empty() && all.size() == 1) return std::move(all.front());
  std::string known;
  for (FailoverStatus& each : all) {
    if (each.id == target.pool) return std::move(each);
    known += (known.empty() ? "" : ", ") + each.id;
  }
  if (target.pool.empty() && !known.empty()) {
    return make_error(ErrorKind::kUnknownPool, "which pool? choose one with -p: " + known);
  }
  return make_error(ErrorKind::kUnknownPool,
                    known.empty() ? "the configuration has no failover strategy: give a pool "
                                    "endpoints, or write a failover: section"
                                  : "no failover strategy stands for a pool '" + target.pool +
                                        "'; there are: " + known);
}

Result<FailoverStatus> FailoverCommand::seen(const DistributedPoolManager& manager,
                                             Deadline deadline, const std::stop_token& stop) const {
  Mutex mutex;
  std::condition_variable_any never;
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(FailoverStatus status, chosen(manager));
    bool ready = status.state != "starting" && status.store_error.empty();
    for (const auto& each : status.targets) ready = ready && each.state != "unknown";
    if (ready || deadline.passed()) return status;
    Lock lock(mutex);
    never.wait_until(lock, stop, Deadline::in(kLook).sooner(deadline).at(), [] { return false; });
    if (stop.stop_requested()) return make_error(ErrorKind::kCancelled, "cancelled");
  }
}

int FailoverCommand::report(const FailoverStatus& before, const Result<std::string>& got) const {
  if (format == "json") {
    Json targets = Json::array();
    for (const auto& each : before.targets) {
      targets.push_back({{"target", each.name}, {"state", each.state}, {"error", each.error}});
    }
    Json json{{"pool_id", before.id},  {"store", before.store}, {"epoch", before.epoch},
              {"from", before.active}, {"to", nullptr},         {"dry_run", dry_run},
              {"targets", targets},    {"error", nullptr}};
    if (got.ok()) json["to"] = *got;
    if (!got.ok()) json["error"] = got.status().message();
    const int code = print(pretty(json));
    return code != kOk || got.ok() ? code : fail(got.status());
  }
  if (dry_run) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& each : before.targets) {
      rows.push_back(
          {each.name, each.state, each.name == before.active ? "active" : "", each.error});
    }
    const int code =
        print(print_texts({"target", "state", "calls", "error"}, rows, terminal_width()));
    if (code != kOk) return code;
  }
  if (!got.ok()) return fail(got.status());
  const std::string what = "pool '" + before.id + "', " + before.store + ": ";
  if (dry_run) {
    return print(what + "would switch from '" + before.active + "' to '" + *got + "' by epoch " +
                 std::to_string(before.epoch + 1) + "\n");
  }
  return print(what + "switched from '" + before.active + "' to '" + *got + "' by epoch " +
               std::to_string(before.epoch + 1) + "; every process follows within 2 s\n");
}

int FailoverCommand::run() {
  const Result<Duration> limit = limit_from("--timeout", timeout);
  if (!limit.ok()) return fail(kUsage, limit.status().message());
  Result<DeploymentConfig> config = target.deployment();
  if (!config.ok()) return fail(config.status());
  if (config->mode != DeploymentMode::kFullDistributed || config->discovery.type == "static") {
    return fail(kUsage, "nothing was switched: " + mode_refusal(*config));
  }
  const Interrupt interrupt;
  config->metrics.prometheus_listen.clear();
  for (PoolConfig& pool : config->pools) pool.pool.min_connections = 0;
  auto manager = DistributedPoolManager::open(std::move(*config));
  if (!manager.ok()) return fail(manager.status());
  Result<FailoverStatus> before = seen(**manager, Deadline::in(*limit), interrupt.token());
  if (interrupt.happened()) return fail(ExitCode(interrupt.exit_code()), "cancelled");
  if (!before.ok()) return fail(before.status());
  if (!before->store_error.empty()) {
    return fail(kUnreachable, "nothing was switched: " + before->store +
                                  " does not answer: " + before->store_error);
  }
  return report(*before, (*manager)->failover(before->id, to, dry_run));
}

}  // namespace

void add_failover(CLI::App& app, Command* command) {
  auto failover = std::make_shared<FailoverCommand>();
  CLI::App* verb =
      app.add_subcommand("failover", "Send a pool's calls to another target that could take over");
  verb->add_option("-c,--config", failover->target.config,
                   "Configuration file; cenote.yaml here if not given")
      ->type_name("FILE");
  verb->add_option("-p,--pool", failover->target.pool,
                   "Pool with a failover strategy; needed where there are several")
      ->type_name("ID");
  verb->add_option("--to", failover->to, "Target; by default the best other one")
      ->type_name("TARGET");
  verb->add_flag("--dry-run", failover->dry_run, "Only say what would happen, or why not");
  verb->add_option("-o,--output", failover->format, "Format")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  verb->add_option("--timeout", failover->timeout,
                   "Longest wait for the checks of all targets; 0: no limit")
      ->type_name("DURATION")
      ->capture_default_str();
  verb->callback([failover, command] { *command = [failover] { return failover->run(); }; });
}

}  // namespace cenote::cli
