// Taking and refusing what the source says.
#include "cluster/view.h"

#include <utility>

namespace cenote::cluster {

bool View::foreign(std::string_view cluster) {
  return !cluster_.empty() && cluster != cluster_;
}

View::Next View::refuse(std::string why, Next next) {
  alarm_ = std::move(why);
  return next;
}

View::Next View::apply(TimePoint now, const Snapshot& list, std::string_view self) {
  if (foreign(list.cluster)) {
    return refuse("the source now answers for cluster '" + list.cluster + "', not '" + cluster_ +
                      "'; the last view is kept",
                  Next::kList);
  }
  if (listed_ && list.term < term_) {
    return refuse("an answer of an older term was dropped", Next::kList);
  }
  if (list.term == term_ && listed_ && list.revision < revision_) {
    return refuse("an answer older than the view was dropped", Next::kList);
  }
  if (list.nodes.empty() && !nodes_.empty()) {
    return refuse("the source answers with no nodes at all; the last view of " +
                      std::to_string(nodes_.size()) + " nodes is kept",
                  Next::kList);
  }
  std::map<std::string, Node, std::less<>> next;
  for (const Node& node : list.nodes) next.emplace(node.about.node_id, node);
  if (!self.empty() && !next.contains(self)) {
    return refuse("this node renews its lease but is missing in the list; the last view is kept",
                  Next::kList);
  }
  if (list.provisional) {
    for (const auto& [id, node] : nodes_) next.emplace(id, node);
  }
  if (next != nodes_) {
    nodes_ = std::move(next);
    ++version_;
  }
  cluster_ = list.cluster;
  term_ = list.term;
  revision_ = list.revision;
  heard_ = now;
  // A provisional list is not the last word.
  listed_ = list.provisional ? now - options_.relist + std::chrono::seconds(2) : now;
  alarm_.clear();
  return Next::kGoOn;
}

View::Next View::apply(TimePoint now, std::string_view cluster, uint64_t term,
                       const Change& change) {
  if (!listed_) return Next::kList;
  if (foreign(cluster) || term < term_)
    return refuse("a change of another cluster or term was dropped", Next::kGoOn);
  if (term > term_) return Next::kList;
  if (change.revision <= revision_) return Next::kGoOn;  // known
  if (change.revision > revision_ + 1) return Next::kList;
  revision_ = change.revision;
  heard_ = now;
  if (change.node) {
    nodes_.insert_or_assign(change.node_id, *change.node);
  } else {
    nodes_.erase(change.node_id);
  }
  ++version_;
  return Next::kGoOn;
}

View::Next View::bookmark(TimePoint now, std::string_view cluster, uint64_t term,
                          uint64_t revision) {
  if (!listed_) return Next::kList;
  if (foreign(cluster) || term < term_)
    return refuse("a bookmark of another cluster or term was dropped", Next::kGoOn);
  if (term != term_ || revision != revision_) return Next::kList;
  heard_ = now;
  return Next::kGoOn;
}

View::Next View::tick(TimePoint now) const {
  if (!listed_ || !heard_) return Next::kList;
  if (now - *heard_ >= options_.silence_limit) return Next::kList;
  return now - *listed_ >= options_.relist ? Next::kList : Next::kGoOn;
}

std::vector<PoolInstance> View::instances(std::string_view pool_id) const {
  std::vector<PoolInstance> found;
  for (const auto& [id, node] : nodes_) {
    const Registration& about = node.about;
    for (const PoolReport& pool : about.pools) {
      if (pool.pool_id != pool_id) continue;
      found.push_back({id, about.location, about.zone, about.weight, node.state, pool});
    }
  }
  return found;
}

std::optional<Duration> View::age(TimePoint now) const {
  if (!heard_) return std::nullopt;
  return Duration(now - *heard_);
}

}  // namespace cenote::cluster
