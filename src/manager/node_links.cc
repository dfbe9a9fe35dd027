// Channels by node, gates by node and pool.
#include "manager/node_links.h"

#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

namespace cenote {
namespace {

Result<std::string> read_pem(const std::string& path, std::string_view key) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return make_error(ErrorKind::kConfig,
                      "remote." + std::string(key) + ": the file '" + path +
                          "' cannot be read; check the path and its permissions");
  }
  return std::move(text).str();
}

}  // namespace

void Gate::begin(TimePoint now) {
  // The first to wait does not blame the target for the time when nobody asked it anything.
  if (waiting_.fetch_add(1, std::memory_order_relaxed) == 0) heard(now);
  load_->begin();
}

bool Gate::is_silent(TimePoint now) const {
  return waiting_.load(std::memory_order_relaxed) > 0 &&
         now.time_since_epoch().count() - heard_.load(std::memory_order_relaxed) > kSilent.count();
}

bool Gate::is_to_ask(TimePoint now) {
  const int64_t time = now.time_since_epoch().count();
  int64_t before = asked_.load(std::memory_order_relaxed);
  return time - before > kSilent.count() &&
         asked_.compare_exchange_strong(before, time, std::memory_order_relaxed);
}

bool Gate::allow(TimePoint now) {
  const Lock lock(mutex_);
  return breaker_.allow(now);
}

void Gate::succeeded(TimePoint now) {
  const Lock lock(mutex_);
  if (!breaker_.succeeded(now)) return;
  load_->open();
  load_->start_slowly(now);
}

void Gate::failed(TimePoint now, uint64_t random) {
  const Lock lock(mutex_);
  if (breaker_.failed(now, random)) load_->shut(breaker_.open_until());
}

void Gate::unclear(TimePoint now, uint64_t random) {
  const Lock lock(mutex_);
  // A probe must end one way or the other, or no other follows.
  if (breaker_.state() != route::Breaker::State::kHalfOpen) return;
  if (breaker_.failed(now, random)) load_->shut(breaker_.open_until());
}

Result<std::unique_ptr<NodeLinks>> NodeLinks::make(const NodeAccess& access) {
  flight::ChannelOptions options;
  options.username = access.username;
  options.password = access.password;
  options.token = access.token;
  options.connect_timeout = access.connect_timeout;
  ARROW_ASSIGN_OR_RAISE(options.root_ca, read_pem(access.tls.ca, "ca"));
  ARROW_ASSIGN_OR_RAISE(options.certificate, read_pem(access.tls.certificate, "certificate"));
  ARROW_ASSIGN_OR_RAISE(options.key, read_pem(access.tls.key, "key"));
  return std::unique_ptr<NodeLinks>(new NodeLinks(std::move(options)));
}

void NodeLinks::update(const ClusterView::Nodes& nodes) {
  std::vector<NodeLink> ended;  // destroyed without the lock
  const Lock lock(mutex_);
  for (auto each = links_.begin(); each != links_.end();) {
    const auto node = nodes.find(each->first);
    const auto known = incarnations_.find(each->first);
    const bool same = node != nodes.end() && node->second.about.location == each->second.location &&
                      known != incarnations_.end() &&
                      known->second == node->second.about.incarnation;
    if (same) {
      NodeLink& link = each->second;
      const cluster::NodeState before = std::exchange(link.state, node->second.state);
      const bool dead = link.state == cluster::NodeState::kDead;
      const bool silent = link.state == cluster::NodeState::kSuspect && link.hold.use_count() == 1;
      if (link.state != before && (dead || silent)) link.channel->cut();
      ++each;
    } else {
      ended.push_back(std::move(each->second));
      each = links_.erase(each);
    }
  }
  incarnations_.clear();
  for (const auto& [id, node] : nodes) incarnations_.emplace(id, node.about.incarnation);
}

Result<Link> NodeLinks::link(const route::Target& target, std::string_view pool_id) {
  NodeLink ended;
  const Lock lock(mutex_);
  NodeLink& link = links_[target.node_id];
  if (link.channel == nullptr || link.location != target.location) {
    ended = std::exchange(link, NodeLink());
    flight::ChannelOptions options = options_;
    options.location = target.location;
    ARROW_ASSIGN_OR_RAISE(link.channel, flight::NodeChannel::open(std::move(options)));
    link.location = target.location;
  }
  std::shared_ptr<Gate>& gate = link.gates[std::string(pool_id)];
  if (gate == nullptr) gate = std::make_shared<Gate>(target.load);
  return Link{link.channel, gate, link.hold};
}

}  // namespace cenote
