// Channels by node, gates by node and pool.
#include "manager/node_links.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

namespace cenote {
namespace {

constexpr Duration kKnock = std::chrono::milliseconds(500);
// Of finding out where a node is.
constexpr Duration kOpen = std::chrono::seconds(1);

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
  silence_.begin(now);
  load_->begin();
}

bool Gate::is_silent(TimePoint now) const {
  return is_lost() || silence_.lasts(now) > kSilent;
}

bool Gate::is_to_ask(TimePoint now) {
  if (is_lost()) return false;
  const int64_t time = now.time_since_epoch().count();
  int64_t before = asked_.load(std::memory_order_relaxed);
  return time - before > kSilent.count() &&
         asked_.compare_exchange_strong(before, time, std::memory_order_relaxed);
}

bool Gate::allow(TimePoint now) {
  const int64_t time = now.time_since_epoch().count();
  if (time < refused_until_.load(std::memory_order_relaxed)) return false;
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

Result<std::unique_ptr<NodeLinks>> NodeLinks::make(const NodeAccess& access, Reach reach) {
  flight::ChannelOptions options;
  options.username = access.username;
  options.password = access.password;
  options.token = access.token;
  options.connect_timeout = access.connect_timeout;
  ARROW_ASSIGN_OR_RAISE(options.root_ca, read_pem(access.tls.ca, "ca"));
  ARROW_ASSIGN_OR_RAISE(options.certificate, read_pem(access.tls.certificate, "certificate"));
  ARROW_ASSIGN_OR_RAISE(options.key, read_pem(access.tls.key, "key"));
  return std::unique_ptr<NodeLinks>(new NodeLinks(std::move(options), std::move(reach)));
}

void NodeLinks::update(const ClusterView::Nodes& nodes) {
  std::vector<NodeLink> ended;  // destroyed without the lock
  for (const auto& channel : judge(nodes, &ended)) channel->cut();
}

std::vector<std::shared_ptr<flight::NodeChannel>> NodeLinks::judge(const ClusterView::Nodes& nodes,
                                                                   std::vector<NodeLink>* ended) {
  std::vector<std::shared_ptr<flight::NodeChannel>> silenced;
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
      if (link.state != before && (dead || silent)) silenced.push_back(link.channel);
      ++each;
    } else {
      ended->push_back(std::move(each->second));
      each = links_.erase(each);
    }
  }
  incarnations_.clear();
  for (const auto& [id, node] : nodes) incarnations_.emplace(id, node.about.incarnation);
  return silenced;
}

Result<std::shared_ptr<flight::NodeChannel>> NodeLinks::open(const std::string& location,
                                                             const CallContext& context) const {
  constexpr std::array<std::string_view, 2> kSchemes = {"grpc", "grpc+tls"};
  ARROW_ASSIGN_OR_RAISE(const Place place, parse_place(location, kSchemes));
  const Deadline deadline = context.deadline.sooner(Deadline::in(kOpen));
  const Result<std::vector<std::string>> found = reach_.addresses(place, {deadline, context.stop});
  const ErrorKind failure = error_kind(found.status());
  if (!found.ok() && failure != ErrorKind::kQueryTimeout && failure != ErrorKind::kConnection) {
    return found.status();
  }
  const std::vector<std::string> addresses = found.ValueOr({});
  if (addresses.empty()) {
    ErrorDetail detail;
    // A resolver that is slow is a trouble of the node, unless the caller had no time.
    detail.kind = context.deadline.passed() ? ErrorKind::kQueryTimeout : ErrorKind::kConnection;
    detail.sent = Sent::kNo;
    detail.endpoint = location;
    return make_error(std::move(detail),
                      "node " + location + ": " +
                          (found.ok() ? "its name is not known here" : found.status().message()));
  }
  // What was judged is what is connected to: a name may mean something else a moment later. Of
  // several the first that does not refuse, as of localhost, where a node serves one family.
  const auto chosen = std::find_if(addresses.begin(), addresses.end(), [&](const auto& address) {
    return &address == &addresses.back() ||
           !is_refused(address, place.port, deadline.sooner(Deadline::in(kKnock)));
  });
  flight::ChannelOptions options = options_;
  options.location = location;
  options.address = *chosen;
  if (options.server_name.empty()) options.server_name = place.host;
  return flight::NodeChannel::open(std::move(options));
}

