// Opens sessions: a TCP probe first, then the driver's login.
#include "driver/odbc/database.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "driver/odbc/library.h"
#include "driver/odbc/session.h"
#include "driver/odbc/socket.h"

namespace cenote::odbc {
namespace {

constexpr std::chrono::seconds kProbe{10};

class OdbcDatabase final : public Database {
 public:
  OdbcDatabase(Target target, const Dialect& dialect)
      : target_(std::move(target)), dialect_(dialect) {}

  Result<std::unique_ptr<Connection>> connect(const CallContext& context,
                                              const ConnectOptions& options) override {
    auto session = open(context, options);
    if (!session.ok()) return with_origin(session.status(), "", target_.endpoint);
    return session;
  }
  const std::string& endpoint() const override { return target_.endpoint; }

 private:
  Result<std::unique_ptr<Connection>> open(const CallContext& context,
                                           const ConnectOptions& options) const {
    ARROW_ASSIGN_OR_RAISE(const Library* odbc, library());
    ARROW_ASSIGN_OR_RAISE(const std::string text, target_.connection_string(options.credentials));
    if (!target_.host.empty() && target_.port != 0) {
      CallContext probe = context;
      probe.deadline = context.deadline.sooner(Deadline::in(kProbe));
      ARROW_RETURN_NOT_OK(probe_tcp(probe, target_.host, target_.port));
    }
    SessionOptions session_options;
    session_options.connection_string = to_wide(text);
    session_options.bound_limit = target_.bound_limit;
    auto session = std::make_unique<Session>(*odbc, dialect_, std::move(session_options));
    ARROW_RETURN_NOT_OK(session->open(context));
    return session;
  }

  const Target target_;
  const Dialect& dialect_;
};

}  // namespace

Result<Settings> Settings::make(const DriverTraits& traits, const DriverConfig& config) {
  Settings settings;
  settings.options_ = traits.options;
  settings.config_ = config;
  for (const auto& [key, value] : config) {
    if (std::any_of(traits.options.begin(), traits.options.end(),
                    [&name = key](const OptionSpec& spec) { return spec.name == name; })) {
      continue;
    }
    std::string known;
    for (const OptionSpec& spec : traits.options) {
      known += (known.empty() ? "" : ", ") + std::string(spec.name);
    }
    return make_error(ErrorKind::kConfig, std::string(traits.name) + " has no config key '" + key +
                                              "'; there are: " + known);
  }
  return settings;
}

std::string Settings::get(std::string_view key) const {
  if (const auto found = config_.find(key); found != config_.end()) return found->second;
  for (const OptionSpec& spec : options_) {
    if (spec.name == key) return std::string(spec.default_value);
  }
  return {};
}

Result<int64_t> Settings::integer(std::string_view key, int64_t least, int64_t most) const {
  const std::string text = get(key);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= least &&
      number <= most) {
    return number;
  }
  return make_error(ErrorKind::kConfig, "config key '" + std::string(key) + "' is '" + text +
                                            "', which is no whole number from " +
                                            std::to_string(least) + " to " + std::to_string(most));
}

Result<bool> Settings::boolean(std::string_view key) const {
  const std::string text = get(key);
  for (const char* yes : {"true", "yes", "on", "1"}) {
    if (text == yes) return true;
  }
  for (const char* no : {"false", "no", "off", "0"}) {
    if (text == no) return false;
  }
  return make_error(ErrorKind::kConfig,
                    "config key '" + std::string(key) + "' is '" + text + "', not true or false");
}

void ConnectionString::add_raw(std::string_view text) {
  if (text.empty()) return;
  text_ += text;
  if (!text.ends_with(';')) text_ += ';';
}

Status ConnectionString::add(std::string_view keyword, std::string_view value) {
  if (value.empty()) return Status::OK();
  const auto refuse = [&](const char* what) {
    return make_error(ErrorKind::kConfig,
                      "the value of " + std::string(keyword) + " holds " + what +
                          ", which this ODBC driver's connection string cannot");
  };
  if (value.find('\0') != std::string_view::npos) return refuse("a zero byte");
  text_.append(keyword).append("=");
  if (quoting_ == Quoting::kFreeTds) {
    if (value.find("};") != std::string_view::npos) return refuse("'};'");
    const bool braces = value.find(';') != std::string_view::npos || value.front() == '{';
    text_.append(braces ? "{" : "").append(value).append(braces ? "};" : ";");
    return Status::OK();
  }
  const bool braces = value.find_first_of("[]{}(),;?*=!@") != std::string_view::npos ||
                      value.front() == ' ' || value.back() == ' ';
  if (!braces) {
    text_.append(value).append(";");
    return Status::OK();
  }
  text_ += '{';
  for (const char c : value) text_.append(c == '}' ? 2 : 1, c);
  text_ += "};";
  return Status::OK();
}

std::shared_ptr<Database> make_database(Target target, const Dialect& dialect) {
  return std::make_shared<OdbcDatabase>(std::move(target), dialect);
}

const std::string& library_name() {
  static const std::string name = [] {
    const auto found = library();
    return found.ok() ? "unixODBC (" + (*found)->path + ")" : std::string("unixODBC (missing)");
  }();
  return name;
}

}  // namespace cenote::odbc
