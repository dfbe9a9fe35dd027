// Looks for Microsoft's ODBC Driver 18, then for FreeTDS: in unixODBC's list of installed drivers,
// where packages put them, and in the Python environment that this code runs in (the PyPI package
// mssql-python-odbc carries Microsoft's driver).
#include "driver/mssql/finder.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include <dlfcn.h>
#include <sys/utsname.h>

#include "driver/odbc/library.h"
#include "driver/odbc/unicode.h"

namespace cenote::mssql {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool is_freetds(std::string_view name) {
  const std::string text = lower(name);
  return text.find("freetds") != std::string::npos || text.find("tdsodbc") != std::string::npos;
}

// The names of odbcinst.ini.
Result<std::vector<std::string>> installed() {
  ARROW_ASSIGN_OR_RAISE(const odbc::Library* odbc, odbc::library());
  // An environment of its own: the walk through the list is the environment's state.
  SQLHENV environment = nullptr;
  std::vector<std::string> names;
  if (!SQL_SUCCEEDED(odbc->alloc_handle(SQL_HANDLE_ENV, nullptr, &environment))) {
    return names;
  }
  odbc->set_env_attr(environment, SQL_ATTR_ODBC_VERSION,
                     reinterpret_cast<SQLPOINTER>(intptr_t{SQL_OV_ODBC3_80}), 0);
  char16_t name[256];
  SQLSMALLINT length = 0;
  SQLUSMALLINT direction = SQL_FETCH_FIRST;
  while (SQL_SUCCEEDED(odbc->drivers(environment, direction, reinterpret_cast<SQLWCHAR*>(name), 256,
                                     &length, nullptr, 0, nullptr))) {
    names.push_back(odbc::to_utf8({name, static_cast<size_t>(std::clamp<int>(length, 0, 255))}));
    direction = SQL_FETCH_NEXT;
  }
  odbc->free_handle(SQL_HANDLE_ENV, environment);
  return names;
}

// The newest file in `folder` whose name begins and goes on so; symbolic links to nowhere do not
// count.
std::optional<std::string> newest(const fs::path& folder, std::string_view prefix) {
  std::optional<std::string> best;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || name.find(".so") == std::string::npos) continue;
    if (!fs::is_regular_file(entry.path(), ignored)) continue;
    if (!best || entry.path().string() > *best) best = entry.path().string();
  }
  return best;
}

// Which of the package's builds suits this system best, first.
std::vector<std::string> distributions() {
  std::ifstream file("/etc/os-release");
  std::string line;
  std::string ids;
  while (std::getline(file, line)) {
    if (line.starts_with("ID=") || line.starts_with("ID_LIKE=")) ids += lower(line) + " ";
  }
  std::vector<std::string> all = {"debian_ubuntu", "rhel", "suse"};
  const char* first = ids.find("alpine") != std::string::npos ? "alpine"
                      : ids.find("suse") != std::string::npos ? "suse"
                      : ids.find("rhel") != std::string::npos ||
                              ids.find("fedora") != std::string::npos ||
                              ids.find("centos") != std::string::npos
                          ? "rhel"
                          : "debian_ubuntu";
  all.insert(all.begin(), first);
  return all;
}

// Folders named site-packages: the one that holds this library, and those of an active environment.
std::vector<fs::path> site_packages() {
  std::vector<fs::path> folders;
  std::error_code ignored;
  Dl_info self{};
  if (::dladdr(reinterpret_cast<const void*>(&is_freetds), &self) != 0 &&
      self.dli_fname != nullptr) {
    folders.push_back(fs::absolute(self.dli_fname, ignored).parent_path().parent_path());
  }
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here sets variables
    const char* prefix = std::getenv(variable);
    if (prefix == nullptr || *prefix == '\0') continue;
    for (const auto& entry : fs::directory_iterator(fs::path(prefix) / "lib", ignored)) {
      if (entry.path().filename().string().starts_with("python")) {
        folders.push_back(entry.path() / "site-packages");
      }
    }
  }
  return folders;
}

std::optional<std::string> find_microsoft(const std::vector<std::string>& names) {
  std::optional<std::string> best;
  for (const std::string& name : names) {
    // "ODBC Driver 18 for SQL Server"; the newest wins.
    if (name.starts_with("ODBC Driver ") && name.ends_with(" for SQL Server") &&
        (!best || name > *best)) {
      best = name;
    }
  }
  if (best) return best;
  for (const char* folder :
       {"/opt/microsoft/msodbcsql18/lib64", "/opt/microsoft/msodbcsql17/lib64"}) {
    if (const auto found = newest(folder, "libmsodbcsql-")) return found;
  }
  utsname system{};
  ::uname(&system);
  const std::string machine = std::string(system.machine) == "aarch64" ? "arm64" : system.machine;
  for (const fs::path& site : site_packages()) {
    for (const std::string& distribution : distributions()) {
      const fs::path folder =
          site / "mssql_python_odbc" / "libs" / "linux" / distribution / machine / "lib";
      if (const auto found = newest(folder, "libmsodbcsql-")) return found;
    }
  }
  return std::nullopt;
}

std::optional<std::string> find_freetds(const std::vector<std::string>& names) {
  const auto found = std::find_if(names.begin(), names.end(), is_freetds);
  if (found != names.end()) return *found;
  std::vector<fs::path> folders = {"/usr/lib64", "/usr/local/lib", "/usr/lib", "/opt/homebrew/lib"};
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/usr/lib", ignored)) {
    folders.push_back(entry.path() / "odbc");
  }
  for (const fs::path& folder : folders) {
    if (const auto library = newest(folder, "libtdsodbc")) return library;
  }
  return std::nullopt;
}

}  // namespace

Result<FoundDriver> find_odbc_driver(std::string_view wanted) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> names, installed());
  if (wanted.empty()) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here sets variables
    const char* variable = std::getenv("CENOTE_MSSQL_DRIVER");
    if (variable != nullptr) wanted = variable;
  }
  const std::string kind = lower(wanted);
  if (kind.empty() || kind == "microsoft") {
    if (const auto found = find_microsoft(names)) return FoundDriver{*found, false};
  }
  if (kind.empty() || kind == "freetds") {
    if (const auto found = find_freetds(names)) return FoundDriver{*found, true};
  }
  if (kind.empty() || kind == "microsoft" || kind == "freetds") {
    return make_error(
        ErrorKind::kConfig,
        std::string("no ODBC driver for SQL Server was found") +
            (kind.empty() ? "" : " ('" + kind + "' was asked for)") +
            ". Install Microsoft's (pip install mssql-python-odbc into the environment that runs "
            "cenote, or the package msodbcsql18) or FreeTDS (apt-get install tdsodbc), or name one "
            "by config key 'driver' or the variable CENOTE_MSSQL_DRIVER");
  }
  const bool is_path = wanted.find('/') != std::string_view::npos;
  std::error_code ignored;
  if (is_path ? fs::is_regular_file(fs::path(wanted), ignored)
              : std::find(names.begin(), names.end(), wanted) != names.end()) {
    return FoundDriver{std::string(wanted), is_freetds(wanted)};
  }
  std::string known;
  for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
  return make_error(ErrorKind::kConfig,
                    "there is no ODBC driver '" + std::string(wanted) +
                        (is_path ? "': no such file" : "'; installed are: " + known));
}

}  // namespace cenote::mssql
