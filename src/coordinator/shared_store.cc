// The clock of the right to lead.
#include "coordinator/shared_store.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/json.h"

namespace cenote::coordinator {

std::string leader_text(const Leader& leader) {
  return Json{{"url", leader.url}, {"term", leader.term}}.dump();
}

std::optional<Leader> leader_from(std::string_view text) {
  const Result<Json> value = parse_json(text);
  if (!value.ok()) return std::nullopt;
  Leader leader;
  JsonReader reader(*value);
  reader.get("url", &leader.url);
  reader.get("term", &leader.term);
  return reader.finish(true).ok() ? std::optional(std::move(leader)) : std::nullopt;
}

void Leadership::begin(uint64_t term, TimePoint sent) {
  const Lock lock(mutex_);
  term_ = term;
  leader_.clear();
  until_ = sent + give_up_after_;
}

void Leadership::renewed(TimePoint sent) {
  const Lock lock(mutex_);
  until_ = sent + give_up_after_;
}

void Leadership::lose() {
  const Lock lock(mutex_);
  until_ = TimePoint::min();
}

bool Leadership::held() const {
  const Lock lock(mutex_);
  return Clock::now() < until_;
}

void Leadership::see(const std::optional<Leader>& leader) {
  const Lock lock(mutex_);
  // Our own key of a time that is over ends with its lease.
  const bool other = leader && leader->url != url_;
  leader_ = other ? leader->url : std::string();
  if (other) term_ = std::max(term_, leader->term);
}

std::string Leadership::leader() const {
  const Lock lock(mutex_);
  return leader_;
}

uint64_t Leadership::term() const {
  const Lock lock(mutex_);
  return term_;
}

uint64_t Leadership::next_term(const std::string& last) const {
  uint64_t before = 0;
  std::from_chars(last.data(), last.data() + last.size(), before);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  return std::max(std::max(before, term()) + 1, static_cast<uint64_t>(seconds));
}

Status leads_no_more(const std::string& leader) {
  ErrorDetail detail;
  detail.kind = ErrorKind::kReadOnly;
  detail.sent = Sent::kNo;
  return make_error(std::move(detail),
                    "this coordinator leads no more" +
                        (leader.empty() ? std::string() : "; " + leader + " does") +
                        ", and nothing was written");
}

Status in_part(const Status& why) {
  ErrorDetail detail;
  detail.kind = ErrorKind::kOperational;
  detail.sent = Sent::kMaybe;
  return make_error(std::move(detail), "only a part was deleted: " + why.message());
}

}  // namespace cenote::coordinator
