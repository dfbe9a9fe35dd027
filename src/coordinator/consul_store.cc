// The coordinators' state in Consul:
//   cenote/<cluster>/coordinator/leader    who leads, locked by its session, without which no
//                                          write is taken
//   cenote/<cluster>/coordinator/term      the number of the last term
//   cenote/<cluster>/coordinator/data/…    what the coordinator keeps
// The session lives by a check of 3 s, not by a time of its own: Consul takes no session below 10 s
// and ends it at twice that (measured: 20 s).
#include <algorithm>
#include <condition_variable>
#include <random>
#include <utility>

#include "coordinator/shared_store.h"
#include "coordinator/turn.h"
#include "store/consul_client.h"

namespace cenote::coordinator {
namespace {

using store::ConsulClient;
using store::consul::Step;
using Verb = store::consul::Step::Verb;
using Found = std::optional<store::consul::Item>;

constexpr size_t kMostSteps = 60;  // Consul takes 64 in a transaction

class ConsulStore final : public SharedStore {
 public:
  ConsulStore(const SharedStoreOptions& options, ConsulClient agent, ConsulClient election,
              ConsulClient data)
      : prefix_("cenote/" + options.cluster + "/coordinator/"),
        data_prefix_(prefix_ + "data/"),
        url_(options.url),
        leadership_(options.url, options.give_up_after),
        agent_(std::move(agent)),
        election_(std::move(election)),
        client_(std::move(data)) {
    service_.name = "cenote-" + options.cluster + "-coordinator";
    service_.id = service_.name + "." + std::to_string(std::random_device{}());
    service_.check_id = "cenote:" + service_.id;
    service_.ttl = options.ttl;
    service_.meta = {{"url", options.url}};
  }
  ~ConsulStore() override { give_up(store_context()); }

  Result<bool> campaign(const CallContext& context) override {
    give_up(context);
    ARROW_ASSIGN_OR_RAISE(const Found held, election_.get(context, leader_key()));
    leadership_.see(seen(held));
    if (held && !held->session.empty()) return false;
    ARROW_ASSIGN_OR_RAISE(const Found last, election_.get(context, term_key()));
    const uint64_t term = leadership_.next_term(last ? last->value : "");
    const TimePoint sent = Clock::now();
    ARROW_RETURN_NOT_OK(take_session(context));
    // An error leaves the session to the next campaign, which ends it.
    ARROW_ASSIGN_OR_RAISE(
        const std::optional<uint64_t> won,
        election_.commit(
            context,
            {{Verb::kLock, leader_key(), leader_text({url_, term}), 0, session()},
             {Verb::kCas, term_key(), std::to_string(term), last ? last->modify_index : 0, ""}}));
    if (!won) {
      give_up(context);
      return false;
    }
    leadership_.begin(term, sent);
    return true;
  }

  Status renew(const CallContext& context) override {
    const TimePoint sent = Clock::now();
    ARROW_ASSIGN_OR_RAISE(const bool known, agent_.pass(context, service_.check_id, "renewed"));
    // A check that was critical in between has ended the session, however it is now.
    ARROW_ASSIGN_OR_RAISE(const Found held, election_.get(context, leader_key()));
    const bool ours = held && held->session == session();
    if (!known || !ours || !leadership_.held()) {
      leadership_.lose();
      leadership_.see(seen(held));
      return leads_no_more(leader());
    }
    leadership_.renewed(sent);
    return Status::OK();
  }

  void resign() override { give_up(store_context()); }
  bool leads() const override { return leadership_.held(); }
  std::string leader() const override { return leadership_.leader(); }
  uint64_t term() const override { return leadership_.term(); }

  Result<std::optional<Item>> get(const CallContext& context, std::string_view key) override {
    const TurnLock turn(turn_, context.deadline);
    ARROW_RETURN_NOT_OK(turn.status());
    ARROW_ASSIGN_OR_RAISE(const Found found, client_.get(context, data_key(key)));
    if (!found) return std::optional<Item>();
    return std::optional(item(*found));
  }

  Result<std::vector<Item>> list(const CallContext& context, std::string_view prefix) override {
    const TurnLock turn(turn_, context.deadline);
    ARROW_RETURN_NOT_OK(turn.status());
    ARROW_ASSIGN_OR_RAISE(const auto found, client_.list(context, data_key(prefix)));
    std::vector<Item> items;
    for (const store::consul::Item& each : found) items.push_back(item(each));
    return items;
  }

  Result<uint64_t> commit(const CallContext& context, const StoreWrite& write) override {
    if (write.puts.size() + write.conditions.size() >= kMostSteps) {
      return make_error(ErrorKind::kInterface, "a change of too many keys at once");
    }
    const TurnLock turn(turn_, context.deadline);
    ARROW_RETURN_NOT_OK(turn.status());
    if (!leads()) return leads_no_more(leader());
    ARROW_ASSIGN_OR_RAISE(const uint64_t version, commit_first(context, write));
    // Many deletes at once (answers of a day) need not happen together.
    for (size_t deleted = in_first(write); version != 0 && deleted < write.deletes.size();) {
      std::vector<Step> part = fenced();
      while (deleted < write.deletes.size() && part.size() < kMostSteps) {
        part.push_back({Verb::kDelete, data_key(write.deletes[deleted++]), "", 0, ""});
      }
      const auto done = client_.commit(context, part);
      if (!done.ok()) return in_part(done.status());
      if (!*done) return in_part(why_not(context).status());
    }
    return version;
  }

