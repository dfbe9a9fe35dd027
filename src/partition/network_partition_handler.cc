// Rounds into verdicts, verdicts into states.
#include "partition/network_partition_handler.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace cenote::partition {
namespace {

constexpr int kMostCalm = 60;

std::string seconds_text(Duration time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(time).count());
  return text;
}

struct Count {
  size_t reached = 0;
  size_t lost = 0;
};

template <typename Peers>
Count count(const Peers& peers) {
  Count all;
  for (const auto& [id, reached] : peers) ++(reached ? all.reached : all.lost);
  return all;
}

TimePoint middle(TimePoint earlier, TimePoint later) {
  return earlier + (later - earlier) / 2;
}

std::string_view name_of(NetworkPartitionHandler::Source source) {
  return source == NetworkPartitionHandler::Source::kCoordinator ? "the coordinator" : "the store";
}

}  // namespace

std::string_view to_string(Step step) {
  switch (step) {
    case Step::kRegister:
      return "register";
    case Step::kList:
      return "list";
    case Step::kConfig:
      return "config";
    case Step::kQuota:
      return "quota";
  }
  return "unknown";
}

Service service(Duration local_cache_ttl, Duration view_age) {
  if (view_age <= local_cache_ttl) return Service::kAll;
  return view_age / 4 <= local_cache_ttl ? Service::kReads : Service::kOwnPools;
}

NetworkPartitionHandler::NetworkPartitionHandler(Options options, TimePoint now)
    : options_(options),
      random_(options.seed),
      since_(now),
      last_call_(now),
      next_round_(now),
      good_since_(now),
      last_good_(now),
      lost_since_(now),
      last_lost_(now),
      dwell_(intervals(options.recover_after)),
      rejoin_at_(now) {}

// splitmix64, by Sebastiano Vigna's description.
uint64_t NetworkPartitionHandler::random() {
  uint64_t bits = random_ += 0x9E3779B97F4A7C15;
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
  return bits ^ (bits >> 31);
}

std::vector<std::string> NetworkPartitionHandler::pick(std::vector<std::string> from,
                                                       size_t count) {
  for (size_t i = 0; i < from.size() && i < count; ++i) {
    std::swap(from[i], from[i + static_cast<size_t>(random() % (from.size() - i))]);
  }
  from.resize(std::min(from.size(), count));
  return from;
}

void NetworkPartitionHandler::set_peers(const std::set<std::string, std::less<>>& peers) {
  std::erase_if(peers_, [&](const auto& each) { return !peers.contains(each.first); });
  std::erase_if(returning_, [&](const std::string& id) { return !peers.contains(id); });
  for (const std::string& id : peers) peers_.try_emplace(id);
}

std::optional<bool> NetworkPartitionHandler::reached(std::string_view peer) const {
  const auto found = peers_.find(peer);
  if (found == peers_.end() || !found->second.answered) return std::nullopt;
  return !found->second.is_lost();
}

Service NetworkPartitionHandler::service(Duration view_age) const {
  if (!local()) return Service::kAll;
  return partition::service(options_.partition.local_cache_ttl, view_age);
}

double NetworkPartitionHandler::share(TimePoint now) const {
  if (options_.partition.recovery_strategy == RecoveryStrategy::kImmediate) return 1;
  if (local()) return 0.1;
  if (!ramp_since_) return 1;
  const Duration third = options_.ramp / 3;
  const Duration passed = now - *ramp_since_;
  if (passed < third) return 0.1;
  if (passed < 2 * third) return 0.25;
  return passed < options_.ramp ? 0.5 : 1;
}

size_t NetworkPartitionHandler::answering() const {
  return static_cast<size_t>(std::count_if(peers_.begin(), peers_.end(), [](const auto& each) {
    return each.second.answered.value_or(false);
  }));
}

// What the last probes saw, for reasons.
std::string NetworkPartitionHandler::seen() const {
  std::string text;
  if (options_.source != Source::kNone) {
    text = std::string(name_of(options_.source)) +
           (source_answers_ ? " answers, " : " does not answer, ");
  }
  return text + std::to_string(answering()) + " of " + std::to_string(peers_.size()) + " nodes do";
}

void NetworkPartitionHandler::go(State to, std::string reason, TimePoint now, Output* out,
                                 Duration took) {
  reason_ = std::move(reason);
  out->events.push_back({state_, to, cause_, reason_, took});
  state_ = to;
  since_ = now;
}

