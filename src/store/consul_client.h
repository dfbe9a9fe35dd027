// Consul by its HTTP API: services with a check that must be passed, keys, transactions. Every call
// but a blocking query ends within a second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/consul_wire.h"
#include "store/endpoints.h"

namespace cenote::store {

// Used by one thread at a time. Errors as EtcdClient's.
class ConsulClient {
 public:
  static Result<ConsulClient> make(const StoreOptions& options);

  struct Services {
    uint64_t index = 0;  // for the next blocking query
    std::vector<consul::Service> list;
  };
  // As the leader knows them. Without the right to read them Consul answers with an empty list, not
  // with an error.
  Result<Services> services(const CallContext& context, std::string_view name);
  // Waits for a change after `index`, or for `most`. Any server may answer, one that knows a leader
  // and was in touch with it within 5 s; else kOperational.
  Result<Services> wait_services(const std::stop_token& stop, std::string_view name, uint64_t index,
                                 Duration most);

  // The registration belongs to the agent that is asked, and dies with it.
  Status enter(const CallContext& context, const consul::Registration& registration);
  // False: this agent does not know the check; enter again.
  Result<bool> pass(const CallContext& context, std::string_view check_id, std::string_view note);
  Status leave(const CallContext& context, std::string_view service_id);

  Result<std::optional<consul::Item>> get(const CallContext& context, std::string_view key);
  Result<std::vector<consul::Item>> list(const CallContext& context, std::string_view prefix);
  // The index that the written keys now have; none, and nothing is written, if a step does not
  // hold.
  Result<std::optional<uint64_t>> commit(const CallContext& context,
                                         const std::vector<consul::Step>& steps);

  Result<std::string> agent_name(const CallContext& context);
  Result<std::string> make_session(const CallContext& context, const consul::Session& session);
  Status end_session(const CallContext& context, std::string_view id);

  const std::string& url() const { return endpoints_.url(); }
  void next() { endpoints_.next(); }

 private:
  ConsulClient(Endpoints endpoints, const StoreOptions& options)
      : endpoints_(std::move(endpoints)), token_(options.token), section_(options.section) {}
  HttpCall request(std::string method, std::string target, std::string body = {}) const;
  Result<HttpAnswer> call(const CallContext& context, const HttpCall& request,
                          Endpoints::Kind kind = Endpoints::Kind::kRepeatable);
  Result<Services> services_of(const HttpAnswer& answer);
  Status refused(const HttpAnswer& answer, std::string_view what);
  Status unanswered(const Status& why) const;

  Endpoints endpoints_;
  std::string token_;
  std::string section_;
};

}  // namespace cenote::store
