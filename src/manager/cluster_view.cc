// The watching thread's side and the readers' side.
#include "manager/cluster_view.h"

#include <cstdio>
#include <set>
#include <utility>

#include "base/keep_running.h"
#include "base/log.h"

namespace cenote {
namespace {

using cluster::View;

constexpr Duration kTellInterval = std::chrono::seconds(1);  // of one node's refusals

std::string seconds_text(Duration time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(time).count());
  return text;
}

}  // namespace

ClusterView::ClusterView(std::unique_ptr<discovery::ServiceDiscovery> discovery, Options options)
    : options_(std::move(options)),
      discovery_(std::move(discovery)),
      view_(View::Options()),
      witness_([this](const std::stop_token& stop) {
        keep_running(stop, "manager", "telling of refusals", [&] { run_witness(stop); });
      }),
      thread_([this](const std::stop_token& stop) {
        keep_running(stop, "manager", "watching " + options_.kind + " " + options_.source,
                     [&] { discovery_->watch(stop, *this); });
      }) {}

ClusterView::~ClusterView() = default;

View::Next ClusterView::publish(View::Next next, TimePoint now) {
  std::shared_ptr<const Nodes> nodes;
  {
    const Lock lock(mutex_);
    if (cut_off_ && options_.metrics != nullptr) options_.metrics->reconnected(now - *cut_off_);
    cut_off_.reset();
    last_failure_ = Status::OK();
    if (view_.version() != published_) nodes = std::make_shared<const Nodes>(view_.nodes());
  }
  if (nodes != nullptr && options_.on_nodes) options_.on_nodes(*nodes);
  const Lock lock(mutex_);
  if (nodes != nullptr) show(std::move(nodes));
  known_nodes_ = known_nodes_ || !view_.nodes().empty();
  known_.notify_all();
  return next == View::Next::kGoOn ? view_.tick(now) : next;
}

void ClusterView::show(std::shared_ptr<const Nodes> nodes) {
  std::set<std::string, std::less<>> ids;
  for (const auto& [id, node] : *nodes) {
    for (const cluster::PoolReport& pool : node.about.pools) ids.insert(pool.pool_id);
  }
  std::map<std::string, std::shared_ptr<const route::Targets>, std::less<>> targets;
  for (const std::string& id : ids) {
    const auto before = targets_.find(id);
    targets.emplace(
        id, route::Targets::build(view_.instances(id), options_.zone,
                                  before == targets_.end() ? nullptr : before->second.get()));
  }
  targets_ = std::move(targets);
  nodes_ = std::move(nodes);
  published_ = view_.version();
}

View::Next ClusterView::list(const cluster::Snapshot& snapshot) {
  const TimePoint now = Clock::now();
  View::Next next;
  std::string alarm;
  bool news = false;
  {
    const Lock lock(mutex_);
    const std::string before = view_.alarm();
    // A list from before the lease, or of another term, need not know of it.
    const bool due = snapshot.term == self_term_ && snapshot.revision >= self_revision_;
    next = view_.apply(now, snapshot, due ? std::string_view(self_) : std::string_view());
    alarm = view_.alarm();
    news = alarm != before;
  }
  if (news && !alarm.empty()) log(LogLevel::kWarning, "manager", options_.source + ": " + alarm);
  return publish(next, now);
}

void ClusterView::expect_node(std::string_view node_id, uint64_t term, uint64_t revision) {
  const Lock lock(mutex_);
  self_ = node_id;
  self_term_ = term;
  self_revision_ = revision;
}

View::Next ClusterView::change(std::string_view cluster, uint64_t term,
                               const cluster::Change& change) {
  const TimePoint now = Clock::now();
  View::Next next;
  {
    const Lock lock(mutex_);
    next = view_.apply(now, cluster, term, change);
  }
  return publish(next, now);
}

View::Next ClusterView::bookmark(std::string_view cluster, uint64_t term, uint64_t revision) {
  const TimePoint now = Clock::now();
  View::Next next;
  {
    const Lock lock(mutex_);
    next = view_.bookmark(now, cluster, term, revision);
  }
  return publish(next, now);
}

void ClusterView::failed(const Status& why) {
  bool first;
  {
    const Lock lock(mutex_);
    first = last_failure_.ok();
    last_failure_ = why;
    const TimePoint now = Clock::now();
    const std::optional<Duration> age = view_.age(now);
    if (first && age) cut_off_ = now;
    if (first && age && options_.metrics != nullptr) options_.metrics->cut_off(*age);
  }
  if (!first) return;
  log(LogLevel::kWarning, "manager",
      options_.kind + " " + options_.source + ": " + why.message() + "; the last view goes on");
}

