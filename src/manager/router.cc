// Choose, call, judge, go on or give up.
#include "manager/router.h"

#include <algorithm>
#include <cstdio>
#include <random>
#include <utility>

#include "flight/errors.h"

namespace cenote {
namespace {

// A process that starts waits this long for its first view before it says that there is none.
constexpr Duration kFirstView = std::chrono::seconds(3);
constexpr Duration kSignOfLife = std::chrono::milliseconds(500);
// A node that drains is passed over until the view says so too.
constexpr Duration kPassOver = std::chrono::seconds(1);
constexpr size_t kMostPlaces = 3;

uint64_t random_bits() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return random();
}

std::string seconds_text(Duration time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f s", std::chrono::duration<double>(time).count());
  return text;
}

bool lost(const Status& status) {
  const ErrorDetail* detail = error_detail(status);
  return detail != nullptr && detail->kind == ErrorKind::kConnection && detail->sent != Sent::kNo;
}

// The node refused the call before it did anything.
bool refused(const Status& status) {
  const ErrorKind kind = error_kind(status);
  return kind == ErrorKind::kPoolClosed || kind == ErrorKind::kUnknownPool;
}

// Errors that the node did not say itself name its location as the endpoint.
bool said_by_nobody(const Status& status, std::string_view location) {
  const ErrorDetail* detail = error_detail(status);
  return detail != nullptr && !location.empty() && detail->endpoint == location;
}

// This process ended the call itself, before anything was sent: no word of the target.
bool never_began(const Status& status) {
  const ErrorDetail* detail = error_detail(status);
  if (detail == nullptr || detail->sent != Sent::kNo) return false;
  return detail->kind == ErrorKind::kQueryTimeout || detail->kind == ErrorKind::kCancelled ||
         detail->kind == ErrorKind::kInterface;
}

// Of the question before the call: whatever came of it, the call did not go out.
Status not_sent(const Status& status) {
  ErrorDetail detail;
  detail.kind = error_kind(status);
  if (const ErrorDetail* known = error_detail(status)) detail = *known;
  if (detail.kind == ErrorKind::kQueryTimeout) detail.kind = ErrorKind::kConnection;
  detail.sent = Sent::kNo;
  return make_error(std::move(detail), status.message());
}

// Of the rule, what a configuration says.
PartitionWatch::Options watch_options(const Router::Options& options, bool has_source) {
  using Source = PartitionWatch::Handler::Source;
  PartitionWatch::Options watch;
  watch.rule.partition = options.partition;
  watch.rule.probe_timeout =
      std::min(watch.rule.probe_timeout, options.partition.detection_interval / 2);
  const Source source = options.kind == "coordinator" ? Source::kCoordinator : Source::kStore;
  watch.rule.source = has_source ? source : Source::kNone;
  watch.rule.seed = random_bits();
  watch.reach = options.reach;
  watch.self = options.self;
  watch.databases = options.databases;
  return watch;
}

}  // namespace

InFlight::~InFlight() {
  const TimePoint now = Clock::now();
  if (!answered_) gate_->no_longer_waits();
  gate_->load().end(now, answered_ ? latency_ : now - begin_, failed_);
}

void InFlight::ended(const Status& status, std::string_view location) {
  const TimePoint now = Clock::now();
  if (counts_against_target(status)) {
    failed_ = true;
    gate_->failed(now, random_bits());
  } else if (said_by_nobody(status, location)) {
    failed_ = true;
    gate_->unclear(now, random_bits());
  } else if (never_began(status)) {
    gate_->unclear(now, random_bits());
  } else {
    gate_->heard(now);
    gate_->succeeded(now);
    if (refused(status)) gate_->load().shut(now + kPassOver);
  }
}

void InFlight::answered() {
  if (std::exchange(answered_, true)) return;
  const TimePoint now = Clock::now();
  latency_ = now - begin_;
  gate_->heard(now);
  gate_->no_longer_waits();
}

