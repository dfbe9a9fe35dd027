// One connection to one server, and the way to the next.
#include "store/endpoints.h"

#include <random>
#include <utility>

namespace cenote::store {

Endpoints::Endpoints(std::string_view store, const StoreOptions& options)
    : store_(store), tls_(options.tls), call_timeout_(options.call_timeout) {
  for (std::string url : options.endpoints) {
    if (url.find("://") == std::string::npos) {
      url.insert(0, options.tls.ca_file.empty() ? "http://" : "https://");
    }
    while (url.ends_with('/')) url.pop_back();
    urls_.push_back(std::move(url));
  }
  // Not all processes begin with the same server.
  if (!urls_.empty()) at_ = std::random_device{}() % urls_.size();
}

StoreOptions store_options(const StoreAccess& access, std::string section) {
  StoreOptions options;
  options.endpoints = access.endpoints;
  options.token = access.token;
  options.username = access.username;
  options.password = access.password;
  options.tls = {access.tls.ca, access.tls.certificate, access.tls.key};
  options.section = std::move(section);
  return options;
}

Result<Endpoints> Endpoints::make(std::string_view store, const StoreOptions& options) {
  if (options.endpoints.empty()) {
    return make_error(ErrorKind::kConfig,
                      options.section + ".endpoint is missing; write for example " +
                          std::string(store) + (store == "consul" ? ":8500" : ":2379"));
  }
  Endpoints made(store, options);
  for (const std::string& url : made.urls_) {
    HttpClientOptions checked;
    checked.url = url;
    checked.tls = options.tls;
    ARROW_RETURN_NOT_OK(HttpClient::make(std::move(checked)).status());
  }
  return made;
}

Result<HttpClient*> Endpoints::client() {
  if (client_ == nullptr) {
    HttpClientOptions options;
    options.url = url();
    options.tls = tls_;
    ARROW_ASSIGN_OR_RAISE(client_, HttpClient::make(std::move(options)));
  }
  return client_.get();
}

void Endpoints::next() {
  at_ = (at_ + 1) % urls_.size();
  client_.reset();
}

Result<HttpAnswer> Endpoints::call(const CallContext& context, const HttpCall& request, Kind kind) {
  const CallContext limited{context.deadline.sooner(Deadline::in(call_timeout_)), context.stop};
  Status last;
  for (size_t tried = 0; tried < urls_.size(); ++tried) {
    ARROW_ASSIGN_OR_RAISE(HttpClient * client, this->client());
    Result<HttpAnswer> answer = client->send(limited, request);
    if (answer.ok()) return answer;
    last = answer.status();
    const ErrorDetail* detail = error_detail(last);
    next();
    const bool elsewhere = detail != nullptr && detail->kind == ErrorKind::kConnection &&
                           (detail->sent == Sent::kNo || kind == Kind::kRepeatable);
    if (!elsewhere || limited.deadline.passed()) break;
  }
  return last;
}

Result<HttpAnswer> Endpoints::wait(const CallContext& context, const HttpCall& request) {
  ARROW_ASSIGN_OR_RAISE(HttpClient * client, this->client());
  Result<HttpAnswer> answer = client->send(context, request);
  if (!answer.ok()) next();
  return answer;
}

Result<HttpAnswer> Endpoints::stream(const CallContext& context, const HttpCall& request,
                                     Duration silence,
                                     const std::function<bool(std::string_view)>& take) {
  ARROW_ASSIGN_OR_RAISE(HttpClient * client, this->client());
  return client->stream(context, request, silence, take);
}

Status store_error(ErrorKind kind, const Endpoints& at, const std::string& what) {
  ErrorDetail detail;
  detail.kind = kind;
  detail.endpoint = at.url();
  detail.sent = Sent::kYes;
  return make_error(std::move(detail), at.store() + " at " + at.url() + ": " + what);
}

Status store_refused(const HttpAnswer& answer, Endpoints* at, const StoreRefusal& refusal) {
  const std::string words = std::string(refusal.what) + ": " + std::string(refusal.words) +
                            " (status " + std::to_string(answer.status) + ")";
  if (refusal.denied) {
    return store_error(ErrorKind::kAuthentication, *at,
                       words + "; check " + std::string(refusal.check));
  }
  Status status = store_error(ErrorKind::kOperational, *at, words);
  if (answer.status >= 500) at->next();
  return status;
}

}  // namespace cenote::store