void NetworkPartitionHandler::tell(std::string reason, Output* out) {
  reason_ = std::move(reason);
  out->events.push_back({state_, state_, cause_, reason_, {}});
}

// Nothing that was counted holds after a time in which nobody was heard because nobody listened.
void NetworkPartitionHandler::notice_pause(TimePoint now, Output* out) {
  const Duration gap = now - std::exchange(last_call_, now);
  if (gap <= std::max(options_.own_pause, intervals(2))) return;
  lost_ = good_ = source_failures_ = database_failures_ = 0;
  last_good_ = last_lost_ = next_round_ = now;
  open_.reset();
  told_to_wait_ = false;
  out->renew = true;
  const std::string why =
      "this process stood still for " + seconds_text(gap) + ", so nothing that it missed counts";
  if (state_ == State::kSuspect) return go(State::kConnected, why, now, out);
  tell(why, out);
  if (state_ == State::kPartitioned) out->switch_to_local = true;
  if (step_) take(Step::kRegister, out);
}

Probe NetworkPartitionHandler::next_probe(bool all) {
  std::vector<std::string> lost;
  std::vector<std::string> others;
  for (const auto& [id, seen] : peers_) {
    (seen.answered.value_or(true) ? others : lost).push_back(id);
  }
  // Who did not answer is asked again, so that what is known of it is fresh.
  Probe probe{round_, true, true, pick(std::move(lost), options_.most_peers)};
  const size_t room = options_.most_peers - probe.peers.size();
  for (std::string& id : pick(std::move(others), all ? room : std::min(room, options_.sample))) {
    probe.peers.push_back(std::move(id));
  }
  return probe;
}

NetworkPartitionHandler::Output NetworkPartitionHandler::tick(TimePoint now) {
  Output out;
  notice_pause(now, &out);
  judge_silence(now, &out);
  judge_recovery(now, &out);
  if (state_ == State::kRecovering && !step_ && now >= rejoin_at_) take(Step::kRegister, &out);
  if (ramp_since_ && now - *ramp_since_ >= options_.ramp) {
    ramp_since_.reset();
    returning_.clear();
    tell("the nodes that were out of reach get all their calls again", &out);
  }
  if (now < next_round_) return out;
  // Overtaken: what is left of the round before says nothing.
  open_ = Round{++round_, now};
  next_round_ = now + options_.partition.detection_interval;
  out.probe = next_probe(state_ != State::kConnected || lost_ > 0 || !source_answers_);
  return out;
}

TimePoint NetworkPartitionHandler::due() const {
  TimePoint due = next_round_;
  if (state_ == State::kRecovering && !step_) due = std::min(due, rejoin_at_);
  if (ramp_since_) due = std::min(due, *ramp_since_ + options_.ramp);
  return due;
}

NetworkPartitionHandler::Output NetworkPartitionHandler::probed(const Round& round, TimePoint now) {
  Output out;
  notice_pause(now, &out);
  if (!open_ || open_->number != round.number) return out;
  const bool first = !open_->source && open_->peers.empty();
  if (round.source) open_->source = round.source;
  if (round.database) open_->database = round.database;
  for (const auto& [id, reached] : round.peers) {
    const auto known = peers_.find(id);
    if (known == peers_.end()) continue;
    // One lost packet is forgiven to who has answered before, not to a stranger.
    const bool stranger = !known->second.answered;
    known->second.answered = reached;
    known->second.failures = reached ? 0 : known->second.failures + (stranger ? 2 : 1);
    open_->peers[id] = reached;
    if (known->second.is_lost() && local()) returning_.insert(id);
  }
  if (first && leaves_doubt(*open_)) {
    Probe rest{round.number, false, false, {}};
    for (const auto& [id, seen] : peers_) {
      if (!open_->peers.contains(id)) rest.peers.push_back(id);
    }
    rest.peers = pick(std::move(rest.peers), options_.most_peers);
    if (!rest.peers.empty()) {
      // The next round waits for it, or it would overtake it each time.
      next_round_ = std::max(next_round_, now + 2 * options_.probe_timeout);
      out.probe = std::move(rest);
      return out;
    }
  }
  const Round whole = std::move(*open_);
  open_.reset();
  next_round_ = std::max(now, whole.began + options_.partition.detection_interval);
  judge(whole, now, &out);
  return out;
}