Router::Router(const Options& options, std::unique_ptr<NodeLinks> links)
    : links_(std::move(links)),
      balancer_(route::make_load_balancer(options.algorithm, random_bits())) {}

Result<std::unique_ptr<Router>> Router::open(std::unique_ptr<discovery::ServiceDiscovery> discovery,
                                             const Options& options) {
  ARROW_ASSIGN_OR_RAISE(auto links, NodeLinks::make(options.access, options.reach));
  std::unique_ptr<Router> router(new Router(options, std::move(links)));
  ClusterView::Options view{
      options.kind, options.source, options.zone,
      [links = router->links_.get()](const ClusterView::Nodes& nodes) { links->update(nodes); },
      &router->metrics_};
  router->view_ = std::make_unique<ClusterView>(std::move(discovery), std::move(view));
  PartitionWatch::Options watch = watch_options(options, router->view_->has_source());
  watch.metrics = &router->metrics_;
  router->watch_ =
      std::make_unique<PartitionWatch>(*router->view_, *router->links_, std::move(watch));
  return router;
}

bool Router::may_go_on(const RoutedCall& call, const Status& status) {
  const ErrorDetail* detail = error_detail(status);
  if (detail == nullptr) return false;
  switch (detail->kind) {
    case ErrorKind::kPoolClosed:
    case ErrorKind::kUnknownPool:
      return true;
    case ErrorKind::kReadOnly:
      return call.need == route::Need::kWrite;
    case ErrorKind::kConnection:
      return detail->sent == Sent::kNo || call.repeatable;
    default:
      return false;
  }
}

bool Router::has_another(const RoutedCall& call, const route::Targets& targets,
                         std::vector<const route::Target*> passed, const route::Target& but) const {
  passed.push_back(&but);
  return targets.choose(call.need, *balancer_, Clock::now(), random_bits(), passed).target !=
         nullptr;
}

bool Router::passes_over(const partition::Plan& plan, const RoutedCall& call,
                         const route::Targets& targets,
                         const std::vector<const route::Target*>& passed,
                         const route::Target& target) const {
  if (!plan.is_reached(target.node_id)) return true;
  constexpr double kWhole = 1ULL << 32;
  const double where = static_cast<double>(random_bits() >> 32) / kWhole;
  return plan.holds_back(target.node_id, where) && has_another(call, targets, passed, target);
}

Status Router::check_age(const RoutedCall& call) const {
  const std::shared_ptr<const partition::Plan> plan = watch_->plan();
  if (plan == nullptr || !plan->local) return Status::OK();
  const partition::Service service = plan->service(view_->age());
  const bool reads = call.need == route::Need::kRead || (call.repeatable && !call.lasting);
  if (service == partition::Service::kAll || (service == partition::Service::kReads && reads)) {
    return Status::OK();
  }
  ErrorDetail detail;
  detail.kind = ErrorKind::kConnection;
  detail.pool = call.pool_id;
  detail.sent = Sent::kNo;
  return make_error(
      std::move(detail),
      "PARTITIONED: pool '" + std::string(call.pool_id) + "': the " + (reads ? "read" : "write") +
          " was not sent: this process has been out of touch with the cluster for longer than " +
          (reads ? "four times " : "") + "partition.local_cache_ttl (" + plan->why + "; " +
          view_->explain(call.pool_id) + "); try again once it is back" +
          (service == partition::Service::kReads ? "; reads go on" : ""));
}

