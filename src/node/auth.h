// Who calls: name and password (Basic) or a token that a node of the cluster signed (Bearer).
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/error.h"
#include "cenote/server.h"

namespace cenote::node {

struct Caller {
  std::string user;  // empty: anonymous
  UserRole role = UserRole::kWriter;
  std::vector<std::string> pools;  // empty: all
  // Names what the caller keeps here between calls: the token's id, or its connection where it has
  // no token.
  std::string session;
  bool renew = false;  // the answer should bring a new token
};

// Immutable, so thread-safe.
class Authenticator {
 public:
  using WallTime = std::chrono::system_clock::time_point;

  // With an empty secret the tokens are good for this process only.
  Authenticator(std::vector<ServerUser> users, std::string secret, Duration token_lifetime);

  // No users are known: everyone is admitted, as anonymous writer.
  bool is_open() const { return users_.empty(); }

  // By the value of the `authorization` header. kAuthentication says no more than the caller may
  // know. `peer` is the caller's address with its port.
  Result<Caller> admit(std::string_view authorization, std::string_view peer,
                       WallTime now = std::chrono::system_clock::now()) const;

  // A token with the caller's rights, good at every node with the same secret until it expires.
  std::string issue(const Caller& caller, WallTime now = std::chrono::system_clock::now()) const;

 private:
  Result<Caller> by_password(std::string_view encoded, std::string_view peer) const;
  Result<Caller> by_token(std::string_view token, WallTime now) const;
  std::string sign(std::string_view payload) const;

  const std::vector<ServerUser> users_;
  const std::string key_;
  const std::chrono::seconds lifetime_;
};

}  // namespace cenote::node
