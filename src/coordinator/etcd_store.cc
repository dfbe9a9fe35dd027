// The coordinators' state in etcd:
//   /cenote/<cluster>/coordinator/leader    who leads, in which term, bound to its lease; the right
//                                           by which it writes is that the key says so since that
//                                           revision (a wiped etcd begins them anew)
//   /cenote/<cluster>/coordinator/term      the number of the last term
//   /cenote/<cluster>/coordinator/data/…    what the coordinator keeps
#include <utility>

#include "base/mutex.h"
#include "coordinator/fenced_store.h"

namespace cenote::coordinator {
namespace {

using store::EtcdClient;
using store::etcd::KeyValue;
using store::etcd::Range;
using Target = store::etcd::Compare::Target;

class EtcdFence final : public Fence {
 public:
  EtcdFence(Duration ttl, EtcdClient election, EtcdClient data)
      : ttl_(ttl), election_(std::move(election)), data_(std::move(data)) {}

  Result<std::optional<Found>> read(Lane lane, const CallContext& context,
                                    const std::string& key) override {
    EtcdClient& client = lane == Lane::kElection ? election_ : data_.client();
    ARROW_ASSIGN_OR_RAISE(const Range found, client.range(context, key, ""));
    if (found.items.empty()) return std::optional<Found>();
    const KeyValue& item = found.items.front();
    return std::optional(
        Found{item.value, item.mod_revision, right_of(item.create_revision, item.value)});
  }

  Result<bool> claim(const CallContext& context, const Claim& claim) override {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(ttl_).count();
    ARROW_ASSIGN_OR_RAISE(lease_, election_.grant(context, static_cast<uint64_t>(seconds)));
    ARROW_ASSIGN_OR_RAISE(
        const store::etcd::Committed won,
        election_.commit(
            context, {{{claim.leader_key, Target::kCreateRevision, 0},
                       {claim.term_key, Target::kModRevision, claim.term_version}},
                      {{claim.leader_key, claim.leader, lease_}, {claim.term_key, claim.term, 0}},
                      {}}));
    if (won.succeeded) {
      const Lock lock(right_mutex_);
      created_ = won.revision;
      leader_ = claim.leader;
    }
    return won.succeeded;
  }

  Result<bool> keep(const CallContext& context, const std::string& /*leader_key*/) override {
    ARROW_ASSIGN_OR_RAISE(const uint64_t left, election_.keep_alive(context, lease_));
    return left != 0;
  }

  void give_up(const CallContext& context) override {
    if (lease_ == 0) return;
    const Status ended = election_.revoke(context, lease_);
    if (ended.ok() || error_kind(ended) == ErrorKind::kOperational) lease_ = 0;
  }

  Result<std::vector<store::KeyItem>> list(const CallContext& context,
                                           const std::string& prefix) override {
    return data_.list(context, prefix);
  }

  Result<std::optional<uint64_t>> commit(const CallContext& context, const std::string& leader_key,
                                         const store::KeyChange& change) override {
    store::etcd::Transaction steps = store::transaction_of(change);
    {
      const Lock lock(right_mutex_);
      steps.compares.push_back({leader_key, Target::kCreateRevision, created_});
      steps.compares.push_back({leader_key, Target::kValue, 0, leader_});
    }
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Committed done, data_.client().commit(context, steps));
    return done.succeeded ? std::optional(done.revision) : std::nullopt;
  }

  std::string right() const override {
    const Lock lock(right_mutex_);
    return right_of(created_, leader_);
  }
  size_t most_steps() const override { return 120; }  // etcd takes 128

 private:
  static std::string right_of(uint64_t created, const std::string& leader) {
    return std::to_string(created) + " " + leader;
  }

  const Duration ttl_;
  mutable Mutex right_mutex_;  // guards what the leader's key is when it is ours; memory only
  uint64_t created_ CENOTE_GUARDED_BY(right_mutex_) = 0;
  std::string leader_ CENOTE_GUARDED_BY(right_mutex_);
  EtcdClient election_;
  uint64_t lease_ = 0;
  store::EtcdKeys data_;
};

}  // namespace

Result<std::unique_ptr<SharedStore>> open_etcd_store(const SharedStoreOptions& options) {
  // Half as long, so that a server that says nothing costs no term.
  store::StoreOptions election = options.store;
  election.call_timeout /= 2;
  ARROW_ASSIGN_OR_RAISE(EtcdClient first, EtcdClient::make(election));
  ARROW_ASSIGN_OR_RAISE(EtcdClient second, EtcdClient::make(options.store));
  return fenced_store(
      options, "/cenote/" + options.cluster + "/coordinator/",
      std::make_unique<EtcdFence>(options.ttl, std::move(first), std::move(second)));
}

}  // namespace cenote::coordinator
