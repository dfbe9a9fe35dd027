// The verbs. Each has a file of its own, which adds its subcommand; parsing sets what is to run.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace cenote::cli {

// What the parsed command line asks for; returns the exit code.
using Command = std::function<int()>;

void add_query(CLI::App& app, Command* command);
void add_status(CLI::App& app, Command* command);
void add_config(CLI::App& app, Command* command);
// The verbs below `config` that ask a coordinator.
void add_config_versions(CLI::App& config, Command* command);
void add_members(CLI::App& app, Command* command);
void add_pools(CLI::App& app, Command* command);
void add_drain(CLI::App& app, Command* command);
void add_undrain(CLI::App& app, Command* command);
void add_failover(CLI::App& app, Command* command);
void add_backup(CLI::App& app, Command* command);
void add_dev(CLI::App& app, Command* command);
void add_bench(CLI::App& app, Command* command);
void add_node(CLI::App& app, Command* command);
void add_coordinator(CLI::App& app, Command* command);
// Last, since it describes the others.
void add_completion(CLI::App& app, Command* command);

}  // namespace cenote::cli
