// A PostgreSQL server of the tests' own, which they may kill; and what it says of its sessions.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cenote/deadline.h"

namespace cenote {

namespace fs = std::filesystem;

class PostgresServer {
 public:
  static constexpr const char* kBin = "/usr/lib/postgresql/15/bin/";
  static constexpr const char* kPassword = "s3cret-of-the-test";

  static bool installed() { return fs::exists(std::string(kBin) + "initdb"); }

  explicit PostgresServer(int port) : port_(port) {
    std::string made = (fs::temp_directory_path() / "cenote-pg-XXXXXX").string();
    home_ = ::mkdtemp(made.data());
    const fs::path secret = home_ / "password";
    std::ofstream(secret) << kPassword;
    if (::geteuid() == 0) {
      ::chmod(home_.c_str(), 0755);
      (void)!std::system(("chown -R postgres " + home_.string()).c_str());
    }
    run("initdb -D " + data() +
        " -U cenote -A scram-sha-256 -E UTF8 --no-sync --pwfile=" + secret.string());
    start();
  }
  ~PostgresServer() {
    run("pg_ctl -D " + data() + " -m immediate -w stop");
    fs::remove_all(home_);
  }
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  int port() const { return port_; }

  void start() {
    // After a kill the old backends have to end first; until then the server refuses to start.
    const Deadline until = Deadline::in(std::chrono::seconds(60));
    while (!run("pg_ctl -D " + data() + " -w -l " + (home_ / "log").string() +
                " -o '-c listen_addresses=127.0.0.1 -c port=" + std::to_string(port_) +
                " -c unix_socket_directories=" + home_.string() +
                " -c fsync=off -c max_connections=50' start") &&
           !until.passed()) {
    }
  }
  void restart() { run("pg_ctl -D " + data() + " -m fast -w restart"); }
  void kill_postmaster() const {
    std::ifstream file(data() + "/postmaster.pid");
    pid_t pid = 0;
    file >> pid;
    kill_process(pid);
  }
  // Never 0 or below, which would mean a group of processes, our own among them.
  static void kill_process(pid_t pid) {
    ASSERT_GT(pid, 1);
    ::kill(pid, SIGKILL);
  }

  // The one value of `sql` as text, asked on a connection of its own; waits for a server that is
  // coming up.
  std::string ask(const std::string& sql) const {
    const std::string target =
        "host=127.0.0.1 port=" + std::to_string(port_) +
        " user=cenote dbname=postgres connect_timeout=5 password=" + kPassword;
    const Deadline until = Deadline::in(std::chrono::seconds(60));
    std::string text;
    do {
      PGconn* connection = PQconnectdb(target.c_str());
      PGresult* result = PQexec(connection, sql.c_str());
      const bool done = PQresultStatus(result) == PGRES_TUPLES_OK;
      text = !done                    ? PQerrorMessage(connection)
             : PQntuples(result) == 0 ? ""
                                      : PQgetvalue(result, 0, 0);
      PQclear(result);
      PQfinish(connection);
      if (done) break;
    } while (!until.passed());
    return text;
  }

  // Sessions of one pool as the server lists them.
  std::string sessions(const std::string& pool) const {
    return ask("select count(*) from pg_stat_activity where application_name = '" + pool + "'");
  }
  // Waits until the server lists `count` sessions: it learns of a closed one a little later.
  void expect_sessions(const std::string& pool, int count) const {
    const Deadline until = Deadline::in(std::chrono::seconds(30));
    std::string seen;
    do {
      seen = sessions(pool);
    } while (seen != std::to_string(count) && !until.passed());
    EXPECT_EQ(seen, std::to_string(count)) << "sessions of " << pool;
  }
  // The backend of the pool that runs a statement with `sql` in it; waits for it.
  pid_t backend_running(const std::string& pool, const std::string& sql) const {
    const Deadline until = Deadline::in(std::chrono::seconds(30));
    std::string pid;
    do {
      pid = ask("select pid from pg_stat_activity where application_name = '" + pool +
                "' and state = 'active' and query like '%" + sql + "%' limit 1");
    } while (pid.empty() && !until.passed());
    EXPECT_FALSE(pid.empty()) << "no backend runs " << sql;
    return pid.empty() ? 0 : static_cast<pid_t>(std::stol(pid));
  }

 private:
  std::string data() const { return (home_ / "data").string(); }
  static bool run(const std::string& command) {
    const std::string user = ::geteuid() == 0 ? "runuser -u postgres -- " : "";
    return std::system(("cd / && " + user + kBin + command + " >/dev/null 2>&1").c_str()) == 0;
  }

  const int port_;
  fs::path home_;
};

}  // namespace cenote
