// Serialising is the dear part: 2,000 watchers share one text for each change.
#include "coordinator/change_feed.h"

#include <utility>

#include "cluster/wire.h"

namespace cenote::coordinator {

ChangeFeed::ChangeFeed(const PoolCoordinator& coordinator)
    : coordinator_(coordinator), newest_(coordinator.revision()) {}

std::string ChangeFeed::event(std::string_view name, uint64_t revision, Json data) const {
  data["cluster"] = coordinator_.cluster();
  data["term"] = json_number(coordinator_.term());
  data["revision"] = json_number(revision);
  return "id: " + std::to_string(coordinator_.term()) + "." + std::to_string(revision) +
         "\nevent: " + std::string(name) + "\ndata: " + data.dump() + "\n\n";
}

void ChangeFeed::catch_up() {
  const auto changes = coordinator_.changes_after(newest_);
  if (!changes) {  // more at once than the registry keeps: every watcher lists again
    events_.clear();
    newest_ = coordinator_.revision();
    return;
  }
  for (const cluster::Change& change : *changes) {
    events_.push_back(event("change", change.revision, cluster::to_json(change)));
    newest_ = change.revision;
    if (events_.size() > kEvents) events_.pop_front();
  }
}

bool ChangeFeed::reaches(uint64_t revision) {
  const Lock lock(mutex_);
  catch_up();
  return revision <= newest_ && revision + events_.size() >= newest_;
}

bool ChangeFeed::append(uint64_t* revision, std::string* events) {
  const Lock lock(mutex_);
  catch_up();
  if (*revision > newest_ || *revision + events_.size() < newest_) return false;
  size_t at = events_.size() - static_cast<size_t>(newest_ - *revision);
  for (; at < events_.size() && events->size() < kPiece; ++at, ++*revision) *events += events_[at];
  return true;
}

std::string ChangeFeed::bookmark(uint64_t revision) const {
  return event("bookmark", revision, Json::object());
}

std::string ChangeFeed::reset() const {
  return event("reset", coordinator_.revision(), Json::object());
}

}  // namespace cenote::coordinator
