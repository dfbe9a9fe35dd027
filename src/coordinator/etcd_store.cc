// The coordinators' state in etcd:
//   /cenote/<cluster>/coordinator/leader    who leads, bound to its lease; the key's
//                                           create_revision is the right by which it writes
//   /cenote/<cluster>/coordinator/term      the number of the last term
//   /cenote/<cluster>/coordinator/data/…    what the coordinator keeps
#include <algorithm>
#include <atomic>
#include <utility>

#include "coordinator/shared_store.h"
#include "coordinator/turn.h"
#include "store/etcd_client.h"

namespace cenote::coordinator {
namespace {

using store::EtcdClient;
using store::etcd::Compare;
using store::etcd::KeyValue;
using store::etcd::Range;
using store::etcd::Transaction;

constexpr size_t kMostSteps = 120;  // etcd takes 128 in a transaction

class EtcdStore final : public SharedStore {
 public:
  EtcdStore(const SharedStoreOptions& options, EtcdClient election, EtcdClient data)
      : prefix_("/cenote/" + options.cluster + "/coordinator/"),
        data_prefix_(prefix_ + "data/"),
        url_(options.url),
        ttl_(options.ttl),
        leadership_(options.url, options.give_up_after),
        election_(std::move(election)),
        client_(std::move(data)) {}
  ~EtcdStore() override { give_up(store_context()); }

  Result<bool> campaign(const CallContext& context) override {
    give_up(context);
    ARROW_ASSIGN_OR_RAISE(const Range held, election_.range(context, leader_key(), ""));
    leadership_.see(seen(held));
    if (!held.items.empty()) return false;
    ARROW_ASSIGN_OR_RAISE(const Range last, election_.range(context, term_key(), ""));
    const bool first = last.items.empty();
    const uint64_t term = leadership_.next_term(first ? "" : last.items.front().value);
    const TimePoint sent = Clock::now();
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(ttl_).count();
    ARROW_ASSIGN_OR_RAISE(lease_, election_.grant(context, static_cast<uint64_t>(seconds)));
    // An error leaves the lease to the next campaign, which ends it.
    ARROW_ASSIGN_OR_RAISE(
        const store::etcd::Committed won,
        election_.commit(context, {{{leader_key(), Compare::Target::kCreateRevision, 0},
                                    {term_key(), Compare::Target::kModRevision,
                                     first ? 0 : last.items.front().mod_revision}},
                                   {{leader_key(), leader_text({url_, term}), lease_},
                                    {term_key(), std::to_string(term), 0}},
                                   {}}));
    if (!won.succeeded) {
      give_up(context);
      return false;
    }
    fence_.store(won.revision);
    leadership_.begin(term, sent);
    return true;
  }

  Status renew(const CallContext& context) override {
    const TimePoint sent = Clock::now();
    ARROW_ASSIGN_OR_RAISE(const uint64_t left, election_.keep_alive(context, lease_));
    if (left == 0 || !leadership_.held()) {
      leadership_.lose();
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
    ARROW_ASSIGN_OR_RAISE(const Range found, client_.range(context, data_key(key), ""));
    if (found.items.empty()) return std::optional<Item>();
    return std::optional(item(found.items.front()));
  }

  Result<std::vector<Item>> list(const CallContext& context, std::string_view prefix) override {
    const std::string begin = data_key(prefix);
    const TurnLock turn(turn_, context.deadline);
    ARROW_RETURN_NOT_OK(turn.status());
    ARROW_ASSIGN_OR_RAISE(const Range found,
                          client_.range(context, begin, store::etcd::end_of_prefix(begin)));
    std::vector<Item> items;
    for (const KeyValue& each : found.items) items.push_back(item(each));
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
      Transaction part = fenced();
      while (deleted < write.deletes.size() && part.deletes.size() + 1 < kMostSteps) {
        part.deletes.push_back(data_key(write.deletes[deleted++]));
      }
      const Result<store::etcd::Committed> done = client_.commit(context, part);
      if (!done.ok()) return in_part(done.status());
      if (!done->succeeded) return in_part(why_not(context).status());
    }
    return version;
  }

 private:
  std::string leader_key() const { return prefix_ + "leader"; }
  std::string term_key() const { return prefix_ + "term"; }
  std::string data_key(std::string_view key) const { return data_prefix_ + std::string(key); }
  Item item(const KeyValue& found) const {
    return {found.key.substr(data_prefix_.size()), found.value, found.mod_revision};
  }
  static std::optional<Leader> seen(const Range& held) {
    return held.items.empty() ? std::nullopt : leader_from(held.items.front().value);
  }
  // How many deletes go with the puts.
  static size_t in_first(const StoreWrite& write) {
    const size_t others = 1 + write.puts.size() + write.conditions.size();
    return std::min(write.deletes.size(), kMostSteps - others);
  }
  Transaction fenced() const {
    return {{{leader_key(), Compare::Target::kCreateRevision, fence_.load()}}, {}, {}};
  }
  Result<uint64_t> commit_first(const CallContext& context, const StoreWrite& write)
      CENOTE_REQUIRES(turn_) {
    Transaction part = fenced();
    for (const StoreWrite::Condition& each : write.conditions) {
      part.compares.push_back({data_key(each.key), Compare::Target::kModRevision, each.version});
    }
    for (const auto& [key, value] : write.puts) part.puts.push_back({data_key(key), value, 0});
    for (size_t i = 0; i < in_first(write); ++i) part.deletes.push_back(data_key(write.deletes[i]));
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Committed done, client_.commit(context, part));
    if (!done.succeeded) return why_not(context);
    return done.revision;
  }
  // 0 for a condition that does not hold, kReadOnly for a right that is over.
  Result<uint64_t> why_not(const CallContext& context) CENOTE_REQUIRES(turn_) {
    ARROW_ASSIGN_OR_RAISE(const Range held, client_.range(context, leader_key(), ""));
    const bool ours = !held.items.empty() && held.items.front().create_revision == fence_.load();
    if (ours) return uint64_t{0};
    leadership_.lose();
    leadership_.see(seen(held));
    return leads_no_more(leader());
  }
  // A lease that cannot be ended now is ended by the next campaign, or by its time.
  void give_up(const CallContext& context) {
    leadership_.lose();
    if (lease_ == 0) return;
    const Status ended = election_.revoke(context, lease_);
    if (ended.ok() || error_kind(ended) == ErrorKind::kOperational) lease_ = 0;
  }

  const std::string prefix_;
  const std::string data_prefix_;
  const std::string url_;
  const Duration ttl_;
  Leadership leadership_;
  std::atomic<uint64_t> fence_{0};

  // Of the electing thread: a slow write must not delay a renewal.
  EtcdClient election_;
  uint64_t lease_ = 0;

  Turn turn_;  // guards the client, while it waits for etcd too
  EtcdClient client_ CENOTE_GUARDED_BY(turn_);
};

}  // namespace

Result<std::unique_ptr<SharedStore>> open_etcd_store(const SharedStoreOptions& options) {
  // Half as long, so that a server that says nothing costs no term.
  store::StoreOptions election = options.store;
  election.call_timeout /= 2;
  ARROW_ASSIGN_OR_RAISE(EtcdClient first, EtcdClient::make(election));
  ARROW_ASSIGN_OR_RAISE(EtcdClient second, EtcdClient::make(options.store));
  return std::make_unique<EtcdStore>(options, std::move(first), std::move(second));
}

}  // namespace cenote::coordinator
