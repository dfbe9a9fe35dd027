// Pools from URLs and from flat keys.
#include <algorithm>
#include <cctype>
#include <utility>

#include "cenote/config.h"

#include "base/percent.h"
#include "config/schema.h"
#include "config/value.h"

namespace cenote {
namespace {

Status bad(std::string message) {
  return make_error(ErrorKind::kConfig, std::move(message));
}

Result<std::string> decoded(std::string_view text) {
  if (auto out = percent_decoded(text)) return *std::move(out);
  return bad("the URL has a '%' that is not followed by two hexadecimal digits; write %25");
}

// user:password@host:port/database into the keys. No message quotes any of it: it may be a part of
// a password that was not encoded.
Status read_authority(std::string_view rest, DriverConfig* keys) {
  const size_t last_at = rest.rfind('@');  // a password may hold '/' and '@'
  const size_t slash = rest.find('/', last_at == std::string_view::npos ? 0 : last_at);
  std::string_view authority = rest.substr(0, slash);
  if (slash != std::string_view::npos && slash + 1 < rest.size()) {
    ARROW_ASSIGN_OR_RAISE((*keys)["database"], decoded(rest.substr(slash + 1)));
  }
  const size_t at = authority.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view user = authority.substr(0, at);
    const size_t colon = user.find(':');
    ARROW_ASSIGN_OR_RAISE((*keys)["username"], decoded(user.substr(0, colon)));
    if (colon != std::string_view::npos) {
      ARROW_ASSIGN_OR_RAISE((*keys)["password"], decoded(user.substr(colon + 1)));
    }
    authority = authority.substr(at + 1);
  }
  std::string_view host = authority;
  if (host.starts_with('[')) {  // an IPv6 address
    const size_t close = host.find(']');
    if (close == std::string_view::npos)
      return bad("the URL's host begins with '[' but has no ']'");
    (*keys)["host"] = host.substr(1, close - 1);
    host = host.substr(close + 1);
  } else {
    const std::string_view name = host.substr(0, host.find(':'));
    if (!name.empty()) {
      ARROW_ASSIGN_OR_RAISE((*keys)["host"], decoded(name));
    }
    host = host.substr(name.size());
  }
  if (!host.empty() && !host.starts_with(':'))
    return bad("the URL has something between its host's ']' and the port");
  if (!host.starts_with(':')) return Status::OK();
  const std::string_view port = host.substr(1);
  if (port.find_first_not_of("0123456789") != std::string_view::npos)
    return bad(
        "the URL's port is not a number; if it belongs to a password, write its special "
        "characters as %XX");
  if (!port.empty()) (*keys)["port"] = port;
  return Status::OK();
}

}  // namespace

Result<PoolConfig> pool_from_keys(std::string_view pool_id, std::string_view type,
                                  const DriverConfig& keys) {
  PoolConfig pool;
  pool.id = pool_id;
  pool.type = type;
  ARROW_ASSIGN_OR_RAISE(const Driver* driver, find_driver(type));
  const DriverTraits& traits = driver->traits();
  std::vector<std::string_view> near;
  for (const PoolKey& row : pool_keys()) near.push_back(row.name);
  for (const auto& [key, value] : keys) {
    if (key == "endpoints") {
      pool.endpoints = split_list(value);
      const Status status = check_endpoints(traits, pool.endpoints);
      if (!status.ok()) return bad("pool '" + pool.id + "': endpoints: " + status.message());
      continue;
    }
    const bool own = find_option(traits, key) != nullptr;
    const PoolKey* row = own ? nullptr : find_key(pool_keys(), key);
    if (row == nullptr && !own) row = find_original(key);
    if (row != nullptr) {
      const Status status = check_value(row->rule, value, "'" + value + "'");
      if (!status.ok())
        return bad("pool '" + pool.id + "': key '" + key + "': " + status.message());
      row->store(pool, value);
    } else if (own || !is_ignored_original(key)) {
      pool.config[key] = value;
    }
  }
  const Status status = check_driver_config(traits, pool.config, near);
  if (!status.ok()) return bad("pool '" + pool.id + "': " + status.message());
  if (pool.pool.min_connections > pool.pool.max_connections) {
    return bad("pool '" + pool.id + "': min_connections is greater than max_connections");
  }
  return pool;
}

Result<PoolConfig> pool_from_url(std::string_view url, std::string_view pool_id) {
  const size_t colon = url.find(':');
  // One letter before a colon, or none at all: a path.
  const bool has_scheme =
      colon != std::string_view::npos && colon > 1 &&
      std::all_of(url.begin(), url.begin() + static_cast<std::ptrdiff_t>(colon),
                  [](unsigned char c) { return std::isalnum(c) != 0 || c == '+'; });
  DriverConfig keys;
  if (!has_scheme) {
    keys["database"] = url;
    return pool_from_keys(pool_id, "sqlite", keys);
  }
  std::string type(url.substr(0, colon));
  if (type == "postgres") type = "postgresql";
  if (type == "sqlserver") type = "mssql";
  ARROW_RETURN_NOT_OK(find_driver(type).status());
  std::string_view rest = url.substr(colon + 1);
  const size_t question = rest.find('?');
  std::string_view query = question == std::string_view::npos ? "" : rest.substr(question + 1);
  rest = rest.substr(0, question);
  if (type == "sqlite") {
    // sqlite:shop.db, sqlite:///relative.db and sqlite:////absolute.db (as SQLAlchemy writes them),
    // sqlite::memory:
    if (rest.starts_with("///")) rest = rest.substr(3);
    ARROW_ASSIGN_OR_RAISE(keys["database"], decoded(rest));
  } else {
    if (!rest.starts_with("//")) return bad("the URL must begin with " + type + "://host");
    if (query.find('@') != std::string_view::npos)
      return bad(
          "the URL has an '@' after its '?'; write the special characters of a password as %XX "
          "(%3F for '?'), and %40 for the '@' of an option");
    ARROW_RETURN_NOT_OK(read_authority(rest.substr(2), &keys));
  }
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query = query.substr(std::min(query.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos)
      return bad(
          "the URL's options behind '?' are not key=value; a '?' in a password is written %3F");
    ARROW_ASSIGN_OR_RAISE(const std::string key, decoded(pair.substr(0, equals)));
    // Part of a password with a '?' in it would be quoted as an unknown key otherwise.
    if (key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
      return bad("the URL has an option whose name is no word; a '?' in a password is written %3F");
    }
    ARROW_ASSIGN_OR_RAISE(keys[key], decoded(pair.substr(equals + 1)));
  }
  return pool_from_keys(pool_id, type, keys);
}

}  // namespace cenote
