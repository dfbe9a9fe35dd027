// `cenote node -c node.yaml`: serves the pools of a configuration to others until it is told to
// stop.
#include "node/node.h"

#include <cstdio>
#include <cstdlib>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "cli/exit_code.h"
#include "cli/verbs.h"

namespace cenote::cli {
namespace {

// The pools of the file as it is now; on an error those of before go on.
void reload(node::Node& node, const std::string& file) {
  // The same signal is the operator's word after a partition, where it waits for one.
  if (node.manager().recover().ok()) log(LogLevel::kInfo, "node", "told to recover");
  Result<DeploymentConfig> config = load_config(file);
  const Status status = config.ok() ? node.reload(std::move(*config)) : config.status();
  if (status.ok()) {
    log(LogLevel::kInfo, "node", "reloaded " + file);
  } else {
    log(LogLevel::kError, "node", "not reloaded: " + status.message());
  }
}

int serve(const std::string& file) {
  // gRPC's own log repeats what its errors say; who wants it sets the variable.
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread runs yet
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  node::Node::block_signals();
  Result<DeploymentConfig> config = load_config(file);
  if (!config.ok()) return fail(config.status());
  Result<std::unique_ptr<node::Node>> node = node::Node::start(std::move(*config));
  if (!node.ok()) return fail(node.status());
  std::printf("%s\n", (*node)->location().c_str());
  std::fflush(stdout);
  (*node)->run_until_signal([&] { reload(**node, file); });
  return kOk;
}

}  // namespace

void add_node(CLI::App& app, Command* command) {
  CLI::App* node = app.add_subcommand(
      "node",
      "Serve the pools over Arrow Flight SQL and print where; SIGTERM lets work end, then stops; "
      "SIGHUP takes the file's pools as they are now");
  auto file = std::make_shared<std::string>("cenote.yaml");
  node->add_option("-c,--config", *file, "Configuration file; see its section server")
      ->type_name("FILE")
      ->capture_default_str();
  node->callback([file, command] { *command = [file] { return serve(*file); }; });
}

}  // namespace cenote::cli
