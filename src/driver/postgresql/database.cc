// The configuration of a PostgreSQL target, and the driver itself.
#include <algorithm>
#include <array>
#include <utility>

#include "driver/postgresql/connection.h"
#include "driver/registry.h"

namespace cenote {
namespace postgresql {
namespace {

constexpr std::array kOptions = {
    OptionSpec{"uri", OptionType::kSecret, "", "A postgresql:// URI; other keys override it.",
               false, ""},
    OptionSpec{"host", OptionType::kString, "", "Host name, address or socket directory.", false,
               ""},
    OptionSpec{"port", OptionType::kInteger, "", "TCP port; 5432 if neither this nor the URI says.",
               false, ""},
    OptionSpec{"database", OptionType::kString, "", "Database name.", false, ""},
    OptionSpec{"username", OptionType::kString, "", "User to log in as.", false, ""},
    OptionSpec{"password", OptionType::kSecret, "", "Password of the user.", false, ""},
    OptionSpec{"sslmode", OptionType::kEnum, "", "How far TLS is demanded.", false,
               "disable|allow|prefer|require|verify-ca|verify-full"},
    OptionSpec{"ssl_mode", OptionType::kEnum, "", "Another word for sslmode.", false,
               "disable|allow|prefer|require|verify-ca|verify-full"},
    OptionSpec{"sslrootcert", OptionType::kPath, "", "Certificates of trusted authorities.", false,
               ""},
    OptionSpec{"trust_server_certificate", OptionType::kBoolean, "false",
               "Take any certificate; so it is, unless sslmode is verify-ca or verify-full.", false,
               ""},
    OptionSpec{"application_name", OptionType::kString, "cenote", "Name in the server's lists.",
               false, ""},
    OptionSpec{"prepared_statements", OptionType::kEnum, "auto",
               "Whether statements stay prepared on the server; auto: unless a pooler stands "
               "between.",
               false, "auto|on|off"},
    OptionSpec{"sslcert", OptionType::kPath, "", "Certificate of the client.", false, ""},
    OptionSpec{"sslkey", OptionType::kPath, "", "Key of the client's certificate.", false, ""},
    OptionSpec{"target_session_attrs", OptionType::kEnum, "", "Which of several hosts will do.",
               false, "any|read-write|read-only|primary|standby|prefer-standby"},
    OptionSpec{"options", OptionType::kString, "", "Command-line options for the session.", false,
               ""},
};

std::string_view value_or(const DriverConfig& config, std::string_view key,
                          std::string_view otherwise) {
  const auto found = config.find(key);
  return found == config.end() ? otherwise : std::string_view(found->second);
}

class PostgresqlDatabase final : public Database {
 public:
  PostgresqlDatabase(DriverConfig config, std::string endpoint, UsePrepared prepared)
      : config_(std::move(config)), endpoint_(std::move(endpoint)) {
    options_.prepared = prepared;
    options_.canceller = std::make_shared<Canceller>();
  }

  Result<std::unique_ptr<Connection>> connect(const CallContext& context,
                                              const ConnectOptions& options) override {
    DriverConfig config = config_;
    if (options.credentials) {
      config["username"] = options.credentials->username;
      config["password"] = options.credentials->password;
    }
    std::vector<const char*> keys;
    std::vector<const char*> values;
    const auto add = [&](const char* key, const char* value) {
      keys.push_back(key);
      values.push_back(value);
    };
    add("fallback_application_name", "cenote");
    add("client_encoding", "UTF8");
    // A peer that acknowledges nothing for this long is gone. It bounds libpq's cancel, too.
    if (!config.contains("tcp_user_timeout")) add("tcp_user_timeout", "30000");
    for (const auto& [key, value] : config) {
      const char* name = key == "username" ? "user" : key == "database" ? "dbname" : key.c_str();
      add(name, value.c_str());
    }
    add(nullptr, nullptr);
    auto made = open_session(context, keys.data(), values.data(), options_);
    if (!made.ok()) return with_origin(made.status(), "", endpoint_);
    return made;
  }
  const std::string& endpoint() const override { return endpoint_; }

