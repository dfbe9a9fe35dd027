// Tokens are "cnt1.<payload>.<signature>", both parts base64url; the payload is a protocol buffer.
#include "node/auth.h"

#include <algorithm>
#include <utility>

#include "flight/wire.h"
#include "node/crypto.h"

namespace cenote::node {
namespace {

constexpr std::string_view kPrefix = "cnt1.";

struct Token {
  static constexpr std::string_view kName = "cenote.Token";

  std::string user;
  UserRole role = UserRole::kReader;
  std::vector<std::string> pools;
  int64_t expires = 0;  // seconds since 1970
  std::string id;

  template <class Self, class Visit>
  static void fields(Self& self, Visit& visit) {
    visit(1, self.user);
    visit(2, self.role);
    visit(3, self.pools);
    visit(4, self.expires);
    visit(5, self.id);
  }
};

Status refused(const char* why) {
  ErrorDetail detail;
  detail.kind = ErrorKind::kAuthentication;
  detail.sent = Sent::kNo;
  return make_error(std::move(detail), why);
}

int64_t seconds(Authenticator::WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

// The scheme's name is case-insensitive (RFC 9110).
bool take_scheme(std::string_view& header, std::string_view scheme) {
  if (header.size() <= scheme.size() || header[scheme.size()] != ' ') return false;
  for (size_t i = 0; i < scheme.size(); ++i) {
    if ((static_cast<unsigned char>(header[i]) | 0x20U) != static_cast<unsigned char>(scheme[i])) {
      return false;
    }
  }
  header.remove_prefix(scheme.size() + 1);
  return true;
}

}  // namespace

Authenticator::Authenticator(std::vector<ServerUser> users, std::string secret,
                             Duration token_lifetime)
    : users_(std::move(users)),
      key_(hmac(secret.empty() ? random_id(32) : secret, "cenote login token")),
      lifetime_(std::chrono::duration_cast<std::chrono::seconds>(token_lifetime)) {}

Result<Caller> Authenticator::admit(std::string_view authorization, std::string_view peer,
                                    WallTime now) const {
  std::string_view rest = authorization;
  if (is_open()) {
    // A token keeps the session of a client whose connection changes; a name is taken as it is.
    if (take_scheme(rest, "bearer")) {
      Result<Caller> caller = by_token(rest, now);
      if (caller.ok()) return caller;
    }
    Caller caller;
    caller.session = "peer " + std::string(peer);
    return caller;
  }
  if (take_scheme(rest, "bearer")) return by_token(rest, now);
  if (take_scheme(rest, "basic")) return by_password(rest, peer);
  return refused("this node wants a login: send a user name and password, or a token");
}

Result<Caller> Authenticator::by_password(std::string_view encoded, std::string_view peer) const {
  const Result<std::string> text = from_base64(encoded);
  const size_t colon = text.ok() ? text->find(':') : std::string::npos;
  if (colon == std::string::npos) return refused("the Basic login is not base64 of name:password");
  const std::string_view name = std::string_view(*text).substr(0, colon);
  const std::string_view password = std::string_view(*text).substr(colon + 1);
  const ServerUser* found = nullptr;
  for (const ServerUser& user : users_) {
    if (user.name == name) found = &user;
  }
  // Compared for unknown names too, so that the time does not tell which names there are.
  const bool right = equal_in_constant_time(password, found != nullptr ? found->password : "");
  if (found == nullptr || !right || found->password.empty()) {
    return refused("the user name or the password is wrong");
  }
  Caller caller;
  caller.user = found->name;
  caller.role = found->role;
  caller.pools = found->pools;
  caller.session = "peer " + std::string(peer) + " " + found->name;
  caller.renew = true;
  return caller;
}

Result<Caller> Authenticator::by_token(std::string_view text, WallTime now) const {
  const size_t dot = text.rfind('.');
  if (!text.starts_with(kPrefix) || dot < kPrefix.size() || dot == std::string_view::npos) {
    return refused("the token is none of this cluster's");
  }
  const std::string_view body = text.substr(0, dot);
  if (!equal_in_constant_time(text.substr(dot + 1), sign(body))) {
    return refused("the token's signature is wrong: it was made by another cluster, or changed");
  }
  ARROW_ASSIGN_OR_RAISE(const std::string payload, from_base64(body.substr(kPrefix.size())));
  ARROW_ASSIGN_OR_RAISE(Token token, flight::decode<Token>(payload));
  const int64_t left = token.expires - seconds(now);
  if (left <= 0) return refused("the token has expired: log in again");
  Caller caller;
  caller.user = std::move(token.user);
  caller.role = token.role;
  caller.pools = std::move(token.pools);
  caller.session = "token " + token.id;
  caller.renew = left < lifetime_.count() / 2;
  return caller;
}

std::string Authenticator::issue(const Caller& caller, WallTime now) const {
  Token token;
  token.user = caller.user;
  token.role = caller.role;
  token.pools = caller.pools;
  token.expires = seconds(now) + lifetime_.count();
  // A renewed token goes on with its session.
  constexpr std::string_view kToken = "token ";
  token.id =
      caller.session.starts_with(kToken) ? caller.session.substr(kToken.size()) : random_id();
  const std::string body = std::string(kPrefix) + base64url(flight::encode(token));
  return body + "." + sign(body);
}

std::string Authenticator::sign(std::string_view payload) const {
  return base64url(hmac(key_, payload));
}

}  // namespace cenote::node