Result<Router::Chosen> Router::choose(const RoutedCall& call, const std::vector<Chosen>& tried,
                                      const CallContext& context) const {
  const TimePoint now = Clock::now();
  std::shared_ptr<const route::Targets> targets = view_->targets(call.pool_id);
  const std::shared_ptr<const partition::Plan> plan = watch_->plan();
  std::vector<const route::Target*> passed;
  for (const Chosen& each : tried) passed.push_back(each.target);
  Chosen shut;
  Status unusable;
  const auto pass_over = [&](Chosen chosen) {
    passed.push_back(chosen.target);
    if (shut.target == nullptr) shut = std::move(chosen);
  };
  for (size_t i = 0; targets != nullptr && i <= targets->size(); ++i) {
    const route::Targets::Choice choice =
        targets->choose(call.need, *balancer_, now, random_bits(), passed);
    if (choice.target == nullptr) break;
    if (plan != nullptr && passes_over(*plan, call, *targets, passed, *choice.target)) {
      passed.push_back(choice.target);
      continue;
    }
    Result<Link> found = links_->link(*choice.target, call.pool_id, context);
    if (!found.ok()) {
      unusable = found.status();
      passed.push_back(choice.target);
      continue;
    }
    Link link = std::move(*found);
    if (call.repeatable && !call.lasting) link.hold.reset();
    Chosen chosen{targets, choice.target, choice.probe_first, std::move(link)};
    Gate& gate = *chosen.link.gate;
    // Only where there are others: who has one node waits for it.
    if (gate.is_silent(now) && has_another(call, *targets, passed, *choice.target)) {
      if (!gate.is_to_ask(now)) {
        pass_over(std::move(chosen));
        continue;
      }
      chosen.probe = true;
    }
    if (gate.allow(now)) return chosen;
    pass_over(std::move(chosen));
  }
  // Rather a target that failed lately than none.
  if (shut.target != nullptr) return shut;
  if (tried.empty()) ARROW_RETURN_NOT_OK(unusable);
  return nothing_left(call, targets != nullptr);
}

Status Router::nothing_left(const RoutedCall& call, bool known) const {
  ErrorDetail detail;
  detail.pool = call.pool_id;
  detail.sent = Sent::kNo;
  const std::shared_ptr<const partition::Plan> plan = watch_->plan();
  const std::string pool =
      (plan != nullptr && plan->local ? "PARTITIONED (" + plan->why + "): " : "") +
      ("pool '" + std::string(call.pool_id) + "'");
  if (known) {
    detail.kind = ErrorKind::kConnection;
    const bool write = call.need == route::Need::kWrite;
    return make_error(std::move(detail), pool + ": no node can take the " +
                                             (write ? "write" : "call") +
                                             " now: " + view_->explain(call.pool_id));
  }
  const std::vector<std::string> ids = view_->pool_ids();
  detail.kind = ids.empty() ? ErrorKind::kConnection : ErrorKind::kUnknownPool;
  std::string all;
  for (const std::string& id : ids) all += (all.empty() ? "" : ", ") + id;
  return make_error(std::move(detail), pool + " is neither in this process nor on a node: " +
                                           view_->explain(call.pool_id) +
                                           (all.empty() ? "" : "; pools of the cluster: " + all));
}

void Router::note_refusal(const Chosen& chosen) const {
  chosen.link.gate->refused(Clock::now());
  view_->refused(chosen.target->node_id);
}

Router::Outcome Router::call_node(const RoutedCall& call, const Chosen& chosen,
                                  const QueryOptions& options, const Attempt& attempt) const {
  const std::string& location = chosen.target->location;
  auto flight = std::make_shared<InFlight>(chosen.link.gate);
  flight::RemotePool pool(
      chosen.link.channel, std::string(call.pool_id),
      [gate = chosen.link.gate, hold = chosen.link.hold](const flight::Answer& answer) {
        if (answer.load) gate->load().tell_waiting(answer.load->waiting);
        if (answer.draining) gate->load().shut(Clock::now() + kPassOver);
      });
  if (chosen.probe || call.once) {
    QueryOptions ping = options;
    ping.timeout = options.timeout ? std::min(*options.timeout, kSignOfLife) : kSignOfLife;
    const Status alive = pool.ping(ping).status();
    if (!alive.ok()) {
      if (flight::connection_refused(alive)) note_refusal(chosen);
      flight->ended(not_sent(alive), location);
      return {refused(alive) ? alive : not_sent(alive), false};
    }
    chosen.link.gate->heard(Clock::now());
  }
  Status status = attempt(pool, options, flight);
  if (error_kind(status) == ErrorKind::kCancelled && !options.stop.stop_requested()) {
    // The caller did not; the node did, because it stops.
    ErrorDetail detail;
    detail.kind = ErrorKind::kConnection;
    detail.endpoint = location;
    detail.sent = Sent::kMaybe;
    status = make_error(std::move(detail), "the node cancelled the call: " + status.message());
  }
  if (flight::connection_refused(status)) note_refusal(chosen);
  flight->ended(status, location);
  return {std::move(status), true};
}