std::optional<Link> NodeLinks::known(const route::Target& target, std::string_view pool_id) {
  NodeLink& link = links_[target.node_id];
  if (link.channel == nullptr || link.location != target.location) return std::nullopt;
  std::shared_ptr<Gate>& gate = link.gates[std::string(pool_id)];
  if (gate == nullptr) {
    gate = std::make_shared<Gate>(target.load);
    if (link.lost) gate->lost();
  }
  return Link{link.channel, gate, link.hold};
}

void NodeLinks::give_up(const std::set<std::string, std::less<>>& node_ids) {
  std::vector<std::shared_ptr<flight::NodeChannel>> silent;
  {
    const Lock lock(mutex_);
    for (const auto& [id, link] : links_) {
      const bool harmless = link.hold.use_count() == 1;
      if (harmless && link.channel != nullptr && node_ids.contains(id)) {
        silent.push_back(link.channel);
      }
    }
  }
  for (const auto& channel : silent) channel->cut();
}

std::vector<NodeLinks::Silent> NodeLinks::silent(TimePoint now, size_t most) {
  std::vector<Silent> found;
  {
    const Lock lock(mutex_);
    for (const auto& [id, link] : links_) {
      if (link.channel == nullptr) continue;
      const Duration lasts = link.channel->silent_for(now);
      if (link.lost || lasts > Gate::kSilent) found.push_back({id, link.channel, lasts});
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Silent& a, const Silent& b) { return a.lasts > b.lasts; });
  found.resize(std::min(found.size(), most));
  return found;
}

void NodeLinks::asked(const Silent& node, bool alive) {
  const TimePoint now = Clock::now();
  bool cut = false;
  {
    const Lock lock(mutex_);
    const auto found = links_.find(node.node_id);
    if (found == links_.end() || found->second.channel != node.channel) return;
    NodeLink& link = found->second;
    link.lost = !alive;
    for (const auto& [pool, gate] : link.gates) {
      if (alive) {
        gate->heard(now);
      } else {
        gate->lost();
      }
    }
    const Duration patience = link.hold.use_count() == 1 ? kReadsWait : kAllWait;
    cut = !alive && node.lasts >= patience;
  }
  if (cut) node.channel->cut();
}

std::set<std::string, std::less<>> NodeLinks::lost() {
  const Lock lock(mutex_);
  std::set<std::string, std::less<>> ids;
  for (const auto& [id, link] : links_) {
    if (link.lost) ids.insert(id);
  }
  return ids;
}

Result<std::shared_ptr<flight::NodeChannel>> NodeLinks::channel(const std::string& node_id,
                                                                const std::string& location,
                                                                const CallContext& context) {
  {
    const Lock lock(mutex_);
    const auto found = links_.find(node_id);
    const bool known = found != links_.end() && found->second.location == location;
    if (known && found->second.channel != nullptr) return found->second.channel;
  }
  // Not kept: calls of pools make one of their own, with what belongs to it.
  return open(location, context);
}

Result<Link> NodeLinks::link(const route::Target& target, std::string_view pool_id,
                             const CallContext& context) {
  {
    const Lock lock(mutex_);
    if (std::optional<Link> link = known(target, pool_id)) return std::move(*link);
  }
  ARROW_ASSIGN_OR_RAISE(auto channel, open(target.location, context));
  NodeLink ended;  // destroyed without the lock
  const Lock lock(mutex_);
  // Another thread may have been faster.
  if (std::optional<Link> link = known(target, pool_id)) return std::move(*link);
  NodeLink& link = links_[target.node_id];
  ended = std::exchange(link, NodeLink());
  link.channel = std::move(channel);
  link.location = target.location;
  return *known(target, pool_id);
}

}  // namespace cenote
