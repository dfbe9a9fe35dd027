// What Consul's keys and etcd's have in common: texts with versions, written together under
// conditions or not at all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/consul_client.h"
#include "store/etcd_client.h"

namespace cenote::store {

struct KeyItem {
  std::string key;
  std::string value;
  uint64_t version = 0;  // grows with every write of the key
};

struct KeyChange {
  // The key must have this version; 0: must be absent.
  std::vector<std::pair<std::string, uint64_t>> conditions{};
  std::vector<std::pair<std::string, std::string>> puts{};
  std::vector<std::string> deletes{};
};

// Used by one thread at a time. Errors as the clients'.
class Keys {
 public:
  virtual ~Keys() = default;
  virtual Result<std::optional<KeyItem>> get(const CallContext& context, std::string_view key) = 0;
  virtual Result<std::vector<KeyItem>> list(const CallContext& context,
                                            const std::string& prefix) = 0;
  // The version that the written keys now have; none, and nothing is written, if a condition does
  // not hold.
  virtual Result<std::optional<uint64_t>> commit(const CallContext& context,
                                                 const KeyChange& change) = 0;
};

class EtcdKeys final : public Keys {
 public:
  explicit EtcdKeys(EtcdClient client) : client_(std::move(client)) {}
  EtcdClient& client() { return client_; }
  Result<std::optional<KeyItem>> get(const CallContext& context, std::string_view key) override;
  Result<std::vector<KeyItem>> list(const CallContext& context, const std::string& prefix) override;
  Result<std::optional<uint64_t>> commit(const CallContext& context,
                                         const KeyChange& change) override;

 private:
  EtcdClient client_;
};

class ConsulKeys final : public Keys {
 public:
  explicit ConsulKeys(ConsulClient client) : client_(std::move(client)) {}
  ConsulClient& client() { return client_; }
  Result<std::optional<KeyItem>> get(const CallContext& context, std::string_view key) override;
  Result<std::vector<KeyItem>> list(const CallContext& context, const std::string& prefix) override;
  Result<std::optional<uint64_t>> commit(const CallContext& context,
                                         const KeyChange& change) override;

 private:
  ConsulClient client_;
};

// For those who add steps of their own.
etcd::Transaction transaction_of(const KeyChange& change);
std::vector<consul::Step> steps_of(const KeyChange& change);

}  // namespace cenote::store
