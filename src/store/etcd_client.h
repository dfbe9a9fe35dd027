// etcd by its JSON gateway: ranges, transactions, leases, watches. Every call ends within a second.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "store/endpoints.h"
#include "store/etcd_wire.h"

namespace cenote::store {

// Used by one thread at a time. Errors: kConnection and kQueryTimeout if no server answered (with
// Sent), kAuthentication, kOperational for what a server could not do now (no leader).
class EtcdClient {
 public:
  static Result<EtcdClient> make(const StoreOptions& options);

  // Linearizable. An empty `end` means the one key; `min_mod_revision` leaves older items out, not
  // out of the count.
  Result<etcd::Range> range(const CallContext& context, std::string_view key, std::string_view end,
                            uint64_t min_mod_revision = 0);
  Result<etcd::Committed> commit(const CallContext& context, const etcd::Transaction& transaction);
  // The id of a new lease.
  Result<uint64_t> grant(const CallContext& context, uint64_t seconds);
  // The seconds it has left; 0: it is no more.
  Result<uint64_t> keep_alive(const CallContext& context, uint64_t lease);
  Status revoke(const CallContext& context, uint64_t lease);

  // Waits until something in the range has changed since `from_revision` (true), or for `most`
  // (false: the watch was silent, which says nothing; ask). kOperational if the server ended the
  // watch: it lost its leader, or its history.
  Result<bool> changed(const std::stop_token& stop, std::string_view key, std::string_view end,
                       uint64_t from_revision, Duration most);

  const std::string& url() const { return endpoints_.url(); }
  void next() { endpoints_.next(); }

 private:
  EtcdClient(Endpoints endpoints, const StoreOptions& options)
      : endpoints_(std::move(endpoints)), options_(options), token_(options.token) {}
  Result<Json> post(const CallContext& context, std::string_view what, const std::string& body,
                    Endpoints::Kind kind);
  Result<HttpAnswer> attempt(const CallContext& context, std::string_view what,
                             const std::string& body, Endpoints::Kind kind);
  HttpCall request(std::string_view what, const std::string& body) const;
  Status login(const CallContext& context);
  Status refused(const HttpAnswer& answer, std::string_view what);

  Endpoints endpoints_;
  StoreOptions options_;
  std::string token_;  // of a login, or the configured one
};

}  // namespace cenote::store
