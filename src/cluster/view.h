// What a process believes about the cluster, from lists and changes that reach it in any order.
// Pure. The rules: an answer of an older term or another cluster is dropped, a gap or a new term
// asks for a fresh list, and an empty answer never empties the view.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/instance.h"

namespace cenote::cluster {

class View {
 public:
  // What the reader of the source is to do next.
  enum class Next : uint8_t { kGoOn, kList };
  struct Options {
    Duration silence_limit = std::chrono::seconds(12);  // a watch this quiet is taken for dead
    Duration relist = std::chrono::seconds(60);         // a watch may lose changes (etcd 3.4.23)
  };

  explicit View(Options options) : options_(options) {}

  // Takes a whole list, or refuses it and asks for another: an empty or provisional list never
  // removes what is known.
  // `self`: the node id of this process if it serves; a list without it is distrusted.
  Next apply(TimePoint now, const Snapshot& list, std::string_view self = {});
  Next apply(TimePoint now, std::string_view cluster, uint64_t term, const Change& change);
  // The source says that it has nothing newer than this.
  Next bookmark(TimePoint now, std::string_view cluster, uint64_t term, uint64_t revision);
  // kList once the source was silent, or not listed, for too long.
  Next tick(TimePoint now) const;

  const std::map<std::string, Node, std::less<>>& nodes() const { return nodes_; }
  std::vector<PoolInstance> instances(std::string_view pool_id) const;
  const std::string& cluster() const { return cluster_; }
  uint64_t term() const { return term_; }
  uint64_t revision() const { return revision_; }
  // Grows whenever the nodes do; lets a reader rebuild only then.
  uint64_t version() const { return version_; }
  bool is_empty() const { return nodes_.empty(); }
  // How long ago the source last confirmed this; none if it never did.
  std::optional<Duration> age(TimePoint now) const;
  // Why the last answer was not taken; empty when it was.
  const std::string& alarm() const { return alarm_; }

 private:
  bool foreign(std::string_view cluster);
  Next refuse(std::string why, Next next);

  const Options options_;
  std::map<std::string, Node, std::less<>> nodes_;
  std::string cluster_;
  uint64_t term_ = 0;
  uint64_t revision_ = 0;
  uint64_t version_ = 0;
  std::optional<TimePoint> heard_;
  std::optional<TimePoint> listed_;
  std::string alarm_;
};

}  // namespace cenote::cluster
