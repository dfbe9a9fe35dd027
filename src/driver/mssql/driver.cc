// `type: mssql`: SQL Server and its like, over Microsoft's ODBC driver or FreeTDS.
#include <array>
#include <utility>

#include "driver/mssql/dialect.h"
#include "driver/mssql/finder.h"
#include "driver/odbc/database.h"
#include "driver/odbc/session.h"
#include "driver/registry.h"

namespace cenote {
namespace mssql {
namespace {

using odbc::ConnectionString;
using odbc::Settings;

constexpr std::array kOptions = {
    OptionSpec{"host", OptionType::kString, "localhost", "Host name or address.", false, ""},
    OptionSpec{"port", OptionType::kInteger, "1433", "TCP port.", false, ""},
    OptionSpec{"database", OptionType::kString, "", "Database name; empty: the login's own.", false,
               ""},
    OptionSpec{"username", OptionType::kString, "",
               "SQL Server login; empty: integrated authentication (Kerberos).", false, ""},
    OptionSpec{"password", OptionType::kSecret, "", "Password of the login.", false, ""},
    OptionSpec{"encrypt", OptionType::kEnum, "yes",
               "TLS: yes demands it, strict is TDS 8.0 (Microsoft's driver only).", false,
               "yes|no|strict|true|false|mandatory|optional"},
    OptionSpec{"ssl_mode", OptionType::kEnum, "",
               "Another word for encrypt: disable, allow and prefer mean no, the others yes.",
               false, "disable|allow|prefer|require|verify-ca|verify-full"},
    OptionSpec{"trust_server_certificate", OptionType::kBoolean, "false",
               "Take any certificate: for servers with a self-signed one.", false, ""},
    OptionSpec{"application_name", OptionType::kString, "cenote",
               "Name in the server's lists (APP_NAME()).", false, ""},
    OptionSpec{"application_intent", OptionType::kEnum, "read_write",
               "read_only: a listener of an availability group may send us to a replica.", false,
               "read_write|read_only"},
    OptionSpec{"driver", OptionType::kString, "",
               "microsoft, freetds, the name of an installed ODBC driver or a path; empty: "
               "Microsoft's, else FreeTDS.",
               false, ""},
};

// "yes", "no" or "strict".
std::string encryption(const Settings& settings) {
  const std::string mode = settings.get("ssl_mode");
  if (!mode.empty()) return mode == "disable" || mode == "allow" || mode == "prefer" ? "no" : "yes";
  const std::string encrypt = settings.get("encrypt");
  if (encrypt == "strict") return "strict";
  return encrypt == "no" || encrypt == "false" || encrypt == "optional" ? "no" : "yes";
}

// Microsoft's driver and FreeTDS have keywords of their own.
Result<std::string> connection_string(const Settings& settings, const FoundDriver& driver,
                                      const std::optional<Credentials>& credentials) {
  ConnectionString text(driver.freetds ? ConnectionString::Quoting::kFreeTds
                                       : ConnectionString::Quoting::kStandard);
  const std::string host = settings.get("host");
  const bool instance = host.find('\\') != std::string::npos;
  const std::string port = instance ? std::string() : settings.get("port");
  const std::string encrypt = encryption(settings);
  const std::string user = credentials ? credentials->username : settings.get("username");
  ARROW_ASSIGN_OR_RAISE(const bool trust, settings.boolean("trust_server_certificate"));
  ARROW_RETURN_NOT_OK(text.add("Driver", driver.name));
  if (driver.freetds) {
    // Server=host,port is not for every server that FreeTDS can talk to.
    ARROW_RETURN_NOT_OK(text.add("Server", host));
    ARROW_RETURN_NOT_OK(text.add("Port", port));
    text.add_raw("TDS_Version=7.4;ClientCharset=UTF-8;TextSize=2147483647");
    text.add_raw(encrypt == "yes" ? "Encryption=require" : "Encryption=off");
  } else {
    // Added raw: in braces the driver would not see the comma.
    text.add_raw("Server=tcp:" + host + (port.empty() ? "" : "," + port));
    text.add_raw("Encrypt=" + encrypt);
    text.add_raw(trust ? "TrustServerCertificate=yes" : "TrustServerCertificate=no");
    // The pool connects anew; a driver that does so behind its back hides a lost session.
    text.add_raw("ConnectRetryCount=0");
    if (user.empty()) text.add_raw("Trusted_Connection=yes");
    if (settings.get("application_intent") == "read_only") {
      text.add_raw("ApplicationIntent=ReadOnly");
    }
  }
  ARROW_RETURN_NOT_OK(text.add("Database", settings.get("database")));
  ARROW_RETURN_NOT_OK(text.add("UID", user));
  ARROW_RETURN_NOT_OK(
      text.add("PWD", credentials ? credentials->password : settings.get("password")));
  ARROW_RETURN_NOT_OK(text.add("APP", settings.get("application_name")));
  return text.text();
}

Status check(const Settings& settings, const DriverTraits& traits) {
  for (const OptionSpec& spec : traits.options) {
    if (spec.type != OptionType::kEnum) continue;
    const std::string value = settings.get(spec.name);
    if (value.empty()) continue;
    const std::string choices = "|" + std::string(spec.choices) + "|";
    if (choices.find("|" + value + "|") != std::string::npos) continue;
    return make_error(ErrorKind::kConfig, "config key '" + std::string(spec.name) + "' is '" +
                                              value + "', which is none of " +
                                              std::string(spec.choices));
  }
  if (settings.get("host").find_first_of(";{}") != std::string::npos) {
    return make_error(ErrorKind::kConfig, "config key 'host' is no host name");
  }
  return settings.boolean("trust_server_certificate").status();
}

class MssqlDriver final : public Driver {
 public:
  const DriverTraits& traits() const override {
    static const DriverTraits traits{.name = "mssql",
                                     .system_name = "microsoft.sql_server",
                                     .library = odbc::library_name(),
                                     .default_port = 1433,
                                     .options = kOptions};
    return traits;
  }

  Result<std::shared_ptr<Database>> open(const DriverConfig& config) const override {
    static const ServerDialect dialect;
    ARROW_ASSIGN_OR_RAISE(Settings settings, Settings::make(traits(), config));
    ARROW_RETURN_NOT_OK(check(settings, traits()));
    ARROW_ASSIGN_OR_RAISE(const int64_t port, settings.integer("port", 1, 65535));
    ARROW_ASSIGN_OR_RAISE(const FoundDriver driver, find_odbc_driver(settings.get("driver")));
    if (driver.freetds && encryption(settings) == "strict") {
      return make_error(ErrorKind::kConfig,
                        "config key 'encrypt' is 'strict', which FreeTDS cannot: install "
                        "Microsoft's ODBC driver (pip install mssql-python-odbc)");
    }
    odbc::Target target;
    const std::string host = settings.get("host");
    target.endpoint = host + ":" + std::to_string(port) + "/" + settings.get("database");
    if (host.find('\\') == std::string::npos) {  // a named instance has a port that changes
      target.host = host;
      target.port = static_cast<uint16_t>(port);
    }
    target.connection_string = [settings = std::move(settings), driver](const auto& credentials) {
      return connection_string(settings, driver, credentials);
    };
    return odbc::make_database(std::move(target), dialect);
  }
};

}  // namespace
}  // namespace mssql

const Driver& mssql_driver() {
  static const mssql::MssqlDriver driver;
  return driver;
}

}  // namespace cenote