 private:
  std::string leader_key() const { return prefix_ + "leader"; }
  std::string term_key() const { return prefix_ + "term"; }
  std::string data_key(std::string_view key) const { return data_prefix_ + std::string(key); }
  Item item(const store::consul::Item& found) const {
    return {found.key.substr(data_prefix_.size()), found.value, found.modify_index};
  }
  static std::optional<Leader> seen(const Found& held) {
    return held && !held->session.empty() ? leader_from(held->value) : std::nullopt;
  }
  std::string session() const {
    const Lock lock(session_mutex_);
    return session_;
  }
  // How many deletes go with the puts.
  static size_t in_first(const StoreWrite& write) {
    const size_t others = 1 + write.puts.size() + write.conditions.size();
    return std::min(write.deletes.size(), kMostSteps - others);
  }
  std::vector<Step> fenced() const {
    return {{Verb::kCheckSession, leader_key(), "", 0, session()}};
  }
  Result<uint64_t> commit_first(const CallContext& context, const StoreWrite& write)
      CENOTE_REQUIRES(turn_) {
    std::vector<Step> part = fenced();
    for (const StoreWrite::Condition& each : write.conditions) {
      const Verb verb = each.version == 0 ? Verb::kCheckNotExists : Verb::kCheckIndex;
      part.push_back({verb, data_key(each.key), "", each.version, ""});
    }
    for (const auto& [key, value] : write.puts) {
      part.push_back({Verb::kSet, data_key(key), value, 0, ""});
    }
    for (size_t i = 0; i < in_first(write); ++i) {
      part.push_back({Verb::kDelete, data_key(write.deletes[i]), "", 0, ""});
    }
    ARROW_ASSIGN_OR_RAISE(const std::optional<uint64_t> done, client_.commit(context, part));
    if (!done) return why_not(context);
    return std::max<uint64_t>(1, *done);
  }
  // 0 for a condition that does not hold, kReadOnly for a right that is over.
  Result<uint64_t> why_not(const CallContext& context) CENOTE_REQUIRES(turn_) {
    ARROW_ASSIGN_OR_RAISE(const Found held, client_.get(context, leader_key()));
    if (held && held->session == session()) return uint64_t{0};
    leadership_.lose();
    leadership_.see(seen(held));
    return leads_no_more(leader());
  }

  // A session of a check at the agent that answers.
  Status take_session(const CallContext& context) {
    ARROW_RETURN_NOT_OK(agent_.enter(context, service_));
    entered_ = true;
    ARROW_ASSIGN_OR_RAISE(const std::string agent, agent_.agent_name(context));
    Status last;
    // The catalogue learns of the check a moment after its agent.
    do {
      Result<std::string> made =
          agent_.make_session(context, {service_.name, agent, service_.check_id});
      if (made.ok()) {
        const Lock lock(session_mutex_);
        session_ = std::move(*made);
        return Status::OK();
      }
      last = made.status();
      Mutex mutex;
      std::condition_variable_any never;
      Lock lock(mutex);
      never.wait_for(lock, context.stop, std::chrono::milliseconds(20), [] { return false; });
    } while (!context.deadline.passed() && !context.stop.stop_requested());
    return last;
  }
  // A session that cannot be ended now is ended by the next campaign, or by its check.
  void give_up(const CallContext& context) {
    leadership_.lose();
    const std::string held = session();
    if (!held.empty()) {
      const Status ended = agent_.end_session(context, held);
      if (!ended.ok() && error_kind(ended) != ErrorKind::kOperational) return;
      const Lock lock(session_mutex_);
      session_.clear();
    }
    if (std::exchange(entered_, false)) (void)agent_.leave(context, service_.id);
  }

  const std::string prefix_;
  const std::string data_prefix_;
  const std::string url_;
  store::consul::Registration service_;
  Leadership leadership_;
  mutable Mutex session_mutex_;  // guards the session's id; memory only
  std::string session_ CENOTE_GUARDED_BY(session_mutex_);

  // Of the electing thread: a slow write must not delay a renewal. Checks belong to the agent that
  // took them, so that only its own silence leads away from it.
  ConsulClient agent_;
  ConsulClient election_;
  bool entered_ = false;

  Turn turn_;  // guards the client, while it waits for Consul too
  ConsulClient client_ CENOTE_GUARDED_BY(turn_);
};

}  // namespace

Result<std::unique_ptr<SharedStore>> open_consul_store(const SharedStoreOptions& options) {
  // Half as long, so that a server that says nothing costs no term.
  store::StoreOptions election = options.store;
  election.call_timeout /= 2;
  ARROW_ASSIGN_OR_RAISE(ConsulClient agent, ConsulClient::make(election));
  ARROW_ASSIGN_OR_RAISE(ConsulClient first, ConsulClient::make(election));
  ARROW_ASSIGN_OR_RAISE(ConsulClient second, ConsulClient::make(options.store));
  return std::make_unique<ConsulStore>(options, std::move(agent), std::move(first),
                                       std::move(second));
}

}  // namespace cenote::coordinator
