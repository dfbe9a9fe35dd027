// The real view and the targets made of it, watched: it is never emptied by an answer and never
// goes back in time.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "cluster/view.h"
#include "route/targets.h"
#include "simulation/world.h"

namespace cenote::simulation {

inline constexpr std::string_view kPool = "main_db";

class CheckedView {
 public:
  using Next = cluster::View::Next;

  CheckedView(World& world, std::string owner) : world_(world), owner_(std::move(owner)) {}

  // A process begins without a view.
  void forget();
  Next list(TimePoint now, const cluster::Snapshot& snapshot, std::string_view self = {});
  Next change(TimePoint now, uint64_t term, const cluster::Change& change);
  Next bookmark(TimePoint now, uint64_t term, uint64_t revision);
  Next tick(TimePoint now) const { return view_->tick(now); }

  const cluster::View& view() const { return *view_; }
  // Of the view's newest state.
  const route::Targets& targets() const { return *targets_; }
  // Whether all of `count` nodes are listed as up, and nobody else.
  bool all_up(size_t count) const;

 private:
  void plant(const cluster::Snapshot& snapshot);
  Next taken(TimePoint now, Next next, size_t before, std::string_view by);

  World& world_;
  const std::string owner_;
  std::optional<cluster::View> view_{cluster::View(cluster::View::Options())};
  std::shared_ptr<const route::Targets> targets_ = std::make_shared<const route::Targets>();
  std::set<std::string> frozen_;
  uint64_t shown_ = 0;  // the view's version that the targets are of
  uint64_t term_ = 0;
  uint64_t revision_ = 0;
};

}  // namespace cenote::simulation
