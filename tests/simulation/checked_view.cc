// What a view took, and whether it may.
#include "simulation/checked_view.h"

#include <algorithm>
#include <utility>

namespace cenote::simulation {

using cluster::NodeState;
using cluster::View;

void CheckedView::forget() {
  view_.emplace(View::Options());
  targets_ = std::make_shared<const route::Targets>();
  shown_ = term_ = revision_ = 0;
  frozen_.clear();
}

// The mistakes: a view that forgets what it knew takes anything.
void CheckedView::plant(const cluster::Snapshot& snapshot) {
  const bool empty = snapshot.nodes.empty() && world_.has(Bug::kEmptyAnswerTaken);
  const bool old = snapshot.term < view_->term() && world_.has(Bug::kOldAnswerTaken);
  if (!empty && !old) return;
  view_.emplace(View::Options());
  shown_ = ~uint64_t{0};
}

CheckedView::Next CheckedView::list(TimePoint now, const cluster::Snapshot& snapshot,
                                    std::string_view self) {
  const size_t before = view_->nodes().size();
  const bool old = snapshot.term < view_->term();
  plant(snapshot);
  const Next next = view_->apply(now, snapshot, self);
  if (old && !view_->alarm().empty()) world_.checks().hit(Sometimes::kOldAnswerDropped);
  if (snapshot.nodes.empty() && before > 0) world_.checks().hit(Sometimes::kEmptyAnswerKept);
  return taken(now, next, before, "a list");
}

CheckedView::Next CheckedView::change(TimePoint now, uint64_t term, const cluster::Change& change) {
  const Next next = view_->apply(now, view_->cluster(), term, change);
  return taken(now, next, 0, "a change");
}

CheckedView::Next CheckedView::bookmark(TimePoint now, uint64_t term, uint64_t revision) {
  return taken(now, view_->bookmark(now, view_->cluster(), term, revision), 0, "a bookmark");
}

CheckedView::Next CheckedView::taken(TimePoint now, Next next, size_t before, std::string_view by) {
  const View& view = *view_;
  if (before > 0 && view.nodes().empty()) {
    world_.checks().fail(owner_ + "'s view of " + std::to_string(before) +
                         " nodes was emptied by " + std::string(by));
  }
  if (std::pair(view.term(), view.revision()) < std::pair(term_, revision_)) {
    world_.checks().fail(owner_ + "'s view went back by " + std::string(by) + ", from " +
                         std::to_string(term_) + "." + std::to_string(revision_) + " to " +
                         std::to_string(view.term()) + "." + std::to_string(view.revision()));
  }
  term_ = view.term();
  revision_ = view.revision();
  if (view.version() != shown_) {
    for (const auto& [id, node] : view.nodes()) {
      const bool frozen = node.state == NodeState::kFrozen;
      if (frozen) world_.checks().hit(Sometimes::kFroze);
      const bool thawed = node.state == NodeState::kUp && frozen_.contains(id);
      if (thawed) world_.checks().hit(Sometimes::kThawed);
      if (frozen) frozen_.insert(id);
      if (thawed) frozen_.erase(id);
    }
    targets_ = route::Targets::build(view.instances(kPool), "", targets_.get());
    shown_ = view.version();
  }
  return next == Next::kGoOn ? view.tick(now) : next;
}

bool CheckedView::all_up(size_t count) const {
  const auto& nodes = view_->nodes();
  return nodes.size() == count && std::all_of(nodes.begin(), nodes.end(), [](const auto& each) {
           return each.second.state == NodeState::kUp;
         });
}

}  // namespace cenote::simulation
