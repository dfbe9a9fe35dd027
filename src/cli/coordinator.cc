// `cenote coordinator`: keeps the registry and the configuration of a cluster until it is told to
// stop.
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <sys/resource.h>

#include "cenote/config.h"

#include "base/log.h"
#include "cli/exit_code.h"
#include "cli/verbs.h"
#include "coordinator/elected.h"
#include "coordinator/server.h"

namespace cenote::cli {
namespace {

struct Asked {
  std::string file;    // empty: the defaults
  std::string listen;  // empty: as the file says
  std::string state;
};

Result<CoordinatorServerOptions> options_of(const Asked& asked) {
  CoordinatorServerOptions options;
  if (!asked.file.empty()) {
    ARROW_ASSIGN_OR_RAISE(const DeploymentConfig config, load_config(asked.file));
    options = config.coordinator_server;
  }
  if (!asked.listen.empty()) options.listen = asked.listen;
  if (!asked.state.empty()) options.state = asked.state;
  return options;
}

// Each node and each client holds connections open; the usual soft limit is 1,024.
void allow_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Until a signal ends it; SIGHUP reads the file anew.
template <typename Server>
int serve_until_signal(Server& server, const Asked& asked, const sigset_t& awaited) {
  std::printf("%s\n", server.url().c_str());
  std::fflush(stdout);
  for (int signal = 0; ::sigwait(&awaited, &signal) == 0 && signal == SIGHUP;) {
    const Result<CoordinatorServerOptions> options = options_of(asked);
    const Status reloaded = options.ok() ? server.reload(*options) : options.status();
    log(reloaded.ok() ? LogLevel::kInfo : LogLevel::kError, "coordinator",
        reloaded.ok() ? "tokens and certificates were read anew"
                      : "nothing was changed: " + reloaded.message());
  }
  return kOk;
}

int serve(const Asked& asked) {
  sigset_t awaited;
  ::sigemptyset(&awaited);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&awaited, signal);
  ::pthread_sigmask(SIG_BLOCK, &awaited, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  allow_many_files();
  const Result<CoordinatorServerOptions> options = options_of(asked);
  if (!options.ok()) return fail(options.status());
  if (!options->store.type.empty()) {
    const auto elected = coordinator::ElectedCoordinator::start(*options);
    return elected.ok() ? serve_until_signal(**elected, asked, awaited) : fail(elected.status());
  }
  const auto server = coordinator::CoordinatorServer::start(*options);
  return server.ok() ? serve_until_signal(**server, asked, awaited) : fail(server.status());
}

}  // namespace

void add_coordinator(CLI::App& app, Command* command) {
  CLI::App* verb = app.add_subcommand(
      "coordinator",
      "Keep the registry and the configuration of a cluster, and print where; SIGHUP reads tokens "
      "and certificates anew, SIGTERM ends it");
  auto asked = std::make_shared<Asked>();
  verb->add_option("-c,--config", asked->file, "Configuration file; see its section coordinator")
      ->type_name("FILE");
  verb->add_option("--listen", asked->listen, "Address and port [127.0.0.1:8080]")
      ->type_name("HOST:PORT");
  verb->add_option("--state", asked->state, "Where the state is kept [coordinator.db]")
      ->type_name("FILE");
  verb->callback([asked, command] { *command = [asked] { return serve(*asked); }; });
}

}  // namespace cenote::cli
