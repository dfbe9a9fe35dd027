// Compare-and-set on both stores. A write whose answer was lost is no question of luck: the record
// is read again, and says who won.
#include "discovery/epochs.h"

#include <optional>
#include <utility>

#include "base/json.h"
#include "base/mutex.h"
#include "store/consul_client.h"
#include "store/etcd_client.h"

namespace cenote::discovery {
namespace {

using failover::Record;

// What a store held when it was asked.
struct Held {
  Record record;
  uint64_t index = 0;  // that a write must find again; 0: the key is absent
};

class EtcdKeys {
 public:
  using Client = store::EtcdClient;
  explicit EtcdKeys(const std::string& cluster) : prefix_("/cenote/" + cluster + "/failover/") {}

  Result<Held> get(Client& client, const CallContext& context, std::string_view group) const {
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Range range,
                          client.range(context, key(group), std::string_view()));
    if (range.items.empty()) return Held();
    ARROW_ASSIGN_OR_RAISE(Record record, record_from(range.items.front().value));
    return Held{std::move(record), range.items.front().mod_revision};
  }
  Result<bool> put(Client& client, const CallContext& context, std::string_view group,
                   uint64_t index, const std::string& value) const {
    using Target = store::etcd::Compare::Target;
    ARROW_ASSIGN_OR_RAISE(
        const store::etcd::Committed done,
        client.commit(context,
                      {{{key(group), Target::kModRevision, index}}, {{key(group), value, 0}}, {}}));
    return done.succeeded;
  }

 private:
  std::string key(std::string_view group) const { return prefix_ + std::string(group); }
  const std::string prefix_;
};

class ConsulKeys {
 public:
  using Client = store::ConsulClient;
  explicit ConsulKeys(const std::string& cluster) : prefix_("cenote/" + cluster + "/failover/") {}

  Result<Held> get(Client& client, const CallContext& context, std::string_view group) const {
    ARROW_ASSIGN_OR_RAISE(const auto item, client.get(context, key(group)));
    if (!item) return Held();
    ARROW_ASSIGN_OR_RAISE(Record record, record_from(item->value));
    return Held{std::move(record), item->modify_index};
  }
  Result<bool> put(Client& client, const CallContext& context, std::string_view group,
                   uint64_t index, const std::string& value) const {
    using Verb = store::consul::Step::Verb;
    ARROW_ASSIGN_OR_RAISE(const auto written,
                          client.commit(context, {{Verb::kCas, key(group), value, index, ""}}));
    return written.has_value();
  }

 private:
  std::string key(std::string_view group) const { return prefix_ + std::string(group); }
  const std::string prefix_;
};

template <typename Keys>
class StoreEpochs final : public failover::EpochStore {
 public:
  using Client = typename Keys::Client;
  explicit StoreEpochs(const DirectoryOptions& options)
      : options_(options.store), keys_(options.cluster) {}

  Result<Record> read(const CallContext& context, std::string_view group) override {
    ARROW_ASSIGN_OR_RAISE(Client client, take());
    Result<Held> held = keys_.get(client, context, group);
    give_back(std::move(client));
    ARROW_RETURN_NOT_OK(held.status());
    return std::move(held->record);
  }

  Result<Record> decide(const CallContext& context, std::string_view group,
                        const Record& wanted) override {
    ARROW_ASSIGN_OR_RAISE(Client client, take());
    Result<Record> stored = decide_with(client, context, group, wanted);
    give_back(std::move(client));
    return stored;
  }

 private:
  Result<Record> decide_with(Client& client, const CallContext& context, std::string_view group,
                             const Record& wanted) const {
    // Each turn lost was won by another.
    constexpr int kMostTurns = 4;
    Status last;
    for (int turn = 0; turn < kMostTurns && !context.deadline.passed(); ++turn) {
      ARROW_ASSIGN_OR_RAISE(Held held, keys_.get(client, context, group));
      if (held.record.epoch >= wanted.epoch) return std::move(held.record);
      const Result<bool> won = keys_.put(client, context, group, held.index, record_text(wanted));
      if (won.ok() && *won) return wanted;
      last = won.status();
    }
    if (!last.ok()) return last;
    return make_error(ErrorKind::kOperational,
                      "the record of '" + std::string(group) + "' changes all the time");
  }

  // A client belongs to one call at a time; the connection of the last one is kept.
  Result<Client> take() {
    {
      const Lock lock(mutex_);
      if (idle_) {
        Client client = std::move(*idle_);
        idle_.reset();
        return client;
      }
    }
    return Client::make(options_);
  }
  void give_back(Client client) {
    std::optional<Client> old;  // closed behind the lock
    const Lock lock(mutex_);
    old = std::exchange(idle_, std::optional<Client>(std::move(client)));
  }

  const store::StoreOptions options_;
  const Keys keys_;
  Mutex mutex_;
  std::optional<Client> idle_ CENOTE_GUARDED_BY(mutex_);
};

template <typename Keys>
Result<std::shared_ptr<failover::EpochStore>> open(const DirectoryOptions& options) {
  ARROW_RETURN_NOT_OK(check_cluster_name(options.cluster));
  ARROW_RETURN_NOT_OK(Keys::Client::make(options.store).status());
  return std::make_shared<StoreEpochs<Keys>>(options);
}

}  // namespace

std::string record_text(const Record& record) {
  return Json{{"epoch", record.epoch},
              {"target", record.target},
              {"reason", record.reason},
              {"by", record.by}}
      .dump(-1, ' ', true, Json::error_handler_t::replace);
}

Result<Record> record_from(std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(const Json json, parse_json(text));
  Record record;
  JsonReader reader(json);
  reader.get("epoch", &record.epoch);
  reader.get("target", &record.target);
  reader.get("reason", &record.reason);
  reader.get("by", &record.by);
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return record;
}

Result<std::shared_ptr<failover::EpochStore>> etcd_epochs(const DirectoryOptions& options) {
  return open<EtcdKeys>(options);
}

Result<std::shared_ptr<failover::EpochStore>> consul_epochs(const DirectoryOptions& options) {
  return open<ConsulKeys>(options);
}

}  // namespace cenote::discovery