Status Router::run(const RoutedCall& call, const QueryOptions& options, const Attempt& attempt,
                   Origin* origin, Tries tries) {
  budget_.count_call();
  const Deadline deadline = options.timeout ? Deadline::in(*options.timeout) : Deadline();
  const TimePoint begin = Clock::now();
  if (view_->targets(call.pool_id) == nullptr) {
    (void)view_->wait_until_known({deadline.sooner(Deadline::in(kFirstView)), options.stop});
  }
  if (Status aged = check_age(call); !aged.ok()) {
    metrics_.ended(Clock::now() - begin, false);
    return aged;
  }
  std::vector<Chosen> tried;
  size_t repeats = 0;
  for (const Try& each : tries) repeats += lost(each.status) ? 1 : 0;
  for (;;) {
    Result<Chosen> chosen = choose(call, tried, {deadline, options.stop});
    if (!chosen.ok()) {
      if (!tries.empty()) break;
      metrics_.ended(Clock::now() - begin, false);
      return chosen.status();
    }
    QueryOptions left = options;
    if (!deadline.is_never()) left.timeout = deadline.left();
    const TimePoint now = Clock::now();
    Outcome outcome = call_node(call, *chosen, left, attempt);
    if (outcome.status.ok()) {
      const Duration took = Clock::now() - begin;
      metrics_.ended(took, true);
      if (!tries.empty()) metrics_.failed_over(took);
      if (origin != nullptr) {
        *origin = this->origin(chosen->target->node_id, chosen->target->location,
                               static_cast<int>(tries.size()) + 1);
      }
      return Status::OK();
    }
    repeats += lost(outcome.status) ? 1 : 0;
    const bool go_on = may_go_on(call, outcome.status) && !(call.once && outcome.reached) &&
                       repeats <= 1 && tries.size() + 1 < kMostPlaces && !deadline.passed() &&
                       !options.stop.stop_requested();
    tries.push_back({chosen->target->node_id, chosen->target->location, Clock::now() - now,
                     std::move(outcome.status)});
    tried.push_back(std::move(*chosen));
    // A place that was given up is no reason to hold its callers back.
    const Chosen& last = tried.back();
    const bool given_up = last.link.gate->is_lost() || !view_->is_up(last.target->node_id);
    if (!go_on || (!given_up && !budget_.take())) break;
    metrics_.retried();
  }
  const Duration took = Clock::now() - begin;
  metrics_.ended(took, false);
  return failed(call, took, tries);
}

Origin Router::origin(std::string_view node_id, std::string_view location, int attempts) const {
  const std::shared_ptr<const partition::Plan> plan = watch_->plan();
  Origin origin;
  origin.node = node_id;
  origin.location = location;
  origin.attempts = attempts;
  origin.stale = plan != nullptr && plan->local;
  origin.source = node_id.empty() ? "own" : origin.stale ? "cache" : view_->kind();
  if (const std::optional<Duration> age = view_->age()) {
    const auto ago = std::chrono::duration_cast<std::chrono::system_clock::duration>(*age);
    origin.as_of = std::chrono::system_clock::now() - ago;
  }
  origin.config_version =
      node_id.empty() ? view_->config_version(watch_->self()) : view_->config_version(node_id);
  return origin;
}

