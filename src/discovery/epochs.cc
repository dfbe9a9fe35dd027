// Compare-and-set on both stores. A write whose answer was lost is no question of luck: the record
// is read again, and says who won.
#include "discovery/epochs.h"

#include <functional>
#include <optional>
#include <utility>

#include "base/json.h"
#include "base/mutex.h"
#include "store/keys.h"

namespace cenote::discovery {
namespace {

using failover::Record;

using Open = std::function<Result<std::unique_ptr<store::Keys>>()>;

class StoreEpochs final : public failover::EpochStore {
 public:
  StoreEpochs(std::string prefix, Open open) : prefix_(std::move(prefix)), open_(std::move(open)) {}

  Result<Record> read(const CallContext& context, std::string_view group) override {
    ARROW_ASSIGN_OR_RAISE(std::unique_ptr<store::Keys> keys, take());
    const Result<std::optional<store::KeyItem>> held = keys->get(context, key(group));
    give_back(std::move(keys));
    ARROW_RETURN_NOT_OK(held.status());
    return *held ? record_from((*held)->value) : Record();
  }

  Result<Record> decide(const CallContext& context, std::string_view group,
                        const Record& wanted) override {
    ARROW_ASSIGN_OR_RAISE(std::unique_ptr<store::Keys> keys, take());
    Result<Record> stored = decide_with(*keys, context, group, wanted);
    give_back(std::move(keys));
    return stored;
  }

 private:
  std::string key(std::string_view group) const { return prefix_ + std::string(group); }

  Result<Record> decide_with(store::Keys& keys, const CallContext& context, std::string_view group,
                             const Record& wanted) const {
    // Each turn lost was won by another.
    constexpr int kMostTurns = 4;
    Status last;
    for (int turn = 0; turn < kMostTurns && !context.deadline.passed(); ++turn) {
      ARROW_ASSIGN_OR_RAISE(const auto held, keys.get(context, key(group)));
      Record record;
      if (held) {
        ARROW_ASSIGN_OR_RAISE(record, record_from(held->value));
      }
      if (record.epoch >= wanted.epoch) return record;
      const auto won = keys.commit(
          context,
          {{{key(group), held ? held->version : 0}}, {{key(group), record_text(wanted)}}, {}});
      if (won.ok() && *won) return wanted;
      last = won.status();
    }
    if (!last.ok()) return last;
    return make_error(ErrorKind::kOperational,
                      "the record of '" + std::string(group) + "' changes all the time");
  }

  // One call at a time has them; the connection of the last one is kept.
  Result<std::unique_ptr<store::Keys>> take() {
    {
      const Lock lock(mutex_);
      if (idle_ != nullptr) return std::move(idle_);
    }
    return open_();
  }
  void give_back(std::unique_ptr<store::Keys> keys) {
    std::unique_ptr<store::Keys> old;  // closed behind the lock
    const Lock lock(mutex_);
    old = std::exchange(idle_, std::move(keys));
  }

  const std::string prefix_;
  const Open open_;
  Mutex mutex_;
  std::unique_ptr<store::Keys> idle_ CENOTE_GUARDED_BY(mutex_);
};

template <typename Keys, typename Client>
Result<std::shared_ptr<failover::EpochStore>> open(const std::string& root,
                                                   const DirectoryOptions& options) {
  ARROW_RETURN_NOT_OK(check_cluster_name(options.cluster));
  ARROW_RETURN_NOT_OK(Client::make(options.store).status());
  return std::make_shared<StoreEpochs>(
      root + options.cluster + "/failover/",
      [store = options.store]() -> Result<std::unique_ptr<store::Keys>> {
        ARROW_ASSIGN_OR_RAISE(Client client, Client::make(store));
        return std::make_unique<Keys>(std::move(client));
      });
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
  return open<store::EtcdKeys, store::EtcdClient>("/cenote/", options);
}

Result<std::shared_ptr<failover::EpochStore>> consul_epochs(const DirectoryOptions& options) {
  return open<store::ConsulKeys, store::ConsulClient>("cenote/", options);
}

}  // namespace cenote::discovery