bool NetworkPartitionHandler::is_lost(const Round& round) const {
  const Count peers = count(round.peers);
  if (peers.lost == 0) return false;
  return !round.source.value_or(true) || peers.reached == 0;
}

// The sample alone does not show whether the round is lost.
bool NetworkPartitionHandler::leaves_doubt(const Round& round) const {
  const Count peers = count(round.peers);
  return !round.source.value_or(true) ? peers.lost == 0 : peers.reached == 0 && peers.lost > 0;
}

void NetworkPartitionHandler::judge(const Round& round, TimePoint now, Output* out) {
  source_answers_ = round.source.value_or(true);
  source_failures_ = source_answers_ ? 0 : source_failures_ + 1;
  database_failures_ = round.database.value_or(true) ? 0 : database_failures_ + 1;
  if (is_lost(round)) {
    lost(round, now, out);
  } else {
    well(round, now, out);
  }
}

// What is missing though it makes no partition.
void NetworkPartitionHandler::judge_parts(Output* out) {
  Cause cause = Cause::kNone;
  if (database_failures_ >= options_.partition_after) cause = Cause::kDatabaseLost;
  if (source_failures_ >= options_.partition_after) {
    cause = options_.source == Source::kCoordinator ? Cause::kCoordinatorLost : Cause::kStoreLost;
  }
  if (cause == std::exchange(cause_, cause)) return;
  switch (cause) {
    case Cause::kNone:
      return tell("nothing is missing any more", out);
    case Cause::kDatabaseLost:
      return tell("no database of this process's own pools answers; the cluster does", out);
    default:
      return tell(seen() + ": no partition, so routing goes on with what is known", out);
  }
}

void NetworkPartitionHandler::lost(const Round& round, TimePoint now, Output* out) {
  good_ = 0;
  if (lost_ == 0) lost_since_ = round.began;
  last_lost_ = round.began;
  ++lost_;
  told_to_wait_ = false;
  switch (state_) {
    case State::kConnected:
      if (ramp_since_) return cut_off(now, out);
      if (lost_ >= options_.suspect_after) suspect(now, out);
      return;
    case State::kSuspect:
      if (lost_ >= options_.partition_after && asked_) cut_off(now, out);
      return;
    case State::kRecovering:
      return stay_local(now, out);
    default:
      return;
  }
}

void NetworkPartitionHandler::well(const Round& round, TimePoint now, Output* out) {
  lost_ = 0;
  if (good_ == 0) good_since_ = round.began;
  ++good_;
  last_good_ = round.began;
  switch (state_) {
    case State::kConnected:
      return judge_parts(out);
    case State::kSuspect:
      if (good_ < calm_after_) return;
      calm_since_ = now;
      return go(State::kConnected, seen(), now, out);
    case State::kLocal:
      return judge_recovery(now, out);
    case State::kRecovering:
      // All nodes answer and the source does not: there is nothing to take from it.
      if (!source_answers_ && now >= rejoin_at_) finish(now, out);
      return;
    default:
      return;
  }
}

void NetworkPartitionHandler::suspect(TimePoint now, Output* out) {
  const bool again = calm_since_ && now - *calm_since_ < options_.reentry;
  calm_after_ = again ? std::min(calm_after_ * 2, kMostCalm) : 1;
  told_.clear();
  go(State::kSuspect, seen(), now, out);
  std::vector<std::string> reached;
  std::vector<std::string> all;
  for (const auto& [id, seen] : peers_) {
    all.push_back(id);
    if (seen.answered.value_or(false)) reached.push_back(id);
  }
  out->ask = pick(reached.empty() ? std::move(all) : std::move(reached), options_.relays);
  asked_ = out->ask.empty();
}

NetworkPartitionHandler::Output NetworkPartitionHandler::asked(const Answers& answers,
                                                               TimePoint now) {
  Output out;
  notice_pause(now, &out);
  if (state_ != State::kSuspect) return out;
  told_ = answers;
  asked_ = true;
  if (lost_ >= options_.partition_after) cut_off(now, &out);
  return out;
}

void NetworkPartitionHandler::judge_silence(TimePoint now, Output* out) {
  if (state_ == State::kSuspect && now - last_good_ >= intervals(options_.silence)) {
    cut_off(now, out);
  }
}

