// Tokens in memory; pool_coordinator_tokens.cc keeps them in the store.
#include "coordinator/tokens.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "coordinator/audit.h"

namespace cenote::coordinator {
namespace {

constexpr size_t kBucket = 32;    // of 64 hexadecimal digits
constexpr size_t kShortest = 16;  // characters of a configured token
constexpr std::array<std::pair<TokenRole, std::string_view>, 4> kRoles = {{
    {TokenRole::kNode, "node"},
    {TokenRole::kClient, "client"},
    {TokenRole::kOperator, "operator"},
    {TokenRole::kViewer, "viewer"},
}};

bool plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

// "2027-01-31" or "2027-01-31T12:00:00Z".
std::optional<int64_t> parse_time(const std::string& text) {
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%d", &parts);
  if (end != nullptr && *end != '\0') end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return ::timegm(&parts);
}

// RFC 9110: the scheme's name in any case.
std::string_view bearer(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() <= kScheme.size()) return {};
  for (size_t i = 0; i < kScheme.size(); ++i) {
    const char c = header[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != kScheme[i]) return {};
  }
  return header.substr(kScheme.size());
}

bool expired(const TokenRecord& token, int64_t now) {
  return token.expires != 0 && now >= token.expires;
}

}  // namespace

std::string_view to_string(TokenRole role) {
  for (const auto& [each, name] : kRoles) {
    if (each == role) return name;
  }
  return "viewer";
}

std::optional<TokenRole> token_role(std::string_view name) {
  for (const auto& [role, each] : kRoles) {
    if (each == name) return role;
  }
  return std::nullopt;
}

Json to_json(const TokenRecord& token, bool stored) {
  Json out = {{"name", token.name}, {"role", to_string(token.role)}};
  if (!token.node_id.empty()) out["node_id"] = token.node_id;
  if (token.expires != 0) out["expires"] = token.expires;
  if (stored) {
    out["hash"] = token.hash;
  } else {
    out["configured"] = token.configured;
  }
  return out;
}

Result<TokenRecord> token_record_from(const Json& value) {
  TokenRecord token;
  JsonReader reader(value);
  std::string role;
  uint64_t expires = 0;
  reader.get("name", &token.name);
  reader.get("role", &role);
  reader.maybe("hash", &token.hash);
  reader.maybe("node_id", &token.node_id);
  reader.maybe("expires", &expires);
  const std::optional<TokenRole> known = token_role(role);
  if (!known) reader.fail("role", "is none of node, client, operator, viewer");
  if (!plain_name(token.name)) reader.fail("name", "must be 1 to 64 of letters, digits and ._-");
  if (expires > uint64_t{1} << 40) reader.fail("expires", "must be seconds since 1970");
  ARROW_RETURN_NOT_OK(reader.finish());
  token.role = *known;
  token.expires = static_cast<int64_t>(expires);
  return token;
}

Result<TokenRecord> token_record_from(const CoordinatorToken& configured) {
  TokenRecord token;
  const std::string which = "coordinator.tokens: token '" + configured.name + "': ";
  if (!plain_name(configured.name)) {
    return make_error(ErrorKind::kConfig,
                      which + "its name must be 1 to 64 of letters, digits and ._-");
  }
  if (configured.token.size() < kShortest) {
    return make_error(ErrorKind::kConfig,
                      which + "too short to be safe; make one with: openssl rand -hex 32");
  }
  if (!configured.expires.empty()) {
    const std::optional<int64_t> time = parse_time(configured.expires);
    if (!time) {
      return make_error(ErrorKind::kConfig,
                        which + "expires must be as 2027-01-31 or 2027-01-31T12:00:00Z");
    }
    token.expires = *time;
  }
  token.name = configured.name;
  token.role = configured.role;
  token.node_id = configured.node_id;
  token.hash = sha256(configured.token);
  token.configured = true;
  return token;
}

void TokenBook::forget(const std::string& name) {
  std::erase_if(by_hash_, [&](const auto& each) { return each.second == name; });
  by_name_.erase(name);
}

void TokenBook::insert(TokenRecord token) {
  forget(token.name);
  by_hash_.emplace(token.hash.substr(0, kBucket), token.name);
  std::string name = token.name;
  by_name_.insert_or_assign(std::move(name), std::move(token));
}

bool TokenBook::is_open() const {
  const Lock lock(mutex_);
  return by_name_.empty();
}

std::optional<Caller> TokenBook::admit(std::string_view authorization, int64_t now) const {
  const std::string hash = sha256(bearer(authorization));
  const Lock lock(mutex_);
  if (by_name_.empty()) return Caller();
  const auto [begin, end] = by_hash_.equal_range(std::string_view(hash).substr(0, kBucket));
  for (auto each = begin; each != end; ++each) {
    const TokenRecord& token = by_name_.find(each->second)->second;
    const bool same = token.hash.size() == hash.size() &&
                      CRYPTO_memcmp(token.hash.data(), hash.data(), hash.size()) == 0;
    if (same && !expired(token, now)) return Caller{token.name, token.role, token.node_id, hash};
  }
  return std::nullopt;
}

bool TokenBook::admits_still(const Caller& caller, int64_t now) const {
  const Lock lock(mutex_);
  if (by_name_.empty()) return caller.hash.empty();
  const auto found = by_name_.find(caller.name);
  return found != by_name_.end() && found->second.hash == caller.hash &&
         found->second.role == caller.role && !expired(found->second, now);
}

void TokenBook::put(TokenRecord token) {
  const Lock lock(mutex_);
  insert(std::move(token));
}

bool TokenBook::remove(std::string_view name) {
  const Lock lock(mutex_);
  if (!by_name_.contains(name)) return false;
  forget(std::string(name));
  return true;
}

void TokenBook::replace(bool configured, std::vector<TokenRecord> tokens) {
  const Lock lock(mutex_);
  std::vector<std::string> gone;
  for (const auto& [name, token] : by_name_) {
    if (token.configured == configured) gone.push_back(name);
  }
  for (const std::string& name : gone) forget(name);
  for (TokenRecord& token : tokens) {
    // A name that stands in the file is the file's.
    const auto other = by_name_.find(token.name);
    if (!configured && other != by_name_.end()) continue;
    insert(std::move(token));
  }
}

std::optional<TokenRecord> TokenBook::find(std::string_view name) const {
  const Lock lock(mutex_);
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<TokenRecord> TokenBook::all() const {
  const Lock lock(mutex_);
  std::vector<TokenRecord> tokens;
  for (const auto& [name, token] : by_name_) tokens.push_back(token);
  return tokens;
}

std::string new_token() {
  std::array<unsigned char, 32> bytes{};
  // Without randomness no token would be safe: better no process than a guessable one.
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) std::abort();
  std::string text = "cenote_";
  for (const unsigned char byte : bytes) {
    std::array<char, 3> two{};
    std::snprintf(two.data(), two.size(), "%02x", byte);
    text += two.data();
  }
  return text;
}

int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace cenote::coordinator
