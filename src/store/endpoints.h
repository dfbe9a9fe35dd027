// The servers of one store: a call goes to one of them within a second, and one that does not
// answer is left for the next. Without the second a paused server holds a call for 7 s (etcd) or
// more than 20 s (Consul).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/deployment.h"

#include "net/http_client.h"

namespace cenote::store {

struct StoreOptions {
  // "http://host:port", "https://…", or "host:port", which means https where `tls` names a CA.
  std::vector<std::string> endpoints;
  std::string token;     // Consul's ACL token, etcd's JWT
  std::string username;  // etcd's, with `password`
  std::string password;
  TlsClientOptions tls;
  Duration call_timeout = std::chrono::seconds(1);
  std::string section = "discovery";  // of the configuration: what messages advise to check
};
StoreOptions store_options(const StoreAccess& access, std::string section);

// Used by one thread at a time.
class Endpoints {
 public:
  // `store` names it in messages: "etcd". kConfig for malformed endpoints or unreadable files.
  static Result<Endpoints> make(std::string_view store, const StoreOptions& options);

  enum class Kind : uint8_t {
    kOnce,        // it must not arrive twice
    kRepeatable,  // a connection that breaks is answered by another server
  };
  // Any answer is a success, whatever its status. A server that refuses, breaks off or says nothing
  // is left for the next one; a connection that was refused goes there at once.
  Result<HttpAnswer> call(const CallContext& context, const HttpCall& request, Kind kind);
  // The same with a deadline of its own, for a call that is meant to wait.
  Result<HttpAnswer> wait(const CallContext& context, const HttpCall& request);
  // As HttpClient::stream.
  Result<HttpAnswer> stream(const CallContext& context, const HttpCall& request, Duration silence,
                            const std::function<bool(std::string_view)>& take);

  // Leaves the server: what it said shows that another should be asked.
  void next();
  const std::string& url() const { return urls_[at_]; }
  const std::string& store() const { return store_; }

 private:
  Endpoints(std::string_view store, const StoreOptions& options);
  Result<HttpClient*> client();

  std::string store_;
  std::vector<std::string> urls_;
  TlsClientOptions tls_;
  Duration call_timeout_;
  size_t at_ = 0;
  std::unique_ptr<HttpClient> client_;
};

// A store's error: which one, which server, what to do.
Status store_error(ErrorKind kind, const Endpoints& at, const std::string& what);
// Of an answer that is none: `words` of the server to `what` was asked; who is `denied` is told
// what to `check`. A server that cannot reach its leader (500 and on) is left for the next.
struct StoreRefusal {
  std::string_view what;
  std::string_view words;
  bool denied = false;
  std::string_view check;
};
Status store_refused(const HttpAnswer& answer, Endpoints* at, const StoreRefusal& refusal);

}  // namespace cenote::store