Cause NetworkPartitionHandler::classify() const {
  if (options_.source == Source::kNone) return Cause::kMinority;
  if (source_answers_) return Cause::kOneWay;
  const bool others_reach_it =
      std::any_of(told_.begin(), told_.end(), [](const auto& each) { return each.second.source; });
  if (others_reach_it) return Cause::kOneWay;
  if (2 * answering() < peers_.size()) return Cause::kMinority;
  return options_.source == Source::kCoordinator ? Cause::kCoordinatorLost : Cause::kStoreLost;
}

// Unless whoever was silent is in the view no more, or a source that answers has not had its time
// to find them dead.
void NetworkPartitionHandler::cut_off(TimePoint now, Output* out) {
  if (std::all_of(peers_.begin(), peers_.end(),
                  [](const auto& each) { return each.second.answered.value_or(true); })) {
    return;
  }
  const bool patient = options_.source != Source::kNone && source_answers_;
  if (patient && now - last_good_ < intervals(options_.source_patience)) return;
  cause_ = classify();
  go(State::kPartitioned, seen(), now, out, now - middle(last_good_, lost_since_));
  out->switch_to_local = true;
}

FallbackAction NetworkPartitionHandler::handle_partition(TimePoint now, Output* out) {
  if (state_ != State::kPartitioned) return FallbackAction::kStay;
  const bool again = back_since_ && now - *back_since_ < options_.reentry;
  dwell_ = again ? std::min(2 * dwell_, std::max(options_.most_dwell, dwell_))
                 : intervals(options_.recover_after);
  if (!ramp_since_) returning_.clear();
  ramp_since_.reset();
  for (const auto& [id, seen] : peers_) {
    if (seen.is_lost()) returning_.insert(id);
  }
  good_ = 0;
  word_ = told_to_wait_ = false;
  go(State::kLocal, seen() + "; calls go where the last probe had an answer", now, out);
  return FallbackAction::kSwitchToLocalMode;
}

void NetworkPartitionHandler::stay_local(TimePoint now, Output* out) {
  dwell_ = std::min(2 * dwell_, std::max(options_.most_dwell, dwell_));
  step_.reset();
  cause_ = classify();
  go(State::kLocal, seen() + " on the way back", now, out);
}

void NetworkPartitionHandler::judge_recovery(TimePoint now, Output* out) {
  if (state_ != State::kLocal || good_ < options_.recover_after || now - good_since_ < dwell_) {
    return;
  }
  if (options_.partition.recovery_strategy == RecoveryStrategy::kManual && !word_) {
    if (!std::exchange(told_to_wait_, true)) tell(seen() + "; an operator's word is awaited", out);
    return;
  }
  const auto nodes = static_cast<int64_t>(peers_.size()) + 1;
  const Duration spread = std::max(options_.least_spread, options_.spread_each * nodes);
  const auto steps = static_cast<uint64_t>(spread / std::chrono::milliseconds(1)) + 1;
  rejoin_at_ = now + std::chrono::milliseconds(random() % steps);
  go(State::kRecovering, seen(), now, out);
}

bool NetworkPartitionHandler::recover() {
  const bool manual = options_.partition.recovery_strategy == RecoveryStrategy::kManual;
  if (!manual || state_ != State::kLocal) return false;
  word_ = true;
  return true;
}

void NetworkPartitionHandler::take(Step step, Output* out) {
  step_ = step;
  out->step = step;
}

NetworkPartitionHandler::Output NetworkPartitionHandler::recovered(Step step, TimePoint now) {
  Output out;
  notice_pause(now, &out);
  if (state_ != State::kRecovering || step_ != step || out.renew) return out;
  if (step != Step::kQuota) {
    take(static_cast<Step>(static_cast<uint8_t>(step) + 1), &out);
    return out;
  }
  finish(now, &out);
  return out;
}

void NetworkPartitionHandler::finish(TimePoint now, Output* out) {
  step_.reset();
  back_since_ = calm_since_ = now;
  cause_ = Cause::kNone;
  const bool at_once = options_.partition.recovery_strategy == RecoveryStrategy::kImmediate;
  if (at_once) returning_.clear();
  if (!returning_.empty()) ramp_since_ = now;
  go(State::kConnected, seen(), now, out, now - middle(last_lost_, good_since_));
}

}  // namespace cenote::partition
