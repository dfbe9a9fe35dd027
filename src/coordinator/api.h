// The coordinator's HTTP API over PoolCoordinator: who may call what, what a request must look
// like, how answers and errors look. docs/openapi.json describes the same to others.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/mutex.h"
#include "coordinator/change_feed.h"
#include "coordinator/pool_coordinator.h"
#include "coordinator/problem.h"
#include "coordinator/tokens.h"
#include "net/http_routes.h"
#include "net/reach.h"

namespace cenote::coordinator {

class Api;

// A request that was let in, with its body read.
struct Call {
  const HttpRequest& http;
  Caller caller;
  std::string request_id;
  std::map<std::string, std::string> query;  // decoded, every key once and known
  Json body;                                 // null if there is none

  const std::string& param(const std::string& name) const { return http.params.at(name); }
  // The value of a query's key; empty if it is absent.
  std::string_view value(const std::string& key) const;
  Change change() const;
};

// One row of the API.
struct ApiRow {
  enum Body : uint8_t { kNone, kOptional, kRequired };
  std::string_view method;
  std::string_view path;
  uint8_t roles;  // bits of role_bit(); kEverybody needs no token
  Result<HttpResponse> (*handler)(Api& api, const Call& call);
  Body body = kNone;
  size_t max_body = 0;
  HttpLane lane = HttpLane::kServer;
  std::string_view query = {};  // the keys that it knows: "a|b"
};
constexpr uint8_t role_bit(TokenRole role) {
  return static_cast<uint8_t>(1U << static_cast<unsigned>(role));
}
inline constexpr uint8_t kNodes = role_bit(TokenRole::kNode);
inline constexpr uint8_t kClients = role_bit(TokenRole::kClient);
inline constexpr uint8_t kOperators = role_bit(TokenRole::kOperator);
inline constexpr uint8_t kViewers = role_bit(TokenRole::kViewer);
inline constexpr uint8_t kReaders = kViewers | kOperators;
inline constexpr uint8_t kEverybody = 0xFF;

std::span<const ApiRow> node_rows();    // api_nodes.cc
std::span<const ApiRow> config_rows();  // api_config.cc
std::span<const ApiRow> admin_rows();   // api_admin.cc
std::span<const ApiRow> reach_rows();   // api_reach.cc
std::vector<ApiRow> api_rows();         // all of them

// Thread-safe.
class Api {
 public:
  struct Options {
    bool node_certificates = false;     // nodes must show one whose SAN is their node_id
    int registrations_per_second = 50;  // more are 503, so that a herd spreads itself
    Reach reach;                        // where nodes may be
  };

  Api(PoolCoordinator& coordinator, Options options);

  std::vector<HttpRoute> routes();
  // For requests that no row answers.
  HttpResponse refusal(int status, std::string_view reason) const;

  PoolCoordinator& coordinator() { return coordinator_; }
  ChangeFeed& feed() { return feed_; }
  // An object gets cluster, term and revision beside what it has.
  HttpResponse reply(Json body, int status = 200) const;
  HttpResponse problem(const Problem& problem) const;
  // Adds the headers that every answer carries.
  HttpResponse finish(HttpResponse response) const;
  // The whole registry, serialised at most once a second for all who ask.
  HttpResponse snapshot();
  // kForbidden if the caller may not speak for this node.
  Status speaks_for(const Call& call, std::string_view node_id) const;
  bool admits_registration();
  // kInvalid names the address that leads where no node may be (api_reach.cc).
  Status may_advertise(const cluster::Registration& about) const;
  // Whether nobody listens there any more, by a connection of our own; and whether one is due.
  bool is_refused(const std::string& location) const;
  bool may_probe(const std::string& node_id);

 private:
  // The caller, or the answer for one that the row does not let in.
  std::variant<Caller, HttpResponse> let_in(const ApiRow& row, const HttpRequest& http) const;
  HttpResponse answer(const ApiRow& row, const HttpRequest& http);
  Result<HttpResponse> checked(const ApiRow& row, const HttpRequest& http, Caller caller,
                               std::string request_id);

  PoolCoordinator& coordinator_;
  const Options options_;
  ChangeFeed feed_;
  Mutex mutex_;  // guards the serialised list, the bucket of registrations and the probes
  std::shared_ptr<const std::string> list_ CENOTE_GUARDED_BY(mutex_);
  uint64_t list_revision_ CENOTE_GUARDED_BY(mutex_) = 0;
  TimePoint list_made_ CENOTE_GUARDED_BY(mutex_);
  double tokens_ CENOTE_GUARDED_BY(mutex_) = 0;
  TimePoint refilled_ CENOTE_GUARDED_BY(mutex_);
  std::map<std::string, TimePoint> probed_ CENOTE_GUARDED_BY(mutex_);  // lately
};

// "30s" of a query; none if it is absent. kBadRequest names the key.
Result<std::optional<Duration>> duration_of(const Call& call, const std::string& key);
Result<std::optional<uint64_t>> number_of(const Call& call, const std::string& key);
Result<uint64_t> number_of_param(const Call& call, const std::string& name);
// "7" or "3.7" (term.revision); another term gives none.
Result<std::optional<uint64_t>> revision_of(std::string_view text, uint64_t term);
// The number of an entity tag, as "7" in quotes; `*` and lists are refused.
Result<std::optional<uint64_t>> version_of_tag(std::string_view header);

}  // namespace cenote::coordinator
