// The coordinators' state in Consul:
//   cenote/<cluster>/coordinator/leader    who leads, locked by its session, without which no
//                                          write is taken
//   cenote/<cluster>/coordinator/term      the number of the last term
//   cenote/<cluster>/coordinator/data/…    what the coordinator keeps
// The session lives by a check of 3 s, not by a time of its own: Consul takes no session below 10 s
// and ends it at twice that (measured: 20 s).
#include <condition_variable>
#include <random>
#include <utility>

#include "base/mutex.h"
#include "coordinator/fenced_store.h"

namespace cenote::coordinator {
namespace {

using store::ConsulClient;
using Verb = store::consul::Step::Verb;

class ConsulFence final : public Fence {
 public:
  ConsulFence(const SharedStoreOptions& options, ConsulClient agent, ConsulClient election,
              ConsulClient data)
      : agent_(std::move(agent)), election_(std::move(election)), data_(std::move(data)) {
    service_.name = "cenote-" + options.cluster + "-coordinator";
    service_.id = service_.name + "." + std::to_string(std::random_device{}());
    service_.check_id = "cenote:" + service_.id;
    service_.ttl = options.ttl;
    service_.meta = {{"url", options.url}};
  }

  Result<std::optional<Found>> read(Lane lane, const CallContext& context,
                                    const std::string& key) override {
    ConsulClient& client = lane == Lane::kElection ? election_ : data_.client();
    ARROW_ASSIGN_OR_RAISE(const auto found, client.get(context, key));
    if (!found) return std::optional<Found>();
    return std::optional(Found{found->value, found->modify_index, found->session});
  }

  Result<bool> claim(const CallContext& context, const Claim& claim) override {
    ARROW_RETURN_NOT_OK(take_session(context));
    ARROW_ASSIGN_OR_RAISE(
        const std::optional<uint64_t> won,
        election_.commit(context,
                         {{Verb::kLock, claim.leader_key, claim.leader, 0, right()},
                          {Verb::kCas, claim.term_key, claim.term, claim.term_version, ""}}));
    return won.has_value();
  }

  Result<bool> keep(const CallContext& context, const std::string& leader_key) override {
    ARROW_ASSIGN_OR_RAISE(const bool known, agent_.pass(context, service_.check_id, "renewed"));
    // A check that was critical in between has ended the session, however it is now.
    ARROW_ASSIGN_OR_RAISE(const auto held, read(Lane::kElection, context, leader_key));
    return known && held && held->right == right();
  }

  void give_up(const CallContext& context) override {
    const std::string held = right();
    if (!held.empty()) {
      const Status ended = agent_.end_session(context, held);
      if (!ended.ok() && error_kind(ended) != ErrorKind::kOperational) return;
      const Lock lock(session_mutex_);
      session_.clear();
    }
    if (std::exchange(entered_, false)) (void)agent_.leave(context, service_.id);
  }

  Result<std::vector<store::KeyItem>> list(const CallContext& context,
                                           const std::string& prefix) override {
    return data_.list(context, prefix);
  }

  Result<std::optional<uint64_t>> commit(const CallContext& context, const std::string& leader_key,
                                         const store::KeyChange& change) override {
    std::vector<store::consul::Step> steps = store::steps_of(change);
    steps.push_back({Verb::kCheckSession, leader_key, "", 0, right()});
    return data_.client().commit(context, steps);
  }

  std::string right() const override {
    const Lock lock(session_mutex_);
    return session_;
  }
  size_t most_steps() const override { return 60; }  // Consul takes 64

 private:
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

  store::consul::Registration service_;
  mutable Mutex session_mutex_;  // guards the session's id; memory only
  std::string session_ CENOTE_GUARDED_BY(session_mutex_);
  // Checks belong to the agent that took them, so that only its own silence leads away from it.
  ConsulClient agent_;
  ConsulClient election_;
  bool entered_ = false;
  store::ConsulKeys data_;
};

}  // namespace

Result<std::unique_ptr<SharedStore>> open_consul_store(const SharedStoreOptions& options) {
  // Half as long, so that a server that says nothing costs no term.
  store::StoreOptions election = options.store;
  election.call_timeout /= 2;
  ARROW_ASSIGN_OR_RAISE(ConsulClient agent, ConsulClient::make(election));
  ARROW_ASSIGN_OR_RAISE(ConsulClient first, ConsulClient::make(election));
  ARROW_ASSIGN_OR_RAISE(ConsulClient second, ConsulClient::make(options.store));
  return fenced_store(options, "cenote/" + options.cluster + "/coordinator/",
                      std::make_unique<ConsulFence>(options, std::move(agent), std::move(first),
                                                    std::move(second)));
}

}  // namespace cenote::coordinator
