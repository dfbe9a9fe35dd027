// Who may call the coordinator: bearer tokens, each with one role, kept as hashes only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cenote/error.h"
#include "cenote/server.h"

#include "base/json.h"
#include "base/mutex.h"

namespace cenote::coordinator {

std::string_view to_string(TokenRole role);
std::optional<TokenRole> token_role(std::string_view name);

struct TokenRecord {
  std::string name;  // stands in the audit log
  TokenRole role = TokenRole::kViewer;
  std::string hash;         // sha256() of the token: it is random, so that no salt is needed
  std::string node_id;      // of a node's token: the only node it may speak for; empty: any
  int64_t expires = 0;      // seconds since 1970; 0: never
  bool configured = false;  // stands in the configuration file, which alone can take it away
};
// For the store and for operators; the hash only where it is `stored`.
Json to_json(const TokenRecord& token, bool stored);
Result<TokenRecord> token_record_from(const Json& value);
// kConfig for a token that is too short to be random, a malformed name or time.
Result<TokenRecord> token_record_from(const CoordinatorToken& configured);

// The caller of a request, as its token says.
struct Caller {
  std::string name = "anonymous";
  TokenRole role = TokenRole::kOperator;
  std::string node_id;
  std::string hash;  // of its token; empty where no tokens are set up
};

// Thread-safe. While it has no token at all everybody is an operator, which the server allows on
// loopback only.
class TokenBook {
 public:
  // The caller of a request with this Authorization header; none: 401.
  std::optional<Caller> admit(std::string_view authorization, int64_t now) const;
  // Whether the token that a stream began with is still good.
  bool admits_still(const Caller& caller, int64_t now) const;

  bool is_open() const;
  // Replaces one of the same name.
  void put(TokenRecord token);
  bool remove(std::string_view name);
  // The tokens of the configuration file, in the place of the earlier ones.
  void configure(std::vector<TokenRecord> tokens) { replace(true, std::move(tokens)); }
  // Those of the store, in the place of the earlier ones.
  void restore(std::vector<TokenRecord> tokens) { replace(false, std::move(tokens)); }
  std::optional<TokenRecord> find(std::string_view name) const;
  std::vector<TokenRecord> all() const;

 private:
  mutable Mutex mutex_;  // guards the tokens
  std::map<std::string, TokenRecord, std::less<>> by_name_ CENOTE_GUARDED_BY(mutex_);
  // By the first half of the hash. That look-up's time tells about hashes of guesses, from which
  // nobody gets nearer to a token; the whole hash is then compared in constant time.
  std::multimap<std::string, std::string, std::less<>> by_hash_ CENOTE_GUARDED_BY(mutex_);
  void forget(const std::string& name) CENOTE_REQUIRES(mutex_);
  void insert(TokenRecord token) CENOTE_REQUIRES(mutex_);
  void replace(bool configured, std::vector<TokenRecord> tokens);
};

// 32 random bytes as text, behind a prefix that secret scanners can be taught.
std::string new_token();
int64_t unix_seconds();

}  // namespace cenote::coordinator
