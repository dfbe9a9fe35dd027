// Probes out, verdicts in.
#include "manager/partition_watch.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/json.h"
#include "base/keep_running.h"
#include "base/log.h"
#include "base/side_by_side.h"
#include "flight/ticket.h"

namespace cenote {
namespace {

using partition::State;
using partition::Step;

constexpr Duration kLookAgain = std::chrono::seconds(60);  // for a name
constexpr Duration kLookAfterFailure = std::chrono::seconds(10);
constexpr Duration kLookUp = std::chrono::seconds(5);
constexpr Duration kStepInterval = std::chrono::milliseconds(100);
// A lease that cannot be had (another process took the name) keeps nobody from the cluster.
constexpr Duration kRegisterWithin = std::chrono::seconds(10);

bool is_probed(const cluster::Node& node) {
  return node.state == cluster::NodeState::kUp || node.state == cluster::NodeState::kSuspect ||
         node.state == cluster::NodeState::kFrozen;
}

}  // namespace

PartitionWatch::PartitionWatch(ClusterView& view, NodeLinks& links, Options options)
    : view_(view),
      links_(links),
      options_(std::move(options)),
      rule_(options_.rule, Clock::now()),
      since_(rule_.since()),
      self_(options_.self),
      source_([this](const std::stop_token& stop) {
        keep_running(stop, "manager", "asking the store or coordinator", [&] { run_source(stop); });
      }),
      helper_([this](const std::stop_token& stop) {
        keep_running(stop, "manager", "asking other nodes", [&] { run_helper(stop); });
      }),
      ticker_([this](const std::stop_token& stop) {
        keep_running(stop, "manager", "the watch for partitions", [&] { run(stop); });
      }) {}

PartitionWatch::~PartitionWatch() = default;

std::shared_ptr<const partition::Plan> PartitionWatch::plan() const {
  if (quiet_.load(std::memory_order_relaxed)) return nullptr;
  const Lock lock(mutex_);
  return plan_;
}

ClusterStatus::Partition PartitionWatch::status() const {
  const Lock lock(mutex_);
  ClusterStatus::Partition status = status_;
  status.since = Clock::now() - since_;
  return status;
}

std::map<std::string, bool, std::less<>> PartitionWatch::reached() const {
  const Lock lock(mutex_);
  return reached_;
}

void PartitionWatch::registered(std::string_view node_id) {
  const Lock lock(mutex_);
  self_ = node_id;
  registered_ = Clock::now();
}

std::string PartitionWatch::self() const {
  const Lock lock(mutex_);
  return self_;
}

Status PartitionWatch::recover() {
  {
    const Lock lock(mutex_);
    const bool manual = options_.rule.partition.recovery_strategy == RecoveryStrategy::kManual;
    if (!manual || status_.state != to_string(State::kLocal)) {
      return make_error(ErrorKind::kInterface,
                        manual ? "nothing to recover from: this process is " + status_.state
                               : "recovery needs no word: partition.recovery_strategy is not "
                                 "manual");
    }
    word_ = true;
  }
  wake_.notify_all();
  return Status::OK();
}

void PartitionWatch::run(const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] {
    const Lock lock(mutex_);
    wake_.notify_all();
  });
  while (!stop.stop_requested()) {
    take_nodes(Clock::now());
    take_answers(stop);
    act(stop, rule_.tick(Clock::now()));
    look_at_step(stop);
    publish(Clock::now());
    TimePoint due = rule_.due();
    if (rule_.step()) due = std::min(due, Clock::now() + kStepInterval);
    Lock lock(mutex_);
    while (!stop.stop_requested() && !word_ && !answers_ && Clock::now() < due) {
      wake_.wait_until(lock, due);
    }
    if (std::exchange(word_, false)) (void)rule_.recover();
  }
}

// The peers to probe, and their addresses to look up.
void PartitionWatch::take_nodes(TimePoint now) {
  std::shared_ptr<const ClusterView::Nodes> nodes = view_.nodes();
  std::set<std::string, std::less<>> peers;
  bool look = false;
  {
    const Lock lock(mutex_);
    for (const auto& [id, node] : *nodes) {
      if (id == self_ || !is_probed(node)) continue;
      peers.insert(id);
      const auto found = found_.find(node.about.location);
      const bool known = found != found_.end();
      if (known && found->second.lasts) continue;
      // A name may mean something else by now; cut off, nobody could tell.
      const Duration after = known && !found->second.doors.empty() ? kLookAgain : kLookAfterFailure;
      if (known && (rule_.local() || now - found->second.at < after)) continue;
      unresolved_.insert(node.about.location);
      look = true;
    }
    // Places that no node has any more.
    if (nodes != nodes_) {
      std::erase_if(found_, [&](const auto& each) {
        return std::none_of(nodes->begin(), nodes->end(), [&](const auto& node) {
          return node.second.about.location == each.first;
        });
      });
    }
  }
  if (look) wake_.notify_all();
  nodes_ = std::move(nodes);
  rule_.set_peers(peers);
}

