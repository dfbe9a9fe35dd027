// Parses, then runs the verb. CLI11's exceptions end here.
#include "cli/app.h"

#include <string>

#include <CLI/CLI.hpp>
#include <arrow/config.h>

#include "cenote/driver.h"

#include "cli/exit_code.h"
#include "cli/verbs.h"

namespace cenote::cli {
namespace {

std::string version() {
  std::string text = "cenote " CENOTE_VERSION "\nArrow " + arrow::GetBuildInfo().version_string;
  for (const Driver* driver : drivers()) {
    text += "\n" + std::string(driver->traits().name);
    if (!driver->traits().library.empty()) {
      text += " (" + std::string(driver->traits().library) + ")";
    }
  }
  return text;
}

// The verb that the arguments got to, for the hint at its help.
std::string named(const CLI::App& app) {
  std::string name = app.get_name();
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    name += " " + at->get_name();
  }
  return name;
}

}  // namespace

int run(int argc, const char* const* argv) {
  CLI::App app("SQL in, Arrow data frames out, through a connection pool.", "cenote");
  app.set_version_flag("--version", version);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 all well, 1 the query or the change failed, 2 wrong usage, 3 wrong\n"
      "configuration, 4 the database or the coordinator cannot be reached, 5 it was not done in\n"
      "time, 130 interrupted, 141 the reader of the output went away.");
  Command command;
  add_query(app, &command);
  add_status(app, &command);
  add_members(app, &command);
  add_pools(app, &command);
  add_drain(app, &command);
  add_undrain(app, &command);
  add_failover(app, &command);
  add_backup(app, &command);
  add_dev(app, &command);
  add_config(app, &command);
  add_bench(app, &command);
  add_node(app, &command);
  add_coordinator(app, &command);
  add_completion(app, &command);
  if (argc <= 1) {
    std::fputs(app.help().c_str(), stderr);
    return kUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return fail(kUsage, std::string(error.what()) + "; see '" + named(app) + " --help'");
  }
  return command();
}

}  // namespace cenote::cli