ClusterStatus Router::status() const {
  ClusterStatus status = view_->status();
  status.partition = watch_->status();
  const std::map<std::string, bool, std::less<>> reached = watch_->reached();
  const std::set<std::string, std::less<>> lost = links_->lost();
  for (ClusterStatus::Node& node : status.nodes) {
    const auto found = reached.find(node.id);
    if (found != reached.end()) node.reached = found->second;
    // Its machine may answer though it does not.
    if (lost.contains(node.id)) node.reached = false;
  }
  return status;
}

Status Router::failed(const RoutedCall& call, Duration took, const Tries& tries) {
  const Try& last = tries.back();
  const ErrorDetail* known = error_detail(last.status);
  const bool unreached = known != nullptr && (known->kind == ErrorKind::kConnection ||
                                              said_by_nobody(last.status, last.location));
  // What a database said to the one call speaks for itself; the node that passed it on is named.
  if (tries.size() == 1 && !unreached && !refused(last.status)) {
    const std::string at = last.node.empty() ? "" : " (on node '" + last.node + "')";
    if (known == nullptr) return last.status.WithMessage(last.status.message() + at);
    return make_error(*known, last.status.message() + at);
  }
  ErrorDetail detail;
  if (known != nullptr) detail = *known;
  if (known == nullptr) detail.kind = error_kind(last.status);
  if (detail.pool.empty()) detail.pool = call.pool_id;
  std::string message =
      "pool '" + std::string(call.pool_id) + "' failed after " + seconds_text(took) + ": ";
  for (const Try& each : tries) {
    if (&each != &tries.front()) message += "; then ";
    message += each.node.empty() ? "this process's own pool"
                                 : "node '" + each.node + "' at " + each.location;
    message += " (" + seconds_text(each.took) + "): " + each.status.message();
  }
  if (detail.kind == ErrorKind::kConnection && detail.sent == Sent::kNo) {
    message += "; the statement was not sent, so it may be tried again";
  } else if (unreached && !call.repeatable && detail.sent != Sent::kNo) {
    metrics_.outcome_unknown();
    message += "; the outcome is unknown: look whether it took effect before you send it again";
  }
  if (unreached) message += "; " + view_->explain(call.pool_id);
  return make_error(std::move(detail), std::move(message));
}

std::shared_ptr<Gate> Router::own_gate(std::string_view pool_id) {
  const Lock lock(mutex_);
  const auto found = own_gates_.find(pool_id);
  if (found != own_gates_.end()) return found->second;
  auto gate = std::make_shared<Gate>(std::make_shared<route::Load>());
  own_gates_.emplace(pool_id, gate);
  return gate;
}

std::string Router::exposition() const {
  const ClusterStatus status = this->status();
  std::vector<cluster::MetricSample> samples = metrics_.samples();
  std::map<std::string, std::string> help = route_metrics_help();
  const auto gauge = [&](const char* name, const char* what, double value) {
    samples.push_back(cluster::gauge_sample(name, value));
    help.emplace(name, what);
  };
  if (status.age) {
    gauge("cenote_view_age_seconds", "Time since the view's source last confirmed it.",
          std::chrono::duration<double>(*status.age).count());
  }
  gauge("cenote_view_nodes", "Nodes that this process knows.",
        static_cast<double>(status.nodes.size()));
  gauge("cenote_view_distrusted", "1 while what the view's source answers is not taken.",
        status.alarm.empty() ? 0 : 1);
  gauge("cenote_partition_local", "1 while calls are served by what was known of the cluster.",
        watch_->plan() != nullptr && watch_->plan()->local ? 1 : 0);
  return cluster::prometheus_text(samples, help);
}

}  // namespace cenote
