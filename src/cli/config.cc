// `cenote config validate` and `cenote config schema`; the verbs on versions are in
// config_versions.cc.
#include "cenote/config.h"

#include <cstdio>

#include <CLI/CLI.hpp>

#include "cli/exit_code.h"
#include "cli/verbs.h"

namespace cenote::cli {
namespace {

int validate(const std::string& file) {
  const Result<DeploymentConfig> config = load_config(file);
  if (!config.ok()) return fail(config.status());
  std::printf("%s: valid; mode %s, %zu pool%s", file.c_str(),
              std::string(to_string(config->mode)).c_str(), config->pools.size(),
              config->pools.size() == 1 ? "" : "s");
  const char* between = ": ";
  for (const PoolConfig& pool : config->pools) {
    std::printf("%s%s (%s)", between, pool.id.c_str(), pool.type.c_str());
    between = ", ";
  }
  std::printf("\n");
  return kOk;
}

}  // namespace

void add_config(CLI::App& app, Command* command) {
  CLI::App* config = app.add_subcommand(
      "config", "Check a configuration file, describe them all, or manage a cluster's");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand(
      "validate",
      "Read a configuration file, its ${env:…} and ${file:…} too; exit code 3 if it is wrong");
  auto file = std::make_shared<std::string>("cenote.yaml");
  check->add_option("-c,--config,file", *file, "Configuration file")
      ->type_name("FILE")
      ->capture_default_str();
  check->callback([file, command] { *command = [file] { return validate(*file); }; });
  CLI::App* schema =
      config->add_subcommand("schema", "Print the JSON Schema of the file, for editors");
  schema->callback([command] {
    *command = [] {
      std::fputs(config_schema().c_str(), stdout);
      return int{kOk};
    };
  });
  add_config_versions(*config, command);
}

}  // namespace cenote::cli
