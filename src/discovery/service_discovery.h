// ADR-002's ServiceDiscovery: where a process learns who else is there, and tells that it is. One
// implementation for each source (a coordinator, Consul, etcd, a fixed list). The calls block on a
// thread that the caller owns, so that no implementation needs locks (apache/brpc's NamingService).
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "cenote/error.h"

#include "cluster/instance.h"
#include "cluster/metrics_aggregator.h"
#include "cluster/service_registry.h"
#include "cluster/view.h"

namespace cenote::discovery {

// Takes what is learnt; called on the watching thread only. The answer kList asks for a fresh list.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual cluster::View::Next list(const cluster::Snapshot& snapshot) = 0;
  virtual cluster::View::Next change(std::string_view cluster, uint64_t term,
                                     const cluster::Change& change) = 0;
  virtual cluster::View::Next bookmark(std::string_view cluster, uint64_t term,
                                       uint64_t revision) = 0;
  // The source could not be asked; it will be asked again by itself.
  virtual void failed(const Status& why) = 0;
};

// Speaks for a process that serves others; called on the serving thread only.
class Member {
 public:
  virtual ~Member() = default;
  virtual cluster::Registration about() = 0;
  // Fills in all but node_id, incarnation, lease and seq.
  virtual void fill(cluster::Heartbeat* beat) = 0;
  virtual cluster::MetricsReport metrics() = 0;
  // A configuration to apply whole or refuse whole; the error is told to the source.
  virtual Status apply_config(uint64_t version, std::string_view content) = 0;
  virtual void set_draining(bool draining) = 0;
  // Whether the last heartbeat was heard; false: why.
  virtual void renewed(const Status& status) = 0;
  // The lease held at that place of the source's history: whatever list is as new must have this
  // member. Called before renewed().
  virtual void seen_at(uint64_t term, uint64_t revision) {
    (void)term;
    (void)revision;
  }
};

// The longest that a probe of a source waits.
inline constexpr Duration kProbe = std::chrono::milliseconds(500);

class ServiceDiscovery {
 public:
  virtual ~ServiceDiscovery() = default;
  // Lists, then follows changes, until stopped. Never returns before, whatever fails.
  virtual void watch(const std::stop_token& stop, Watcher& watcher) = 0;
  // Registers, renews, hands configurations on, until stopped; then leaves.
  virtual void serve(const std::stop_token& stop, Member& member) = 0;
  // Tells the source that a node's port refused a connection, so that it looks for itself. On any
  // thread, beside the calls above; one bounded attempt, whose failure matters to nobody. A store
  // cannot look: there a lease runs out.
  virtual void tell_refused(const std::stop_token& /*stop*/, std::string_view /*node_id*/) {}
  // Whether the source answers now: one small question, an answer within half a second or none. By
  // one thread of its own, beside the calls above. A fixed list has no source: never asked.
  virtual bool has_source() const { return true; }
  virtual Status probe(const std::stop_token& stop) = 0;
};

}  // namespace cenote::discovery
