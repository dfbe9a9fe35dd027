// A target over ODBC: its settings, its connection string, its sessions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cenote/driver.h"

#include "driver/odbc/dialect.h"

namespace cenote::odbc {

// The keys of `config:`, checked against a driver's table.
class Settings {
 public:
  static Result<Settings> make(const DriverTraits& traits, const DriverConfig& config);

  bool has(std::string_view key) const { return !get(key).empty(); }
  // The value, or the table's default.
  std::string get(std::string_view key) const;
  Result<int64_t> integer(std::string_view key, int64_t least, int64_t most) const;
  Result<bool> boolean(std::string_view key) const;

 private:
  std::span<const OptionSpec> options_;
  DriverConfig config_;
};

// Puts a connection string together.
class ConnectionString {
 public:
  // How values with special characters are written. The standard's way is braces with each }
  // doubled; FreeTDS 1.3 takes everything up to "};" and knows no doubling.
  enum class Quoting : uint8_t { kStandard, kFreeTds };

  explicit ConnectionString(Quoting quoting) : quoting_(quoting) {}
  // Nothing for an empty value; kConfig where the value cannot be written. The message does not
  // show it.
  Status add(std::string_view keyword, std::string_view value);
  void add_raw(std::string_view text);
  const std::string& text() const { return text_; }

 private:
  Quoting quoting_;
  std::string text_;
};

// What a driver on top of ODBC makes of its settings.
struct Target {
  std::string endpoint;
  std::string host;  // probed by TCP before the login; empty: not
  uint16_t port = 0;
  int64_t bound_limit = 8000;
  std::function<Result<std::string>(const std::optional<Credentials>&)> connection_string;
};

std::shared_ptr<Database> make_database(Target target, const Dialect& dialect);

// "unixODBC 2.3.11", or that it is missing.
const std::string& library_name();

}  // namespace cenote::odbc
