// `type: odbc`: any database that has an ODBC driver.
#include <array>
#include <utility>

#include "driver/odbc/database.h"
#include "driver/odbc/session.h"
#include "driver/registry.h"

namespace cenote {
namespace odbc {
namespace {

constexpr std::array kOptions = {
    OptionSpec{"driver", OptionType::kString, "",
               "Name of an installed ODBC driver (odbcinst -q -d), or the path of its library.",
               false, ""},
    OptionSpec{"dsn", OptionType::kString, "", "Name of a data source of odbc.ini.", false, ""},
    OptionSpec{"connection_string", OptionType::kSecret, "",
               "Keywords of the ODBC driver: 'Keyword=value;…'; the other keys are added to it.",
               false, ""},
    OptionSpec{"host", OptionType::kString, "", "Host name or address (Server=).", false, ""},
    OptionSpec{"port", OptionType::kInteger, "0", "TCP port (Port=); 0: the driver's own.", false,
               ""},
    OptionSpec{"database", OptionType::kString, "", "Database name or path (Database=).", false,
               ""},
    OptionSpec{"username", OptionType::kString, "", "User to log in as (UID=).", false, ""},
    OptionSpec{"password", OptionType::kSecret, "", "Password of the user (PWD=).", false, ""},
    OptionSpec{"bound_limit", OptionType::kInteger, "8000",
               "Texts and bytes declared longer are fetched one by one; 0: all of them, for "
               "drivers that declare too little.",
               false, ""},
};

Result<std::string> connection_string(const Settings& settings,
                                      const std::optional<Credentials>& credentials) {
  ConnectionString text(ConnectionString::Quoting::kStandard);
  ARROW_RETURN_NOT_OK(text.add("DSN", settings.get("dsn")));
  ARROW_RETURN_NOT_OK(text.add("Driver", settings.get("driver")));
  text.add_raw(settings.get("connection_string"));
  ARROW_RETURN_NOT_OK(text.add("Server", settings.get("host")));
  if (settings.get("port") != "0") ARROW_RETURN_NOT_OK(text.add("Port", settings.get("port")));
  ARROW_RETURN_NOT_OK(text.add("Database", settings.get("database")));
  ARROW_RETURN_NOT_OK(
      text.add("UID", credentials ? credentials->username : settings.get("username")));
  ARROW_RETURN_NOT_OK(
      text.add("PWD", credentials ? credentials->password : settings.get("password")));
  return text.text();
}

std::string endpoint(const Settings& settings) {
  std::string text = settings.get("host");
  if (text.empty()) text = settings.get("dsn");
  if (settings.get("port") != "0") text += ":" + settings.get("port");
  if (settings.has("database")) text += (text.empty() ? "" : "/") + settings.get("database");
  if (text.empty()) text = settings.get("driver");
  return text.empty() ? "odbc connection string" : text;
}

class OdbcDriver final : public Driver {
 public:
  const DriverTraits& traits() const override {
    static const DriverTraits traits{
        .name = "odbc", .system_name = "other_sql", .library = library_name(), .options = kOptions};
    return traits;
  }

  Result<std::shared_ptr<Database>> open(const DriverConfig& config) const override {
    static const Dialect dialect;
    ARROW_ASSIGN_OR_RAISE(Settings settings, Settings::make(traits(), config));
    if (!settings.has("dsn") && !settings.has("driver") && !settings.has("connection_string")) {
      return make_error(ErrorKind::kConfig,
                        "an ODBC database needs config key 'driver', 'dsn' or "
                        "'connection_string'");
    }
    Target target;
    target.endpoint = endpoint(settings);
    target.host = settings.get("host");
    ARROW_ASSIGN_OR_RAISE(const int64_t port, settings.integer("port", 0, 65535));
    target.port = static_cast<uint16_t>(port);
    ARROW_ASSIGN_OR_RAISE(target.bound_limit, settings.integer("bound_limit", 0, 1 << 20));
    target.connection_string = [settings = std::move(settings)](const auto& credentials) {
      return connection_string(settings, credentials);
    };
    return make_database(std::move(target), dialect);
  }
};

}  // namespace
}  // namespace odbc

const Driver& odbc_driver() {
  static const odbc::OdbcDriver driver;
  return driver;
}

}  // namespace cenote
