// Which ODBC driver `type: mssql` takes where several are there, or none.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cenote/error.h"

#include "driver/mssql/finder.h"

namespace cenote::mssql {
namespace {

namespace fs = std::filesystem;

// A machine whose installed drivers and Python environment are the test's.
class MssqlFinder : public testing::Test {
 protected:
  void SetUp() override {
    home_ = fs::path(testing::TempDir()) / ("cenote_finder_" + std::to_string(::getpid()));
    fs::create_directories(home_);
    ::setenv("ODBCSYSINI", home_.c_str(), 1);
    ::setenv("VIRTUAL_ENV", home_.c_str(), 1);
    ::unsetenv("CONDA_PREFIX");
    ::unsetenv("CENOTE_MSSQL_DRIVER");
    if (fs::exists("/opt/microsoft")) GTEST_SKIP() << "Microsoft's driver is on this machine";
  }
  void TearDown() override { fs::remove_all(home_); }

  // In unixODBC's list; nothing is loaded.
  void install(const std::string& name) const {
    std::ofstream(home_ / "odbcinst.ini", std::ios::app)
        << "[" << name << "]\nDriver=/usr/lib/libnothing.so\n";
  }
  std::string install_package(const std::string& library) const {
    utsname system{};
    ::uname(&system);
    const std::string machine = std::string(system.machine) == "aarch64" ? "arm64" : system.machine;
    const fs::path folder = home_ / "lib" / "python3.11" / "site-packages" / "mssql_python_odbc" /
                            "libs" / "linux" / "debian_ubuntu" / machine / "lib";
    fs::create_directories(folder);
    std::ofstream(folder / library) << "not loaded";
    return (folder / library).string();
  }

  fs::path home_;
};

TEST_F(MssqlFinder, an_installed_driver_of_microsofts_comes_first_and_the_newest_of_them) {
  install("FreeTDS");
  install("ODBC Driver 17 for SQL Server");
  install("ODBC Driver 18 for SQL Server");
  install_package("libmsodbcsql-18.6.so.2.1");
  const auto found = find_odbc_driver("");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->name, "ODBC Driver 18 for SQL Server");
  EXPECT_FALSE(found->freetds);
}

TEST_F(MssqlFinder, the_package_of_the_active_environment_is_found_by_itself) {
  install("FreeTDS");
  const std::string library = install_package("libmsodbcsql-18.6.so.2.1");
  const auto found = find_odbc_driver("");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->name, library);
  EXPECT_FALSE(found->freetds);
}

TEST_F(MssqlFinder, freetds_stands_in_where_microsofts_is_not_there) {
  install("FreeTDS");
  const auto found = find_odbc_driver("");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->name, "FreeTDS");
  EXPECT_TRUE(found->freetds);
}

TEST_F(MssqlFinder, a_wish_wins_over_what_comes_first) {
  install("FreeTDS");
  install("ODBC Driver 18 for SQL Server");
  EXPECT_EQ(find_odbc_driver("freetds")->name, "FreeTDS");
  ::setenv("CENOTE_MSSQL_DRIVER", "freetds", 1);
  EXPECT_EQ(find_odbc_driver("")->name, "FreeTDS");
  EXPECT_EQ(find_odbc_driver("microsoft")->name, "ODBC Driver 18 for SQL Server");
}

TEST_F(MssqlFinder, a_driver_that_is_not_there_is_an_error_that_says_what_to_install) {
  install("Another");
  const Status none = find_odbc_driver("microsoft").status();
  EXPECT_EQ(error_kind(none), ErrorKind::kConfig);
  EXPECT_NE(none.message().find("pip install mssql-python-odbc"), std::string::npos) << none;
  const Status unknown = find_odbc_driver("Nameless").status();
  EXPECT_NE(unknown.message().find("installed are: Another"), std::string::npos) << unknown;
  const Status missing = find_odbc_driver("/no/such/driver.so").status();
  EXPECT_NE(missing.message().find("no such file"), std::string::npos) << missing;
}

}  // namespace
}  // namespace cenote::mssql
