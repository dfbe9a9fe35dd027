// A call to a failover group: choose, call, judge, wait for another or give up.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "manager/failover_group.h"
#include "manager/router.h"

namespace cenote {

// What lives on after the call that began it, and ends when its group leaves its member.
std::shared_ptr<arrow::RecordBatchReader> of_group(std::shared_ptr<FailoverGroup> group,
                                                   std::shared_ptr<GroupVisit> visit,
                                                   std::shared_ptr<arrow::RecordBatchReader> rows);
Transaction of_group(std::shared_ptr<FailoverGroup> group, std::shared_ptr<GroupVisit> visit,
                     Transaction transaction);
template <typename T>
T of_group(const std::shared_ptr<FailoverGroup>& /*group*/,
           const std::shared_ptr<GroupVisit>& /*visit*/, T value) {
  return value;
}

// The error of a call that nobody else could take.
Status given_up(const Status& last, const Status& why, int attempts);

// `at` calls one member and fills in the origin.
template <typename T, typename At>
Result<T> grouped(const std::shared_ptr<FailoverGroup>& group, const RoutedCall& call,
                  const QueryOptions& options, Origin* origin, const At& at) {
  constexpr int kMostAttempts = 5;
  Deadline deadline;
  if (options.timeout) deadline = Deadline::in(*options.timeout);
  const Deadline hold = Deadline::in(group->hold()).sooner(deadline);
  std::vector<bool> tried(group->members().size());
  Status last;
  uint64_t seen = 0;
  for (int attempt = 1;; ++attempt) {
    const auto entered = group->enter(call, tried, seen, hold, options.stop);
    if (!entered.ok()) {
      // What went on to here was not sent or may be again: the pool's next group may have it.
      const bool ended = error_kind(entered.status()) == ErrorKind::kPoolClosed;
      if (last.ok() || ended) return entered.status();
      return given_up(last, entered.status(), attempt - 1);
    }
    const std::shared_ptr<GroupVisit>& visit = *entered;
    const FailoverGroup::Member& member = group->members()[visit->member()];
    seen = visit->changes();
    QueryOptions now = options;
    now.stop = visit->stop();
    if (!deadline.is_never()) now.timeout = deadline.left();
    Origin from;
    Result<T> answer = at(member, now, &from);
    last = group->left(*visit, answer.status());
    if (last.ok()) {
      if (origin != nullptr) {
        from.attempts += attempt - 1;
        from.target = member.name;
        *origin = std::move(from);
      }
      return of_group(group, visit, std::move(*answer));
    }
    const bool over =
        attempt == kMostAttempts || deadline.passed() || options.stop.stop_requested();
    if (over || call.once || !Router::may_go_on(call, last)) return last;
    tried[visit->member()] = true;
  }
}

}  // namespace cenote