 private:
  const DriverConfig config_;
  const std::string endpoint_;
  SessionOptions options_;
};

// libpq knows one of the two words only.
std::string with_libpq_words(std::string uri) {
  constexpr std::string_view kOurs = "ssl_mode=";
  for (size_t at = uri.find('?'); at != std::string::npos; at = uri.find('&', at + 1)) {
    if (uri.compare(at + 1, kOurs.size(), kOurs) == 0)
      uri.replace(at + 1, kOurs.size(), "sslmode=");
  }
  return uri;
}

// Takes a URI apart into the driver's own keys, so that each key stands once.
Status merge_uri(const std::string& given, DriverConfig& config) {
  const std::string uri = with_libpq_words(given);
  char* message = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(uri.c_str(), &message);
  PQfreemem(message);  // may quote the password
  if (parsed == nullptr) {
    return make_error(ErrorKind::kConfig,
                      "uri is not a valid postgresql:// URI: it reads "
                      "postgresql://user:password@host:port/database?key=value, with special "
                      "characters of the password percent-encoded");
  }
  for (const auto* option = parsed; option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view key = option->keyword;
    config[std::string(key == "user"     ? "username"
                       : key == "dbname" ? "database"
                                         : key)] = option->val;
  }
  PQconninfoFree(parsed);
  return Status::OK();
}

Status check_key(std::string_view key, std::string_view value) {
  const auto* option = std::find_if(kOptions.begin(), kOptions.end(),
                                    [&](const OptionSpec& known) { return known.name == key; });
  if (option == kOptions.end()) {
    return make_error(ErrorKind::kConfig, "postgresql knows no key '" + std::string(key) + "'");
  }
  if (option->type != OptionType::kEnum) return Status::OK();
  const std::string among = "|" + std::string(option->choices) + "|";
  if (among.find("|" + std::string(value) + "|") != std::string::npos) return Status::OK();
  return make_error(ErrorKind::kConfig, "'" + std::string(key) + "' is one of " +
                                            std::string(option->choices) + ", not '" +
                                            std::string(value) + "'");
}

// Puts the words that SQL Server has for TLS under libpq's.
Status merge_tls_words(const DriverConfig& given, DriverConfig& config) {
  if (const auto other = config.find("ssl_mode"); other != config.end()) {
    const auto own = given.find("sslmode");
    if (own != given.end() && own->second != other->second) {
      return make_error(ErrorKind::kConfig, "'sslmode' is " + own->second + " and 'ssl_mode' is " +
                                                other->second +
                                                ", but they are two words for one thing: give one");
    }
    config["sslmode"] = other->second;
    config.erase("ssl_mode");
  }
  const auto trust = config.find("trust_server_certificate");
  if (trust == config.end()) return Status::OK();
  if (trust->second != "true" && trust->second != "false") {
    return make_error(ErrorKind::kConfig,
                      "'trust_server_certificate' is true or false, not '" + trust->second + "'");
  }
  const bool verifies =
      value_or(config, "sslmode", "").starts_with("verify") || config.contains("sslrootcert");
  if (trust->second == "true" && verifies) {
    return make_error(ErrorKind::kConfig,
                      "'trust_server_certificate' is true, but sslmode or sslrootcert demands that "
                      "the certificate is verified: give one or the other");
  }
  config.erase(trust);
  return Status::OK();
}

// A password that is not percent-encoded ends up in host or port, and so in messages.
Status check_address(const DriverConfig& config) {
  constexpr const char* kEncode =
      "; if it comes from the uri, percent-encode the special characters of the password (@ is "
      "%40, : is %3A, / is %2F)";
  if (value_or(config, "host", "").find('@') != std::string_view::npos) {
    return make_error(ErrorKind::kConfig, std::string("host has an @ in it") + kEncode);
  }
  if (value_or(config, "port", "").find_first_not_of("0123456789,") != std::string_view::npos) {
    return make_error(ErrorKind::kConfig, std::string("port is not a number") + kEncode);
  }
  return Status::OK();
}

class PostgresqlDriver final : public Driver {
 public:
  const DriverTraits& traits() const override {
    static const std::string library = "libpq " + std::to_string(PQlibVersion() / 10'000) + "." +
                                       std::to_string(PQlibVersion() % 10'000);
    static const DriverTraits traits{.name = "postgresql",
                                     .system_name = "postgresql",
                                     .library = library,
                                     .default_port = 5432,
                                     .options = kOptions};
    return traits;
  }

  Result<std::shared_ptr<Database>> open(const DriverConfig& config) const override {
    DriverConfig merged;
    if (const auto uri = config.find("uri"); uri != config.end()) {
      ARROW_RETURN_NOT_OK(merge_uri(uri->second, merged));
    }
    for (const auto& [key, value] : config) {
      ARROW_RETURN_NOT_OK(check_key(key, value));
      if (key != "uri") merged[key] = value;
    }
    ARROW_RETURN_NOT_OK(merge_tls_words(config, merged));
    ARROW_RETURN_NOT_OK(check_address(merged));
    UsePrepared prepared = UsePrepared::kAuto;
    if (const auto choice = merged.find("prepared_statements"); choice != merged.end()) {
      if (choice->second == "on") prepared = UsePrepared::kOn;
      if (choice->second == "off") prepared = UsePrepared::kOff;
      merged.erase(choice);
    }
    std::string endpoint(value_or(merged, "host", "localhost"));
    endpoint.append(":").append(value_or(merged, "port", "5432"));
    endpoint.append("/").append(value_or(merged, "database", ""));
    return std::make_shared<PostgresqlDatabase>(std::move(merged), std::move(endpoint), prepared);
  }
};

}  // namespace
}  // namespace postgresql

const Driver& postgresql_driver() {
  static const postgresql::PostgresqlDriver driver;
  return driver;
}

}  // namespace cenote
