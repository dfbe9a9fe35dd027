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
#include "cli/pretty.h"
#include "cli/values.h"
#include "cli/verbs.h"

namespace cenote::cli {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(500);
// A node hears of the drain in the answer to its next heartbeat; work that was on its way then is
// in the load of the one after that.
constexpr uint64_t kBeats = 2;
// The coordinator's list is at most this old.
constexpr Duration kListAge = std::chrono::seconds(1);
// Where the coordinator does not count heartbeats (before 0.2): as if they came every second.
constexpr Duration kUncounted = std::chrono::seconds(4);

// Whether the load that the list shows is of after the drain.
class Settled {
 public:
  explicit Settled(std::string node) : node_(std::move(node)) {}

  Status look(Cluster& cluster) {
    ARROW_ASSIGN_OR_RAISE(const Json summary, cluster.get("/v1/summary"));
    std::optional<uint64_t> seq;
    const auto all = summary.find("heartbeat_seq");
    if (all != summary.end() && all->is_object() && all->contains(node_)) {
      const Json& value = (*all)[node_];
      if (value.is_number_unsigned()) seq = value.get<uint64_t>();
    }
    const TimePoint now = Clock::now();
    // A node that began anew counts from the beginning.
    if (!first_ || (seq && *seq < *first_)) first_ = seq.value_or(0);
    const bool heard = seq ? *seq >= *first_ + kBeats : now - begin_ >= kUncounted;
    if (heard && !since_) since_ = now;
    return Status::OK();
  }
  bool is_so() const { return since_ && Clock::now() - *since_ >= kListAge; }

 private:
  std::string node_;
  TimePoint begin_ = Clock::now();
  std::optional<uint64_t> first_;
  std::optional<TimePoint> since_;
};

struct DrainCommand {
  ClusterOptions cluster;
  std::string node;
  bool on = true;
  bool yes = false;
  bool wait = false;
  std::string wait_limit = "10min";
  std::string format = "text";

  int run() const;

 private:
  int tell(const std::string& text, const Json& json) const {
    return print(format == "json" ? pretty(json) : text + "\n");
  }
  int wait_until_drained(Cluster& cluster, Settled settled, Duration limit,
                         const std::stop_token& stop) const;
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
  const bool waits = on && wait;
  Settled settled(node);
  if (waits) {
    if (const Status looked = settled.look(*asked); !looked.ok()) return fail_cluster(looked);
  }
  if (!waits || format != "json") {
    const std::string text = on ? "node '" + node + "' is draining: no new work is sent there"
                                : "node '" + node + "' takes work again";
    const int code = tell(text, {{"node_id", node}, {"draining", on}});
    if (code != kOk || !waits) return code;
  }
  return wait_until_drained(*asked, std::move(settled), *limit, interrupt.token());
}

int DrainCommand::wait_until_drained(Cluster& cluster, Settled settled, Duration limit,
                                     const std::stop_token& stop) const {
  const Deadline deadline = Deadline::in(limit);
  Mutex mutex;
  std::condition_variable_any never;
  for (;;) {
    const bool was_settled = settled.is_so();
    const Result<cluster::Snapshot> all = cluster.nodes();
    if (!all.ok()) return fail_cluster(all.status());
    const cluster::Node* target = find(*all, node);
    if (target == nullptr) {
      return tell("node '" + node + "' has left the cluster",
                  {{"node_id", node}, {"drained", true}, {"left", true}});
    }
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
    if (was_settled && active + waiting == 0) {
      return tell("node '" + node + "' is drained: it may be stopped",
                  {{"node_id", node}, {"drained", true}, {"left", false}});
    }
    if (deadline.passed()) {
      return fail(kPoolTimedOut, "node '" + node +
                                     "' is not drained yet: " + describe(active, waiting) +
                                     (was_settled ? "" : ", heartbeats are awaited") +
                                     "; it goes on draining, ask again with --wait");
    }
    if (const Status looked = settled.look(cluster); !looked.ok()) return fail_cluster(looked);
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
  verb->add_option("-o,--output", drain->format, "Format")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
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
