// Calls, logins, and what refusals mean.
#include "store/etcd_client.h"

#include <utility>

namespace cenote::store {
namespace {

using Kind = Endpoints::Kind;

// The message, wherever this version of the gateway puts it.
std::string message_of(const HttpAnswer& answer) {
  const Result<Json> value = parse_json(answer.body);
  if (value.ok() && value->is_object()) {
    for (const char* key : {"message", "error"}) {
      const auto found = value->find(key);
      if (found != value->end() && found->is_string()) return found->get<std::string>();
    }
  }
  return answer.body.substr(0, 200);
}

bool speaks_of_login(const HttpAnswer& answer) {
  const std::string message = message_of(answer);
  for (const char* words : {"user name is empty", "invalid auth token", "authentication failed",
                            "permission denied", "user name not found"}) {
    if (message.find(words) != std::string::npos) return true;
  }
  return answer.status == 401 || answer.status == 403;
}

}  // namespace

Result<EtcdClient> EtcdClient::make(const StoreOptions& options) {
  ARROW_ASSIGN_OR_RAISE(Endpoints endpoints, Endpoints::make("etcd", options));
  return EtcdClient(std::move(endpoints), options);
}

HttpCall EtcdClient::request(std::string_view what, const std::string& body) const {
  HttpCall call{"POST", "/v3/" + std::string(what), {{"content-type", "application/json"}}, body};
  // As it is: "Bearer" before it is 401.
  if (!token_.empty()) call.headers["authorization"] = token_;
  return call;
}

Status EtcdClient::refused(const HttpAnswer& answer, std::string_view what) {
  const std::string words = message_of(answer);
  const std::string check = options_.section +
                            ".username and password, and that the user's role may read and write "
                            "the prefix";
  return store_refused(answer, &endpoints_, {what, words, speaks_of_login(answer), check});
}

Status EtcdClient::login(const CallContext& context) {
  token_.clear();
  const HttpCall call =
      request("auth/authenticate", etcd::login_body(options_.username, options_.password));
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, endpoints_.call(context, call, Kind::kRepeatable));
  if (answer.status != 200) return refused(answer, "logging in");
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(answer.body));
  ARROW_ASSIGN_OR_RAISE(token_, etcd::token_from(value));
  return Status::OK();
}

Result<HttpAnswer> EtcdClient::attempt(const CallContext& context, std::string_view what,
                                       const std::string& body, Kind kind) {
  const bool users = !options_.username.empty();
  if (users && token_.empty()) ARROW_RETURN_NOT_OK(login(context));
  ARROW_ASSIGN_OR_RAISE(HttpAnswer answer, endpoints_.call(context, request(what, body), kind));
  // Tokens of logins end after five minutes without use, and with the server's process.
  const bool stale = users && answer.status == 401;
  if (!stale) return answer;
  ARROW_RETURN_NOT_OK(login(context));
  return endpoints_.call(context, request(what, body), kind);
}

Result<Json> EtcdClient::post(const CallContext& context, std::string_view what,
                              const std::string& body, Kind kind) {
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, attempt(context, what, body, kind));
  if (answer.status != 200) return refused(answer, what);
  return parse_json(answer.body);
}

Result<etcd::Range> EtcdClient::range(const CallContext& context, std::string_view key,
                                      std::string_view end, uint64_t min_mod_revision) {
  ARROW_ASSIGN_OR_RAISE(
      const Json answer,
      post(context, "kv/range", etcd::range_body(key, end, min_mod_revision), Kind::kRepeatable));
  return etcd::range_from(answer);
}

Result<etcd::Committed> EtcdClient::commit(const CallContext& context,
                                           const etcd::Transaction& transaction) {
  ARROW_ASSIGN_OR_RAISE(const Json answer,
                        post(context, "kv/txn", etcd::transaction_body(transaction), Kind::kOnce));
  return etcd::committed_from(answer);
}

Result<uint64_t> EtcdClient::grant(const CallContext& context, uint64_t seconds) {
  ARROW_ASSIGN_OR_RAISE(const Json answer,
                        post(context, "lease/grant", etcd::grant_body(seconds), Kind::kRepeatable));
  return etcd::lease_from(answer);
}

Result<uint64_t> EtcdClient::keep_alive(const CallContext& context, uint64_t lease) {
  ARROW_ASSIGN_OR_RAISE(const Json answer, post(context, "lease/keepalive", etcd::lease_body(lease),
                                                Kind::kRepeatable));
  return etcd::kept_alive_from(answer);
}

Status EtcdClient::revoke(const CallContext& context, uint64_t lease) {
  return post(context, "lease/revoke", etcd::lease_body(lease), Kind::kRepeatable).status();
}

Result<bool> EtcdClient::changed(const std::stop_token& stop, std::string_view key,
                                 std::string_view end, uint64_t from_revision, Duration most) {
  if (!options_.username.empty() && token_.empty()) {
    ARROW_RETURN_NOT_OK(login({Deadline(), stop}));
  }
  HttpCall call = request("watch", etcd::watch_body(key, end, from_revision));
  // Else a watch on a member that was cut off is silent without an error (measured: for 20 s).
  call.headers["grpc-metadata-hasleader"] = "true";
  etcd::ObjectSplitter splitter;
  bool events = false;
  Status broken;
  const auto take = [&](std::string_view piece) {
    std::vector<std::string> objects;
    if (!splitter.feed(piece, &objects)) {
      broken = store_error(ErrorKind::kData, endpoints_, "a watch's message has no end");
      return false;
    }
    for (const std::string& object : objects) {
      const Result<etcd::WatchMessage> message = etcd::watch_message_from(object);
      if (!message.ok()) broken = message.status();
      if (message.ok() && !message->error.empty()) {
        broken = store_error(ErrorKind::kOperational, endpoints_, message->error);
      }
      events = events || (message.ok() && message->events);
    }
    return broken.ok() && !events;
  };
  const Result<HttpAnswer> ended = endpoints_.stream({Deadline::in(most), stop}, call, most, take);
  if (!broken.ok()) {
    endpoints_.next();
    return broken;
  }
  if (events) return true;
  if (!ended.ok()) {
    if (error_kind(ended.status()) == ErrorKind::kQueryTimeout) return false;
    endpoints_.next();
    return ended.status();
  }
  if (ended->status != 200) {
    if (ended->status == 401) token_ = options_.token;
    return refused(*ended, "watching");
  }
  return false;
}

}  // namespace cenote::store
