// Campaigning, renewing, and writes that name their right.
#include "coordinator/fenced_store.h"

#include <algorithm>
#include <utility>

#include "coordinator/turn.h"

namespace cenote::coordinator {
namespace {

using Lane = Fence::Lane;
using Found = std::optional<Fence::Found>;

class FencedStore final : public SharedStore {
 public:
  FencedStore(const SharedStoreOptions& options, std::string prefix, std::unique_ptr<Fence> fence)
      : url_(options.url),
        leader_key_(prefix + "leader"),
        term_key_(prefix + "term"),
        data_prefix_(std::move(prefix) + "data/"),
        leadership_(options.url, options.give_up_after),
        fence_(std::move(fence)) {}
  ~FencedStore() override { resign(); }

  Result<bool> campaign(const CallContext& context) override {
    give_up(context);
    ARROW_ASSIGN_OR_RAISE(const Found held, fence_->read(Lane::kElection, context, leader_key_));
    see(held);
    if (held && !held->right.empty()) return false;
    ARROW_ASSIGN_OR_RAISE(const Found last, fence_->read(Lane::kElection, context, term_key_));
    const uint64_t term = leadership_.next_term(last ? last->value : "");
    const TimePoint sent = Clock::now();
    ARROW_ASSIGN_OR_RAISE(const bool won,
                          fence_->claim(context, {leader_key_, leader_text({url_, term}), term_key_,
                                                  std::to_string(term), last ? last->version : 0}));
    if (won) {
      leadership_.begin(term, sent);
    } else {
      give_up(context);
    }
    return won;
  }

  Status renew(const CallContext& context) override {
    const TimePoint sent = Clock::now();
    ARROW_ASSIGN_OR_RAISE(const bool kept, fence_->keep(context, leader_key_));
    if (!kept || !leadership_.held()) {
      leadership_.lose();
      const Result<Found> held = fence_->read(Lane::kElection, context, leader_key_);
      if (held.ok()) see(*held);
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
    ARROW_ASSIGN_OR_RAISE(Found found, fence_->read(Lane::kData, context, data_key(key)));
    if (!found) return std::optional<Item>();
    return std::optional(Item{std::string(key), std::move(found->value), found->version});
  }

  Result<std::vector<Item>> list(const CallContext& context, std::string_view prefix) override {
    const TurnLock turn(turn_, context.deadline);
    ARROW_RETURN_NOT_OK(turn.status());
    ARROW_ASSIGN_OR_RAISE(const auto found, fence_->list(context, data_key(prefix)));
    std::vector<Item> items;
    for (const store::KeyItem& each : found) {
      items.push_back({each.key.substr(data_prefix_.size()), each.value, each.version});
    }
    return items;
  }

  Result<uint64_t> commit(const CallContext& context, const StoreWrite& write) override {
    const size_t others = 1 + write.puts.size() + write.conditions.size();
    if (others > fence_->most_steps()) {
      return make_error(ErrorKind::kInterface, "a change of too many keys at once");
    }
    store::KeyChange part;
    for (const StoreWrite::Condition& each : write.conditions) {
      part.conditions.emplace_back(data_key(each.key), each.version);
    }
    for (const auto& [key, value] : write.puts) part.puts.emplace_back(data_key(key), value);
    size_t deleted = 0;
    const auto add_deletes = [&](size_t most) {
      for (; deleted < write.deletes.size() && most > 0; --most) {
        part.deletes.push_back(data_key(write.deletes[deleted++]));
      }
    };
    add_deletes(fence_->most_steps() - others);

    const TurnLock turn(turn_, context.deadline);
    ARROW_RETURN_NOT_OK(turn.status());
    if (!leads()) return leads_no_more(leader());
    ARROW_ASSIGN_OR_RAISE(const uint64_t version, commit_part(context, part));
    // Many deletes at once (answers of a day) need not happen together.
    while (version != 0 && deleted < write.deletes.size()) {
      part = {};
      add_deletes(fence_->most_steps() - 1);
      const Result<uint64_t> done = commit_part(context, part);
      if (!done.ok() || *done == 0) return in_part(done.status());
    }
    return version;
  }

 private:
  std::string data_key(std::string_view key) const { return data_prefix_ + std::string(key); }
  void see(const Found& held) {
    const bool leads = held && !held->right.empty();
    leadership_.see(leads ? leader_from(held->value) : std::nullopt);
  }
  void give_up(const CallContext& context) {
    leadership_.lose();
    fence_->give_up(context);
  }
  // 0 for a condition that does not hold, kReadOnly for a right that is over.
  Result<uint64_t> commit_part(const CallContext& context, const store::KeyChange& part)
      CENOTE_REQUIRES(turn_) {
    ARROW_ASSIGN_OR_RAISE(const std::optional<uint64_t> done,
                          fence_->commit(context, leader_key_, part));
    if (done) return std::max<uint64_t>(1, *done);
    ARROW_ASSIGN_OR_RAISE(const Found held, fence_->read(Lane::kData, context, leader_key_));
    if (held && !held->right.empty() && held->right == fence_->right()) return uint64_t{0};
    leadership_.lose();
    see(held);
    return leads_no_more(leader());
  }

  const std::string url_;
  const std::string leader_key_;
  const std::string term_key_;
  const std::string data_prefix_;
  Leadership leadership_;
  Turn turn_;  // guards the data's lane, while it waits for the store too
  const std::unique_ptr<Fence> fence_;
};

}  // namespace

std::unique_ptr<SharedStore> fenced_store(const SharedStoreOptions& options, std::string prefix,
                                          std::unique_ptr<Fence> fence) {
  return std::make_unique<FencedStore>(options, std::move(prefix), std::move(fence));
}

}  // namespace cenote::coordinator
