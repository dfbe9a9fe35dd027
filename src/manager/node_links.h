// The ways to the nodes of the view: one channel each, made with its first call and closed when its
// node leaves or starts anew, and for each pool there a breaker.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/deployment.h"

#include "base/mutex.h"
#include "flight/node_channel.h"
#include "flight/silence.h"
#include "manager/cluster_view.h"
#include "net/reach.h"
#include "route/breaker.h"
#include "route/target.h"

namespace cenote {

// The breaker of one target, what it tells the choice, and whether the target still says anything.
// A process that is stopped, or a machine that is cut off, closes no connection: without the latter
// every call of its turn would wait there until the coordinator tells. Thread-safe.
class Gate {
 public:
  // Nothing heard for this long, while calls wait: it is asked before it gets more.
  static constexpr Duration kSilent = std::chrono::milliseconds(500);
  // Twice the lease of a node: until then the view lacks it, or shows a new process, with a new
  // gate.
  static constexpr Duration kRefused = std::chrono::seconds(10);

  explicit Gate(std::shared_ptr<route::Load> load) : load_(std::move(load)) { load_->open(); }

  // A call waits for its answer from here on, until it is answered or given up.
  void begin(TimePoint now);
  void no_longer_waits() { silence_.end(); }
  // Anything came from the target.
  void heard(TimePoint now) {
    silence_.heard(now);
    refused_until_.store(0, std::memory_order_relaxed);
    lost_.store(false, std::memory_order_relaxed);
  }
  // Its node gave no sign of life: passed over where there are others, until something is heard.
  // SilenceWatch goes on asking, so that no call has to.
  void lost() { lost_.store(true, std::memory_order_relaxed); }
  bool is_lost() const { return lost_.load(std::memory_order_relaxed); }
  // Its port refused a connection: nobody is there, and no breaker need try it again.
  void refused(TimePoint now) {
    refused_until_.store((now + kRefused).time_since_epoch().count(), std::memory_order_relaxed);
  }
  bool is_silent(TimePoint now) const;
  // Whether this caller is the one to ask a silent target for a sign of life; once in kSilent.
  bool is_to_ask(TimePoint now);

  // May a call go there? While half-open one at a time.
  bool allow(TimePoint now);
  void succeeded(TimePoint now);
  void failed(TimePoint now, uint64_t random);
  // The call ended without a word of the target's health.
  void unclear(TimePoint now, uint64_t random);
  route::Load& load() { return *load_; }

 private:
  const std::shared_ptr<route::Load> load_;
  flight::Silence silence_;
  std::atomic<int64_t> asked_{0};
  std::atomic<int64_t> refused_until_{0};
  std::atomic<bool> lost_{false};
  Mutex mutex_;  // guards the breaker; memory only
  route::Breaker breaker_ CENOTE_GUARDED_BY(mutex_);
};

// One pool on one node, ready for a call.
struct Link {
  std::shared_ptr<flight::NodeChannel> channel;
  std::shared_ptr<Gate> gate;
  // Kept by whoever would lose something if the connection was cut: writes, transactions.
  std::shared_ptr<void> hold;
};

// Thread-safe.
class NodeLinks {
 public:
  // Reads the files of `access`: kConfig names one that cannot be read.
  // Nodes elsewhere than in `reach` are not connected to.
  static Result<std::unique_ptr<NodeLinks>> make(const NodeAccess& access, Reach reach);

  // Of a new view. Calls under way on a channel that is let go keep it until they end; those on a
  // dead node are ended, and on a silent one if none of them has anything to lose.
  void update(const ClusterView::Nodes& nodes);
  // The first of a node waits for the resolver, where its location holds a name, and sees whether
  // its ports refuse: for a second at the most. kConfig: the location leads where no node may be;
  // kConnection: its name is not known; kQueryTimeout, kCancelled by `context`.
  Result<Link> link(const route::Target& target, std::string_view pool_id,
                    const CallContext& context);
  // Nothing comes from these nodes: calls that wait there end, where they have nothing to lose.
  void give_up(const std::set<std::string, std::less<>>& node_ids);
  // A node on which calls wait in vain, or that gave no sign of life and is to be asked for one.
  struct Silent {
    std::string node_id;
    std::shared_ptr<flight::NodeChannel> channel;
    Duration lasts{};  // without a word to those who wait
  };
  // At most so many, the longest silence first.
  std::vector<Silent> silent(TimePoint now, size_t most);
  // What asking it came to. No sign of life ends what waits there for kReadsWait if it has nothing
  // to lose, and for kAllWait whatever it is: a write's outcome is unknown then.
  void asked(const Silent& node, bool alive);
  // Their ids: the nodes that gave no sign of life when they were asked last.
  std::set<std::string, std::less<>> lost();
  // The time in which a node's lease is missed, and twice the time until it ends.
  static constexpr Duration kReadsWait = std::chrono::seconds(3);
  static constexpr Duration kAllWait = std::chrono::seconds(10);
  // The channel alone, for what is no call of a pool.
  Result<std::shared_ptr<flight::NodeChannel>> channel(const std::string& node_id,
                                                       const std::string& location,
                                                       const CallContext& context);

 private:
  struct NodeLink {
    std::string location;
    std::shared_ptr<flight::NodeChannel> channel;
    std::shared_ptr<void> hold = std::make_shared<int>();
    cluster::NodeState state = cluster::NodeState::kUp;
    bool lost = false;                                                // no sign of life
    std::map<std::string, std::shared_ptr<Gate>, std::less<>> gates;  // by pool
  };

  // The channels on which nothing is to be waited for any more.
  std::vector<std::shared_ptr<flight::NodeChannel>> judge(const ClusterView::Nodes& nodes,
                                                          std::vector<NodeLink>* ended);

  NodeLinks(flight::ChannelOptions options, Reach reach)
      : options_(std::move(options)), reach_(std::move(reach)) {}
  Result<std::shared_ptr<flight::NodeChannel>> open(const std::string& location,
                                                    const CallContext& context) const;
  std::optional<Link> known(const route::Target& target, std::string_view pool_id)
      CENOTE_REQUIRES(mutex_);

  const flight::ChannelOptions options_;  // all but location and address
  const Reach reach_;
  Mutex mutex_;  // guards all below; nothing waits under it
  std::map<std::string, NodeLink, std::less<>> links_ CENOTE_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t, std::less<>> incarnations_ CENOTE_GUARDED_BY(mutex_);
};

}  // namespace cenote
