// `cenote drain NODE` and `cenote undrain NODE`: take a node out of service, and back.
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>

#include "base/mutex.h"
#include "cli/cluster.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/values.h"
#include "cli/verbs.h"

namespace cenote::cli {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(500);
// Work that was on its way when the node heard of the drain is in the load of its second heartbeat
// after that; the list of nodes is at most a second old. Heartbeats come every second.
constexpr Duration kSettled = std::chrono::seconds(4);

struct DrainCommand {
  ClusterOptions cluster;
  std::string node;
  bool on = true;
  bool yes = false;
  bool wait = false;
  std::string wait_limit = "10min";

  int run() const;

 private:
  int wait_until_drained(Cluster& cluster, Duration limit, const std::stop_token& stop) const;
};

const cluster::Node* find(const cluster::Snapshot& all, const std::string& id) {
  const auto at = std::find_if(all.nodes.begin(), all.nodes.end(),
                               [&](const auto& each) { return each.about.node_id == id; });
  return at == all.nodes.end() ? nullptr : &*at;
}

int unknown_node(const cluster::Snapshot& all, const std::string& id) {
  std::string known;
  for (const cluster::Node& each : all.nodes) {
    known += (known.empty() ? "; there are: " : ", ") + each.about.node_id;
  }
  return fail(kQueryFailed,
              "there is no node '" + id + "'" + (known.empty() ? "; none is registered" : known));
}

// Pools that no other node could serve meanwhile.
std::string left_alone(const cluster::Snapshot& all, const cluster::Node& leaving) {
  std::string pools;
  for (const cluster::PoolReport& pool : leaving.about.pools) {
    const bool elsewhere =
        std::any_of(all.nodes.begin(), all.nodes.end(), [&](const cluster::Node& other) {
          if (&other == &leaving || other.state != cluster::NodeState::kUp) return false;
          return std::any_of(
              other.about.pools.begin(), other.about.pools.end(),
              [&](const auto& each) { return each.pool_id == pool.pool_id && each.healthy; });
        });
    if (!elsewhere) pools += (pools.empty() ? "" : ", ") + pool.pool_id;
  }
  return pools;
}

std::string describe(int active, int waiting) {
  return std::to_string(active) + (active == 1 ? " connection" : " connections") + " in use, " +
         std::to_string(waiting) + " waiting";
}

int DrainCommand::run() const {
  const Result<Duration> limit = limit_from("--wait-limit", wait_limit);
  if (!limit.ok()) return fail_cluster(limit.status());
  const Interrupt interrupt;
  Result<Cluster> asked = Cluster::open(cluster, interrupt.token());
  if (!asked.ok()) return fail_cluster(asked.status());
  const Result<cluster::Snapshot> all = asked->nodes();
  if (!all.ok()) return fail_cluster(all.status());
  const cluster::Node* target = find(*all, node);
  if (target == nullptr) return unknown_node(*all, node);

  std::string question = (on ? "Drain node '" : "Send work to node '") + node + "' (" +
                         target->about.location + ")" + (on ? "?" : " again?");
  const std::string alone = on ? left_alone(*all, *target) : "";
  if (!alone.empty()) {
    question =
        "No other node that is up serves " + alone + ": their queries would fail. " + question;
    if (yes) std::fprintf(stderr, "cenote: no other node that is up serves %s\n", alone.c_str());
  }
  if (const int code = confirm(question, yes, interrupt.token()); code != kOk) return code;
  const Result<Json> done =
      asked->change("POST", "/v1/nodes/" + url_encode(node) + (on ? "/drain" : "/undrain"));
  if (!done.ok()) return fail_cluster(done.status());
  const std::string text = on ? "node '" + node + "' is draining: no new work is sent there"
                              : "node '" + node + "' takes work again";
  if (const int code = print(text + "\n"); code != kOk || !on || !wait) return code;
  return wait_until_drained(*asked, *limit, interrupt.token());
}

int DrainCommand::wait_until_drained(Cluster& cluster, Duration limit,
                                     const std::stop_token& stop) const {
  const TimePoint begin = Clock::now();
  const Deadline deadline = Deadline::in(limit);
  std::optional<TimePoint> idle_since;
  std::string last;
  Mutex mutex;
  std::condition_variable_any never;
  for (;;) {
    const Result<cluster::Snapshot> all = cluster.nodes();
    if (!all.ok()) return fail_cluster(all.status());
    const cluster::Node* target = find(*all, node);
    if (target == nullptr) return print("node '" + node + "' has left the cluster\n");
    if (target->state == cluster::NodeState::kDead) {
      return fail(kQueryFailed,
                  "node '" + node + "' died before it was drained: it is silent; " + "see its log");
    }
    if (target->state != cluster::NodeState::kDraining) {
      return fail(kQueryFailed, "node '" + node +
                                    "' is no longer draining: somebody called it "
                                    "back; 'cenote members' shows it");
    }
    int active = 0;
    int waiting = 0;
    for (const cluster::PoolReport& pool : target->about.pools) {
      active += pool.active;
      waiting += pool.waiting;
    }
    const TimePoint now = Clock::now();
    last = describe(active, waiting);
    if (active + waiting > 0) {
      idle_since.reset();
    } else if (!idle_since) {
      idle_since = now;
    }
    if (idle_since && now - begin >= kSettled) {
      return print("node '" + node + "' is drained: it may be stopped\n");
    }
    if (deadline.passed()) {
      return fail(kPoolTimedOut, "node '" + node + "' is not drained yet: " + last +
                                     "; it goes on draining, ask again with --wait");
    }
    Lock lock(mutex);
    never.wait_until(lock, stop, Deadline::in(kLook).sooner(deadline).at(), [] { return false; });
    if (stop.stop_requested()) return fail(kInterrupted, "not waiting longer; it goes on draining");
  }
}

void add_verb(CLI::App& app, Command* command, bool on) {
  auto drain = std::make_shared<DrainCommand>();
  drain->on = on;
  CLI::App* verb = app.add_subcommand(on ? "drain" : "undrain",
                                      on ? "Let a node finish what it has and send it nothing new"
                                         : "Send work to a node that was drained again");
  verb->add_option("node", drain->node, "The node's id, as 'cenote members' shows it")->required();
  verb->add_flag("-y,--yes", drain->yes, "Do not ask");
  if (on) {
    CLI::Option* wait = verb->add_flag("--wait", drain->wait, "Return once nothing runs there");
    verb->add_option("--wait-limit", drain->wait_limit, "Longest time to wait; 0: no limit")
        ->type_name("DURATION")
        ->needs(wait)
        ->capture_default_str();
  }
  drain->cluster.add_options(*verb);
  verb->callback([drain, command] { *command = [drain] { return drain->run(); }; });
}

}  // namespace

void add_drain(CLI::App& app, Command* command) {
  add_verb(app, command, true);
}

void add_undrain(CLI::App& app, Command* command) {
  add_verb(app, command, false);
}

}  // namespace cenote::cli