void PartitionWatch::act(const std::stop_token& stop, Handler::Output out) {
  for (;;) {
    for (const partition::Event& event : out.events) tell(event);
    if (!out.ask.empty()) ask(out.ask);
    if (out.step) step_since_ = Clock::now();
    if (out.switch_to_local) {
      Handler::Output local;
      (void)rule_.handle_partition(Clock::now(), &local);
      for (const partition::Event& event : local.events) tell(event);
      // Calls are to heed it now, not after the next round.
      publish(Clock::now());
      links_.give_up(rule_.returning());
    }
    if (!out.probe || stop.stop_requested()) return;
    out = probe(stop, *out.probe);
  }
}

PartitionWatch::Handler::Output PartitionWatch::probe(const std::stop_token& stop,
                                                      const partition::Probe& wanted) {
  partition::Round round{wanted.round, Clock::now()};
  const Deadline deadline = Deadline::after(round.began, options_.rule.probe_timeout);
  const bool source = wanted.source && view_.has_source();
  std::vector<Door> doors;
  std::vector<const std::string*> whose;
  {
    const Lock lock(mutex_);
    if (source) source_wanted_ = wanted.round;
    for (const std::string& id : wanted.peers) {
      const auto node = nodes_->find(id);
      const auto found =
          node == nodes_->end() ? found_.end() : found_.find(node->second.about.location);
      if (found == found_.end()) continue;
      for (const Door& door : found->second.doors) {
        doors.push_back(door);
        whose.push_back(&id);
      }
    }
  }
  wake_.notify_all();
  if (wanted.database && options_.databases) round.database = options_.databases();
  // Twice, since a lost packet alone would cost a second until TCP sends it again.
  const Deadline half = Deadline::after(round.began, options_.rule.probe_timeout / 2);
  std::vector<bool> answered = knock(doors, {half, stop});
  std::vector<Door> silent;
  for (size_t i = 0; i < doors.size(); ++i) {
    if (!answered[i]) silent.push_back(doors[i]);
  }
  const std::vector<bool> again = knock(silent, {deadline, stop});
  for (size_t i = 0, next = 0; i < doors.size(); ++i) {
    if (!answered[i]) answered[i] = again[next++];
    bool& reached = round.peers[*whose[i]];
    reached = reached || answered[i];
  }
  if (source) {
    Lock lock(mutex_);
    while (source_asked_ != wanted.round && !deadline.passed() && !stop.stop_requested()) {
      wake_.wait_until(lock, deadline.at());
    }
    round.source = source_asked_ == wanted.round && source_answered_;
  }
  return rule_.probed(round, Clock::now());
}

void PartitionWatch::run_source(const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] {
    const Lock lock(mutex_);
    wake_.notify_all();
  });
  for (;;) {
    uint64_t round;
    {
      Lock lock(mutex_);
      while (source_wanted_ == source_asked_ && !stop.stop_requested()) wake_.wait(lock);
      round = source_wanted_;
    }
    if (stop.stop_requested()) return;
    const bool answered = view_.probe_source(stop).ok();
    {
      const Lock lock(mutex_);
      source_asked_ = round;
      source_answered_ = answered;
    }
    wake_.notify_all();
  }
}

// Only who answered just now could tell anything.
void PartitionWatch::ask(const std::vector<std::string>& peers) {
  {
    const Lock lock(mutex_);
    to_ask_.clear();
    answers_.reset();
    for (const std::string& id : peers) {
      const auto node = nodes_->find(id);
      if (node == nodes_->end() || rule_.reached(id) != true) continue;
      to_ask_.push_back({id, node->second.about.location});
    }
    if (to_ask_.empty()) answers_.emplace();
  }
  wake_.notify_all();
}

void PartitionWatch::take_answers(const std::stop_token& stop) {
  std::optional<partition::Answers> answers;
  {
    const Lock lock(mutex_);
    answers = std::exchange(answers_, std::nullopt);
  }
  if (answers) act(stop, rule_.asked(*answers, Clock::now()));
}

void PartitionWatch::run_helper(const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] {
    const Lock lock(mutex_);
    wake_.notify_all();
  });
  while (!stop.stop_requested()) {
    std::string location;
    std::vector<Peer> peers;
    {
      Lock lock(mutex_);
      while (unresolved_.empty() && to_ask_.empty() && !stop.stop_requested()) wake_.wait(lock);
      peers = std::exchange(to_ask_, {});
      if (peers.empty() && !unresolved_.empty()) {
        location = std::move(unresolved_.extract(unresolved_.begin()).value());
      }
    }
    if (!location.empty()) resolve(stop, location);
    if (peers.empty()) continue;
    partition::Answers answers = ask_all(stop, peers);
    {
      const Lock lock(mutex_);
      answers_ = std::move(answers);
    }
    wake_.notify_all();
  }
}

