// Whether this process hears the cluster: the probes behind the rule of src/partition, on threads
// of their own, and what calls must heed of its verdicts. No call waits for it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cenote/manager.h"

#include "base/mutex.h"
#include "manager/cluster_view.h"
#include "manager/node_links.h"
#include "manager/route_metrics.h"
#include "net/knock.h"
#include "net/reach.h"
#include "partition/network_partition_handler.h"
#include "partition/plan.h"

namespace cenote {

// Thread-safe.
class PartitionWatch {
 public:
  using Handler = partition::NetworkPartitionHandler;
  struct Options {
    Handler::Options rule;
    Reach reach;
    std::string self;  // the node id of this process, if it serves
    // Whether a database of this process's own pools answers; none: there is none.
    std::function<std::optional<bool>()> databases{};
    RouteMetrics* metrics = nullptr;
  };

  // `view` and `links` outlive it.
  PartitionWatch(ClusterView& view, NodeLinks& links, Options options);
  // Probes no more.
  ~PartitionWatch();

  // Null: nothing to heed. The way of every call: an atomic while all is well.
  std::shared_ptr<const partition::Plan> plan() const;
  ClusterStatus::Partition status() const;
  // By node id: whether it answers, of those that were probed.
  std::map<std::string, bool, std::less<>> reached() const;
  // This process holds a lease under that id.
  void registered(std::string_view node_id);
  // The node id of this process, if it serves.
  std::string self() const;
  // As DistributedPoolManager's.
  Status recover();

 private:
  struct Found {  // of a location, by the resolver
    std::vector<Door> doors;
    bool lasts = false;  // a number, not a name
    TimePoint at;
  };
  struct Peer {
    std::string node_id;
    std::string location;
  };

  // Of the ticking thread.
  void run(const std::stop_token& stop);
  void take_nodes(TimePoint now);
  void act(const std::stop_token& stop, Handler::Output out);
  Handler::Output probe(const std::stop_token& stop, const partition::Probe& wanted);
  void ask(const std::vector<std::string>& peers);
  void take_answers(const std::stop_token& stop);
  void look_at_step(const std::stop_token& stop);
  bool is_done(partition::Step step) const;
  void tell(const partition::Event& event) const;
  void publish(TimePoint now);

  // Of threads of their own, which may wait for a name.
  void run_source(const std::stop_token& stop);
  void run_helper(const std::stop_token& stop);
  void resolve(const std::stop_token& stop, const std::string& location);
  std::optional<bool> sight_of(const Peer& peer, const CallContext& context);
  partition::Answers ask_all(const std::stop_token& stop, const std::vector<Peer>& peers);

  ClusterView& view_;
  NodeLinks& links_;
  const Options options_;

  // Of the ticking thread.
  Handler rule_;
  std::shared_ptr<const ClusterView::Nodes> nodes_;
  TimePoint step_since_;

  std::atomic<bool> quiet_{true};
  mutable Mutex mutex_;  // guards all below; memory only
  mutable std::condition_variable_any wake_;
  std::shared_ptr<const partition::Plan> plan_ CENOTE_GUARDED_BY(mutex_);
  ClusterStatus::Partition status_ CENOTE_GUARDED_BY(mutex_);
  TimePoint since_ CENOTE_GUARDED_BY(mutex_);
  std::map<std::string, bool, std::less<>> reached_ CENOTE_GUARDED_BY(mutex_);
  std::string self_ CENOTE_GUARDED_BY(mutex_);
  std::optional<TimePoint> registered_ CENOTE_GUARDED_BY(mutex_);
  bool word_ CENOTE_GUARDED_BY(mutex_) = false;
  // The source is to be asked for that round, and was for this one.
  uint64_t source_wanted_ CENOTE_GUARDED_BY(mutex_) = 0;
  uint64_t source_asked_ CENOTE_GUARDED_BY(mutex_) = 0;
  bool source_answered_ CENOTE_GUARDED_BY(mutex_) = false;
  std::map<std::string, Found, std::less<>> found_ CENOTE_GUARDED_BY(mutex_);  // by location
  std::set<std::string, std::less<>> unresolved_ CENOTE_GUARDED_BY(mutex_);
  std::vector<Peer> to_ask_ CENOTE_GUARDED_BY(mutex_);
  std::optional<partition::Answers> answers_ CENOTE_GUARDED_BY(mutex_);

  std::jthread source_;
  std::jthread helper_;
  std::jthread ticker_;  // last: all end before what they use
};

}  // namespace cenote
