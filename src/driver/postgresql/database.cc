// The configuration of a PostgreSQL target, and the driver itself.
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
    OptionSpec{"sslrootcert", OptionType::kPath, "", "Certificates of trusted authorities.", false,
               ""},
    OptionSpec{"application_name", OptionType::kString, "cenote", "Name in the server's lists.",
               false, ""},
    OptionSpec{"options", OptionType::kString, "", "Command-line options for the session.", false,
               ""},
};

class PostgresqlDatabase final : public Database {
 public:
  PostgresqlDatabase(DriverConfig config, std::string endpoint)
      : config_(std::move(config)), endpoint_(std::move(endpoint)) {}

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
    // The URI was taken apart by open(), so that each key stands once.
    for (const auto& [key, value] : config) {
      const char* name = key == "username" ? "user" : key == "database" ? "dbname" : key.c_str();
      add(name, value.c_str());
    }
    add(nullptr, nullptr);
    auto made = open_session(context, keys.data(), values.data());
    if (!made.ok()) return with_origin(made.status(), "", endpoint_);
    return made;
  }
  const std::string& endpoint() const override { return endpoint_; }

 private:
  DriverConfig config_;
  std::string endpoint_;
};

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
      char* message = nullptr;
      PQconninfoOption* parsed = PQconninfoParse(uri->second.c_str(), &message);
      PQfreemem(message);  // may quote the password
      if (parsed == nullptr) {
        return make_error(ErrorKind::kConfig, "uri is not a valid postgresql:// URI");
      }
      for (const auto* option = parsed; option->keyword != nullptr; ++option) {
        if (option->val == nullptr) continue;
        const std::string_view key = option->keyword;
        merged[std::string(key == "user"     ? "username"
                           : key == "dbname" ? "database"
                                             : key)] = option->val;
      }
      PQconninfoFree(parsed);
    }
    for (const auto& [key, value] : config) {
      bool known = false;
      for (const OptionSpec& option : kOptions) known = known || option.name == key;
      if (!known) {
        return make_error(ErrorKind::kConfig, "postgresql knows no key '" + key + "'");
      }
      if (key != "uri") merged[key] = value;
    }
    const auto get = [&](const char* key, const char* otherwise) {
      const auto found = merged.find(key);
      return found == merged.end() ? std::string(otherwise) : found->second;
    };
    std::string endpoint =
        get("host", "localhost") + ":" + get("port", "5432") + "/" + get("database", "");
    return std::make_shared<PostgresqlDatabase>(std::move(merged), std::move(endpoint));
  }
};

}  // namespace
}  // namespace postgresql

const Driver& postgresql_driver() {
  static const postgresql::PostgresqlDriver driver;
  return driver;
}

}  // namespace cenote