std::shared_ptr<const route::Targets> ClusterView::targets(std::string_view pool_id) const {
  const Lock lock(mutex_);
  const auto found = targets_.find(pool_id);
  return found == targets_.end() ? nullptr : found->second;
}

bool ClusterView::wait_until_known(const CallContext& context) const {
  const std::stop_callback wake(context.stop, [this] {
    const Lock lock(mutex_);
    known_.notify_all();
  });
  Lock lock(mutex_);
  while (!known_nodes_ && !context.stop.stop_requested() && !context.deadline.passed()) {
    known_.wait_until(lock, context.deadline.at());
  }
  return known_nodes_;
}

std::string ClusterView::age_text() const {
  const std::optional<Duration> age = view_.age(Clock::now());
  std::string text = age ? "the view from " + options_.source + " is " + seconds_text(*age) + " old"
                         : options_.kind + " " + options_.source + " has not answered yet";
  if (!last_failure_.ok()) text += " (" + last_failure_.message() + ")";
  return text;
}

std::string ClusterView::explain(std::string_view pool_id) const {
  constexpr size_t kMost = 8;
  const Lock lock(mutex_);
  std::string text;
  size_t found = 0;
  for (const auto& [id, node] : *nodes_) {
    for (const cluster::PoolReport& pool : node.about.pools) {
      if (pool.pool_id != pool_id || ++found > kMost) continue;
      text += (found == 1 ? "" : ", ") + id + " is " + std::string(to_string(node.state));
      if (!pool.healthy) text += " and its database down";
      if (!pool.writable) text += " and read-only";
    }
  }
  if (found > kMost) text += ", and " + std::to_string(found - kMost) + " more";
  if (found == 0) text = "no node serves it";
  return text + "; " + age_text();
}

std::vector<std::string> ClusterView::pool_ids() const {
  const Lock lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, targets] : targets_) ids.push_back(id);
  return ids;
}

std::shared_ptr<const ClusterView::Nodes> ClusterView::nodes() const {
  const Lock lock(mutex_);
  return nodes_;
}

std::optional<Duration> ClusterView::age() const {
  const Lock lock(mutex_);
  return view_.age(Clock::now());
}

uint64_t ClusterView::config_version(std::string_view node_id) const {
  const std::shared_ptr<const Nodes> nodes = this->nodes();
  const auto found = nodes->find(node_id);
  return found == nodes->end() ? 0 : found->second.config_version;
}

bool ClusterView::is_up(std::string_view node_id) const {
  const Lock lock(mutex_);
  const auto found = nodes_->find(node_id);
  return found != nodes_->end() && found->second.state == cluster::NodeState::kUp;
}

void ClusterView::refused(std::string_view node_id) {
  {
    const Lock lock(mutex_);
    const TimePoint now = Clock::now();
    std::erase_if(told_, [&](const auto& each) { return each.second + kTellInterval <= now; });
    if (!told_.emplace(node_id, now).second) return;
    untold_.emplace(node_id);
  }
  refused_.notify_all();
}

void ClusterView::run_witness(const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] {
    const Lock lock(mutex_);
    refused_.notify_all();
  });
  for (;;) {
    std::string node_id;
    {
      Lock lock(mutex_);
      while (untold_.empty() && !stop.stop_requested()) refused_.wait(lock);
      if (stop.stop_requested()) return;
      node_id = std::move(untold_.extract(untold_.begin()).value());
    }
    discovery_->tell_refused(stop, node_id);
  }
}

ClusterStatus ClusterView::status() const {
  const Lock lock(mutex_);
  ClusterStatus status;
  status.source = options_.source;
  status.cluster = view_.cluster();
  status.term = view_.term();
  status.revision = view_.revision();
  status.age = view_.age(Clock::now());
  status.alarm = view_.alarm();
  if (!last_failure_.ok()) status.last_error = last_failure_.message();
  for (const auto& [id, node] : *nodes_) {
    ClusterStatus::Node& shown = status.nodes.emplace_back();
    shown.id = id;
    shown.location = node.about.location;
    shown.zone = node.about.zone;
    shown.state = to_string(node.state);
    for (const cluster::PoolReport& pool : node.about.pools) shown.pools.push_back(pool.pool_id);
  }
  return status;
}

}  // namespace cenote
