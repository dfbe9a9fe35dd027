// Two dialects.
#include "store/keys.h"

namespace cenote::store {

etcd::Transaction transaction_of(const KeyChange& change) {
  etcd::Transaction transaction{{}, {}, change.deletes};
  for (const auto& [key, version] : change.conditions) {
    transaction.compares.push_back({key, etcd::Compare::Target::kModRevision, version});
  }
  for (const auto& [key, value] : change.puts) transaction.puts.push_back({key, value, 0});
  return transaction;
}

std::vector<consul::Step> steps_of(const KeyChange& change) {
  using Verb = consul::Step::Verb;
  std::vector<consul::Step> steps;
  for (const auto& [key, version] : change.conditions) {
    steps.push_back(
        {version == 0 ? Verb::kCheckNotExists : Verb::kCheckIndex, key, "", version, ""});
  }
  for (const auto& [key, value] : change.puts) steps.push_back({Verb::kSet, key, value, 0, ""});
  for (const std::string& key : change.deletes) steps.push_back({Verb::kDelete, key, "", 0, ""});
  return steps;
}

Result<std::optional<KeyItem>> EtcdKeys::get(const CallContext& context, std::string_view key) {
  ARROW_ASSIGN_OR_RAISE(etcd::Range found, client_.range(context, key, ""));
  if (found.items.empty()) return std::optional<KeyItem>();
  etcd::KeyValue& item = found.items.front();
  return std::optional(KeyItem{std::move(item.key), std::move(item.value), item.mod_revision});
}

Result<std::vector<KeyItem>> EtcdKeys::list(const CallContext& context, const std::string& prefix) {
  ARROW_ASSIGN_OR_RAISE(etcd::Range found,
                        client_.range(context, prefix, etcd::end_of_prefix(prefix)));
  std::vector<KeyItem> items;
  for (etcd::KeyValue& each : found.items) {
    items.push_back({std::move(each.key), std::move(each.value), each.mod_revision});
  }
  return items;
}

Result<std::optional<uint64_t>> EtcdKeys::commit(const CallContext& context,
                                                 const KeyChange& change) {
  ARROW_ASSIGN_OR_RAISE(const etcd::Committed done,
                        client_.commit(context, transaction_of(change)));
  return done.succeeded ? std::optional(done.revision) : std::nullopt;
}

Result<std::optional<KeyItem>> ConsulKeys::get(const CallContext& context, std::string_view key) {
  ARROW_ASSIGN_OR_RAISE(auto found, client_.get(context, key));
  if (!found) return std::optional<KeyItem>();
  return std::optional(
      KeyItem{std::move(found->key), std::move(found->value), found->modify_index});
}

Result<std::vector<KeyItem>> ConsulKeys::list(const CallContext& context,
                                              const std::string& prefix) {
  ARROW_ASSIGN_OR_RAISE(auto found, client_.list(context, prefix));
  std::vector<KeyItem> items;
  for (consul::Item& each : found) {
    items.push_back({std::move(each.key), std::move(each.value), each.modify_index});
  }
  return items;
}

Result<std::optional<uint64_t>> ConsulKeys::commit(const CallContext& context,
                                                   const KeyChange& change) {
  return client_.commit(context, steps_of(change));
}

}  // namespace cenote::store