void PartitionWatch::resolve(const std::stop_token& stop, const std::string& location) {
  constexpr std::array<std::string_view, 2> kSchemes = {"grpc", "grpc+tls"};
  Found found;
  const Result<Place> place = parse_place(location, kSchemes);
  if (place.ok()) {
    // Where no node may be, nobody knocks.
    const CallContext context{Deadline::in(kLookUp), stop};
    for (const std::string& address : options_.reach.addresses(*place, context).ValueOr({})) {
      found.doors.push_back({address, place->port});
      found.lasts = address == place->host;
    }
  }
  found.at = Clock::now();
  const Lock lock(mutex_);
  Found& known = found_[location];
  // What was known is better than nothing.
  if (found.doors.empty()) found.doors = std::move(known.doors);
  known = std::move(found);
}

partition::Answers PartitionWatch::ask_all(const std::stop_token& stop,
                                           const std::vector<Peer>& peers) {
  const Deadline deadline = Deadline::in(options_.rule.probe_timeout);
  std::vector<std::optional<bool>> told(peers.size());
  // At once: a silent one has the whole time, and the others too.
  side_by_side(peers.size(), [&](size_t i) { told[i] = sight_of(peers[i], {deadline, stop}); });
  partition::Answers answers;
  for (size_t i = 0; i < peers.size(); ++i) {
    if (told[i]) answers[peers[i].node_id] = {*told[i]};
  }
  return answers;
}

std::optional<bool> PartitionWatch::sight_of(const Peer& peer, const CallContext& context) {
  const auto channel = links_.channel(peer.node_id, peer.location, context);
  if (!channel.ok()) return std::nullopt;
  flight::Call call;
  call.operation = flight::Operation::kSight;
  QueryOptions options;
  options.timeout = context.deadline.left();
  options.stop = context.stop;
  const Result<flight::Answer> answer = (*channel)->ask(std::move(call), options);
  return answer.ok() ? answer->reaches_source : std::nullopt;
}

void PartitionWatch::look_at_step(const std::stop_token& stop) {
  while (const std::optional<Step> step = rule_.step()) {
    if (!is_done(*step)) return;
    act(stop, rule_.recovered(*step, Clock::now()));
    if (rule_.step() == step) return;  // this process stood still: once more
  }
}

bool PartitionWatch::is_done(Step step) const {
  const TimePoint now = Clock::now();
  const std::optional<Duration> age = view_.age();
  const bool confirmed = age && now - *age >= rule_.heard_since();
  switch (step) {
    case Step::kRegister: {
      const Lock lock(mutex_);
      if (self_.empty() || now - step_since_ > kRegisterWithin) return true;
      if (registered_ && *registered_ >= rule_.heard_since()) return true;
      const auto self = nodes_->find(self_);
      return confirmed && self != nodes_->end() && self->second.state == cluster::NodeState::kUp;
    }
    case Step::kList:
      return confirmed;
    case Step::kConfig:
      // A node takes a newer one with the first renewal that is heard, before it counts as such.
    case Step::kQuota:
      // There are none yet.
      return true;
  }
  return true;
}

void PartitionWatch::tell(const partition::Event& event) const {
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(event.took).count();
  Json line{{"event", "partition"},
            {"from", std::string(to_string(event.from))},
            {"to", std::string(to_string(event.to))},
            {"cause", std::string(to_string(event.cause))},
            {"reason", event.reason}};
  if (took != 0) line["took_ms"] = took;
  const bool good = event.to == State::kConnected && event.cause == partition::Cause::kNone;
  log(good ? LogLevel::kInfo : LogLevel::kWarning, "manager",
      line.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (options_.metrics == nullptr || event.from == event.to) return;
  if (event.to == State::kPartitioned) options_.metrics->partitioned(event.took);
  if (event.from == State::kRecovering && event.to == State::kConnected) {
    options_.metrics->rejoined(event.took);
  }
}

void PartitionWatch::publish(TimePoint now) {
  std::map<std::string, bool, std::less<>> reached;
  for (const auto& [id, node] : *nodes_) {
    const std::optional<bool> answers = rule_.reached(id);
    if (answers) reached.emplace(id, *answers);
  }
  auto heed = partition::plan_of(rule_, reached, options_.rule.partition.local_cache_ttl, now);
  std::shared_ptr<const partition::Plan> plan;
  if (heed) plan = std::make_shared<const partition::Plan>(std::move(*heed));
  const Lock lock(mutex_);
  plan_ = std::move(plan);
  reached_ = std::move(reached);
  status_.state = to_string(rule_.state());
  status_.cause = to_string(rule_.cause());
  status_.reason = rule_.reason();
  status_.share = rule_.share(now);
  status_.source_answers = rule_.source_reached();
  since_ = rule_.since();
  quiet_.store(plan_ == nullptr, std::memory_order_relaxed);
}

}  // namespace cenote
