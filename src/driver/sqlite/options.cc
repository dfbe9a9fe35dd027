// Checks the keys of `config:` against one table, which the reference page comes from too.
#include "driver/sqlite/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace cenote::sqlite {
namespace {

constexpr std::array kSpecs = {
    OptionSpec{"database", OptionType::kPath, "",
               "Path of the file, a file: URI, or :memory: for one that lives with the pool.", true,
               ""},
    OptionSpec{"read_only", OptionType::kBoolean, "false", "Open the file for reading only.", false,
               ""},
    OptionSpec{"create", OptionType::kBoolean, "true", "Make the file if it is not there.", false,
               ""},
    OptionSpec{"busy_timeout", OptionType::kDuration, "5s",
               "How long to wait for another writer, within the call's deadline.", false, ""},
    OptionSpec{"journal_mode", OptionType::kEnum, "wal",
               "How changes are made safe; wal lets readers go on while one writes.", false,
               "wal|delete|truncate|persist|memory|off"},
    OptionSpec{"synchronous", OptionType::kEnum, "normal",
               "How often to wait for the disk; normal never corrupts a file in wal mode.", false,
               "off|normal|full|extra"},
    OptionSpec{"foreign_keys", OptionType::kBoolean, "true", "Enforce foreign keys.", false, ""},
    OptionSpec{"cache_size", OptionType::kInteger, "",
               "Page cache of a connection: pages, or KiB if negative.", false, ""},
    OptionSpec{"mmap_size", OptionType::kInteger, "",
               "Bytes of the file to map into memory; 0 for none.", false, ""},
    OptionSpec{"max_page_count", OptionType::kInteger, "",
               "Most pages the file may grow to; writes beyond fail as on a full disk.", false, ""},
    OptionSpec{"temp_store", OptionType::kEnum, "default",
               "Where temporary tables and sorts are kept.", false, "default|file|memory"},
};

Status bad(const OptionSpec& spec, std::string_view value, std::string_view wanted) {
  return make_error(ErrorKind::kConfig, "config key '" + std::string(spec.name) + "' is '" +
                                            std::string(value) + "', which is not " +
                                            std::string(wanted));
}

std::optional<int64_t> integer(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<bool> boolean(std::string_view text) {
  if (text == "true" || text == "yes" || text == "on" || text == "1") return true;
  if (text == "false" || text == "no" || text == "off" || text == "0") return false;
  return std::nullopt;
}

// "250ms", "5s", "10min", "1h"; a bare number is seconds.
std::optional<std::chrono::milliseconds> duration(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || number > 1e9) return std::nullopt;
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  double scale = 0;
  if (unit == "ms") scale = 1;
  if (unit.empty() || unit == "s") scale = 1000;
  if (unit == "m" || unit == "min") scale = 60'000;
  if (unit == "h") scale = 3'600'000;
  if (scale == 0) return std::nullopt;
  return std::chrono::milliseconds(static_cast<int64_t>(number * scale));
}

// A URI of a database in memory; each connection would get a database of its own.
bool is_private_memory(std::string_view database) {
  return database.starts_with("file:") &&
         (database.find("mode=memory") != std::string_view::npos ||
          database.substr(5, database.find('?') - 5) == ":memory:" ||
          database.find("vfs=memdb") != std::string_view::npos);
}

bool is_choice(std::string_view choices, std::string_view value) {
  while (!choices.empty()) {
    const size_t bar = std::min(choices.find('|'), choices.size());
    if (choices.substr(0, bar) == value) return true;
    choices.remove_prefix(std::min(bar + 1, choices.size()));
  }
  return false;
}

Status check(const OptionSpec& spec, std::string_view value) {
  switch (spec.type) {
    case OptionType::kBoolean:
      return boolean(value) ? Status::OK() : bad(spec, value, "true or false");
    case OptionType::kInteger:
      return integer(value) ? Status::OK() : bad(spec, value, "a whole number");
    case OptionType::kDuration:
      return duration(value) ? Status::OK() : bad(spec, value, "a duration such as 250ms or 5s");
    case OptionType::kEnum:
      return is_choice(spec.choices, value)
                 ? Status::OK()
                 : bad(spec, value, "one of " + std::string(spec.choices));
    default:
      return value.empty() || value.find('\0') != std::string_view::npos
                 ? bad(spec, "", "a path (it is empty or holds a NUL byte)")
                 : Status::OK();
  }
}

}  // namespace

std::span<const OptionSpec> option_specs() {
  return kSpecs;
}

Result<Options> parse_options(const DriverConfig& config) {
  for (const auto& [key, value] : config) {
    const auto spec = std::find_if(kSpecs.begin(), kSpecs.end(),
                                   [&key](const OptionSpec& each) { return each.name == key; });
    if (spec == kSpecs.end()) {
      std::string known;
      for (const OptionSpec& each : kSpecs) {
        known += (known.empty() ? "" : ", ") + std::string(each.name);
      }
      return make_error(ErrorKind::kConfig,
                        "an SQLite database has no config key '" + key + "'; there are: " + known);
    }
    ARROW_RETURN_NOT_OK(check(*spec, value));
  }
  const auto get = [&config](std::string_view key) -> std::string_view {
    if (const auto found = config.find(key); found != config.end()) return found->second;
    return std::find_if(kSpecs.begin(), kSpecs.end(),
                        [key](const OptionSpec& each) { return each.name == key; })
        ->default_value;
  };

  Options options;
  options.database = get("database");
  if (options.database.empty()) {
    return make_error(ErrorKind::kConfig,
                      "an SQLite database needs config key 'database': a path or :memory:");
  }
  options.memory = options.database == ":memory:";
  if (is_private_memory(options.database)) {
    return make_error(ErrorKind::kConfig,
                      "config key 'database' is a URI of a database in memory, of which each "
                      "connection would see another: write :memory:, which the pool shares");
  }
  options.read_only = *boolean(get("read_only"));
  options.create = *boolean(get("create"));
  options.busy_timeout = *duration(get("busy_timeout"));
  options.journal_mode = get("journal_mode");
  for (const std::string_view name :
       {"synchronous", "cache_size", "mmap_size", "max_page_count", "temp_store"}) {
    if (const std::string_view value = get(name); !value.empty()) {
      options.pragmas.emplace_back(name, value);
    }
  }
  options.pragmas.emplace_back("foreign_keys", *boolean(get("foreign_keys")) ? "on" : "off");
  return options;
}

}  // namespace cenote::sqlite
