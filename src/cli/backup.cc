// `cenote backup FILE`: the coordinator's state, of one moment, while it runs.
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <CLI/CLI.hpp>

#include "cli/cluster.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/verbs.h"
#include "node/state_files.h"

namespace cenote::cli {
namespace {

struct BackupCommand {
  ClusterOptions cluster;
  std::string file;

  int run() const;
};

int BackupCommand::run() const {
  const std::filesystem::path path = std::filesystem::absolute(file);
  std::error_code ignored;
  if (!std::filesystem::is_directory(path.parent_path(), ignored)) {
    return fail(kUsage, "there is no folder '" + path.parent_path().string() + "'");
  }
  const Interrupt interrupt;
  Result<Cluster> asked = Cluster::open(cluster, interrupt.token());
  if (!asked.ok()) return fail_cluster(asked.status());
  const Result<std::string> state = asked->bytes("POST", "/v1/backup");
  if (!state.ok()) return fail_cluster(state.status());
  if (!node::write_whole(path, *state)) {
    return fail(kQueryFailed, "'" + path.string() +
                                  "' cannot be written: " + std::generic_category().message(errno));
  }
  return print("the state of " + asked->url() + " is in " + file + " (" +
               std::to_string(state->size()) + " bytes)\n");
}

}  // namespace

void add_backup(CLI::App& app, Command* command) {
  auto backup = std::make_shared<BackupCommand>();
  CLI::App* verb = app.add_subcommand(
      "backup", "Save the coordinator's state (configuration, tokens, audit log) while it runs");
  verb->add_option("file", backup->file, "Where to; for this user alone, and only when it is whole")
      ->type_name("FILE")
      ->required();
  backup->cluster.add_options(*verb);
  verb->callback([backup, command] { *command = [backup] { return backup->run(); }; });
}

}  // namespace cenote::cli
