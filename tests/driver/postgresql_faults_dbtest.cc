// What goes wrong between cenote and PostgreSQL: connecting, TLS, sessions and servers that die.
#include <thread>

#include "cenote/pool.h"

#include "driver/postgresql_case.h"

namespace cenote {
namespace {

class PostgresqlConnect : public PostgresqlCase {
 protected:
  static std::string environment(const char* name) {
    const char* value = std::getenv(name);
    EXPECT_NE(value, nullptr) << name;
    return value == nullptr ? "" : value;
  }
  Status attempt(std::chrono::milliseconds wait = std::chrono::seconds(20)) {
    auto database = postgresql_driver().open(config_);
    if (!database.ok()) return database.status();
    return (*database)->connect({Deadline::in(wait), {}}, {}).status();
  }
  void expect(ErrorKind kind, const std::string& hint) {
    const Status failed = attempt();
    EXPECT_EQ(error_kind(failed), kind) << failed;
    EXPECT_NE(failed.ToString().find(hint), std::string::npos) << failed;
    EXPECT_EQ(error_detail(failed)->sent, Sent::kNo);
  }
};

TEST_F(PostgresqlConnect, a_wrong_password_is_an_authentication_error_and_is_not_shown) {
  config_["password"] = "hunter2";
  expect(ErrorKind::kAuthentication, "28P01");
  EXPECT_EQ(attempt().ToString().find("hunter2"), std::string::npos);
}

TEST_F(PostgresqlConnect, an_unknown_user_is_an_authentication_error) {
  config_["username"] = "nobody_here";
  expect(ErrorKind::kAuthentication, "nobody_here");
}

TEST_F(PostgresqlConnect, an_unknown_database_is_an_error_of_the_configuration) {
  config_["database"] = "no_such_database";
  expect(ErrorKind::kConfig, "no_such_database");
}

TEST_F(PostgresqlConnect, a_closed_port_is_a_connection_error_that_says_what_to_check) {
  config_["port"] = "1";
  expect(ErrorKind::kConnection, "check host and port");
}

TEST_F(PostgresqlConnect, an_unknown_host_is_a_connection_error) {
  config_["host"] = "no-such-host.invalid";
  expect(ErrorKind::kConnection, "no-such-host.invalid");
}

TEST_F(PostgresqlConnect, a_server_that_says_nothing_is_given_up_at_the_deadline) {
  config_["host"] = "192.0.2.1";  // a network for documentation: nothing answers
  const Status late = attempt(std::chrono::milliseconds(100));
  EXPECT_EQ(error_kind(late), ErrorKind::kConnection) << late;
}

TEST_F(PostgresqlConnect, too_many_connections_are_overload) {
  (void)execute("create role cenote_limited login password 'x' connection limit 0");
  config_["username"] = "cenote_limited";
  config_["password"] = "x";
  expect(ErrorKind::kOverload, "53300");
  EXPECT_FALSE(counts_against_target(attempt()));
}

TEST_F(PostgresqlConnect, a_password_that_is_not_encoded_is_refused_without_being_shown) {
  for (const char* uri : {"postgresql://u:hun@ter2@127.0.0.1/db", "postgresql://u:hun/ter2@h/db",
                          "postgresql://u:hun%zzter2@h/db"}) {
    config_ = {{"uri", uri}};
    const Status refused = attempt();
    EXPECT_EQ(error_kind(refused), ErrorKind::kConfig) << uri << ": " << refused;
    EXPECT_NE(refused.ToString().find("percent-encode"), std::string::npos) << refused;
    EXPECT_EQ(refused.ToString().find("ter2"), std::string::npos) << refused;
  }
}

TEST_F(PostgresqlConnect, a_key_with_a_wrong_value_is_refused) {
  config_["sslmode"] = "sometimes";
  EXPECT_EQ(error_kind(attempt()), ErrorKind::kConfig);
  config_.erase("sslmode");
  config_["prepared_statements"] = "maybe";
  EXPECT_EQ(error_kind(attempt()), ErrorKind::kConfig);
}

TEST_F(PostgresqlConnect, ssl_mode_is_another_word_for_sslmode) {
  const auto encrypted = [this] {
    conn_ = connect();
    return conn_ == nullptr ? "" : text("select ssl from pg_stat_ssl where pid = pg_backend_pid()");
  };
  const std::string uri = config_["uri"];
  ASSERT_NE(uri.find("?sslmode=disable"), std::string::npos) << uri;
  EXPECT_EQ(encrypted(), "false");
  config_["ssl_mode"] = "require";  // a key goes before the URI
  EXPECT_EQ(encrypted(), "true");
  config_ = {{"uri", uri.substr(0, uri.find('?')) + "?application_name=x&ssl_mode=require"}};
  EXPECT_EQ(encrypted(), "true");
  config_["ssl_mode"] = "disable";
  EXPECT_EQ(encrypted(), "false");
  config_["sslmode"] = "require";
  EXPECT_NE(attempt().ToString().find("two words for one thing"), std::string::npos) << attempt();
  config_ = {{"uri", uri}, {"ssl_mode", "sometimes"}};
  EXPECT_EQ(error_kind(attempt()), ErrorKind::kConfig);
}

TEST_F(PostgresqlConnect, a_certificate_is_either_trusted_or_verified) {
  config_["ssl_mode"] = "require";
  config_["trust_server_certificate"] = "true";
  EXPECT_NE(connect(), nullptr);
  config_["ssl_mode"] = "verify-full";
  EXPECT_NE(attempt().ToString().find("one or the other"), std::string::npos) << attempt();
  config_["trust_server_certificate"] = "perhaps";
  EXPECT_EQ(error_kind(attempt()), ErrorKind::kConfig);
}

TEST_F(PostgresqlConnect, tls_with_the_right_authority_and_host_works) {
  config_["host"] = "localhost";
  config_["sslmode"] = "verify-full";
  config_["sslrootcert"] = environment("CENOTE_TEST_POSTGRESQL_CA");
  conn_ = connect();
  ASSERT_NE(conn_, nullptr);
  EXPECT_EQ(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()"), "true");
  EXPECT_EQ(text("select sum(x) from generate_series(1, 100000) x"), "5000050000");
  const CallContext soon{Deadline::in(std::chrono::milliseconds(50)), {}};
  EXPECT_EQ(error_kind(conn_->execute(soon, "select pg_sleep(60)", {}).status()),
            ErrorKind::kQueryTimeout);
  EXPECT_EQ(text("select 1"), "1");
}

TEST_F(PostgresqlConnect, tls_with_the_wrong_host_is_refused) {
  config_["sslmode"] = "verify-full";  // the certificate is for localhost
  config_["sslrootcert"] = environment("CENOTE_TEST_POSTGRESQL_CA");
  expect(ErrorKind::kConnection, "verify-full wants the certificate to name the host");
}

TEST_F(PostgresqlConnect, tls_with_the_wrong_authority_is_refused) {
  config_["sslmode"] = "verify-ca";
  config_["sslrootcert"] = environment("CENOTE_TEST_POSTGRESQL_OTHER_CA");
  expect(ErrorKind::kConnection, "not signed by an authority in sslrootcert");
}

TEST_F(PostgresqlConnect, tls_without_the_authoritys_file_says_which_key_to_set) {
  config_["sslmode"] = "verify-full";
  config_["sslrootcert"] = "/nonexistent/ca.crt";
  expect(ErrorKind::kConfig, "sslrootcert");
}

TEST_F(PostgresqlConnect, a_replica_tells_its_role_and_refuses_writes) {
  config_["uri"] = environment("CENOTE_TEST_POSTGRESQL_REPLICA");
  conn_ = connect();
  ASSERT_NE(conn_, nullptr);
  const auto probe = conn_->probe(context());
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_EQ(probe->role, Role::kReplica);
  EXPECT_TRUE(probe->read_only);
  EXPECT_TRUE(probe->lag.has_value());
  EXPECT_EQ(text("select sum(x) from generate_series(1, 100000) x"), "5000050000");
  const Status refused = execute("create table x (a int)");
  EXPECT_EQ(error_kind(refused), ErrorKind::kReadOnly) << refused;
  EXPECT_TRUE(counts_against_target(refused));
}

TEST_F(PostgresqlConnect, text_that_is_no_text_is_refused_whatever_the_database_checks) {
  (void)execute(
      "create database cenote_ascii encoding 'SQL_ASCII' template template0 "
      "locale 'C'");
  config_["database"] = "cenote_ascii";
  conn_ = connect();
  ASSERT_NE(conn_, nullptr);
  EXPECT_EQ(text("select convert_from('\\x41', 'SQL_ASCII')"), "A");
  for (const bool whole : {true, false}) {
    const Status bad = table("select convert_from('\\xff', 'SQL_ASCII') as a", {}, whole).status();
    EXPECT_EQ(error_kind(bad), ErrorKind::kData) << bad;
    EXPECT_NE(bad.ToString().find("bytea"), std::string::npos) << bad;
  }
  EXPECT_EQ(text("select 1"), "1");
}

// Deaths of sessions. The server's own list of sessions is the judge.
class PostgresqlDeath : public PostgresqlCase {
 protected:
  void SetUp() override {
    PostgresqlCase::SetUp();
    if (conn_) other_ = connect();
  }
  void terminate(const std::string& pid) {
    const auto done =
        other_->execute(context(), "select pg_terminate_backend(" + pid + ", 5000)", {});
    EXPECT_TRUE(done.ok()) << done.status();
  }
  std::unique_ptr<Connection> other_;
};

TEST_F(PostgresqlDeath, a_session_ended_during_a_query_is_a_lost_connection) {
  std::jthread killer([&] {
    const std::string pid = conn_->session_id();
    for (;;) {
      auto reader = other_->query(context(),
                                  "select count(*) from pg_stat_activity where pid = " + pid +
                                      " and wait_event = 'PgSleep'",
                                  {}, {});
      if (!reader.ok()) return;
      const auto table = (*reader)->ToTable();
      if (!table.ok() || (*table)->column(0)->GetScalar(0).ValueOrDie()->ToString() == "1") break;
    }
    terminate(pid);
  });
  const Status lost = execute("select pg_sleep(60)");
  killer.join();
  EXPECT_EQ(error_kind(lost), ErrorKind::kConnection) << lost;
  EXPECT_EQ(error_detail(lost)->sqlstate, "57P01");
  EXPECT_TRUE(poisons_connection(lost));
  EXPECT_FALSE(conn_->usable());
}

TEST_F(PostgresqlDeath, a_session_ended_during_a_stream_is_told_by_the_stream) {
  for (const Params& params : {Params(), Params::of(1)}) {
    conn_ = connect();
    const std::string sql = params.empty() ? "select generate_series(1, 100000000)"
                                           : "select generate_series($1, 100000000)";
    BatchLimits limits;
    limits.rows = 1000;
    auto reader = conn_->query(context(), sql, params, limits);
    ASSERT_TRUE(reader.ok()) << reader.status();
    terminate(conn_->session_id());
    Status status;
    std::shared_ptr<arrow::RecordBatch> batch;
    do {
      status = (*reader)->ReadNext(&batch);
    } while (status.ok() && batch);
    EXPECT_EQ(error_kind(status), ErrorKind::kConnection) << status;
    EXPECT_FALSE(conn_->usable());
  }
}

TEST_F(PostgresqlDeath, a_session_ended_between_statements_was_not_sent_to) {
  terminate(conn_->session_id());
  const Status first = execute("select 1");
  EXPECT_EQ(error_kind(first), ErrorKind::kConnection) << first;
  const Status second = execute("select 1");
  EXPECT_EQ(error_detail(second)->sent, Sent::kNo) << second;
  EXPECT_TRUE(retryable(second));
}

TEST_F(PostgresqlDeath, connections_leave_the_servers_list_when_they_are_dropped) {
  const std::string pid = conn_->session_id();
  {
    auto reader = conn_->query(context(), "select generate_series(1, 100000000)", {}, {});
    ASSERT_TRUE(reader.ok());
  }
  conn_ = std::move(other_);
  const std::string active =
      "select count(*) from pg_stat_activity where pid = " + pid + " and state = 'active'";
  expect_in_the_end(active, "0");
}

// A whole server, killed as by a power cut, and restarted.
class PostgresqlCrash : public PostgresqlCase {
 protected:
  const char* variable() const override { return "CENOTE_TEST_POSTGRESQL_VICTIM"; }
  static void control(const std::string& action) {
    const char* command = std::getenv("CENOTE_TEST_POSTGRESQL_VICTIM_CONTROL");
    ASSERT_NE(command, nullptr);
    ASSERT_EQ(std::system((std::string(command) + " " + action).c_str()), 0);
  }
};

TEST_F(PostgresqlCrash, a_server_killed_during_a_stream_is_a_lost_connection_and_comes_back) {
  BatchLimits limits;
  limits.rows = 1000;
  auto reader = conn_->query(context(), "select generate_series(1, 100000000)", {}, limits);
  ASSERT_TRUE(reader.ok()) << reader.status();
  auto waiting = connect();
  Status interrupted;
  std::jthread query(
      [&] { interrupted = waiting->execute(context(), "select pg_sleep(60)", {}).status(); });
  ASSERT_NO_FATAL_FAILURE(control("kill"));
  query.join();
  EXPECT_EQ(error_kind(interrupted), ErrorKind::kConnection) << interrupted;
  Status status;
  std::shared_ptr<arrow::RecordBatch> batch;
  do {
    status = (*reader)->ReadNext(&batch);
  } while (status.ok() && batch);
  EXPECT_EQ(error_kind(status), ErrorKind::kConnection) << status;
  EXPECT_TRUE(counts_against_target(status));
  EXPECT_FALSE(conn_->usable());
  ASSERT_NO_FATAL_FAILURE(control("start"));
  conn_ = connect();
  ASSERT_NE(conn_, nullptr);
  EXPECT_EQ(text("select 1"), "1");
}

TEST_F(PostgresqlCrash, a_pool_works_again_after_a_restart_and_leaks_no_session) {
  PoolConfig config;
  config.id = "crash";
  config.type = "postgresql";
  config.config = config_;
  config.pool.max_connections = 4;
  auto pool = LocalPool::open(config);
  ASSERT_TRUE(pool.ok()) << pool.status();
  ASSERT_TRUE((*pool)->execute_query("select 1").ok());
  ASSERT_NO_FATAL_FAILURE(control("restart"));
  for (int i = 0; i < 8; ++i) {
    // The first one may meet the dead connection; a read is tried again by the pool or by us.
    (void)(*pool)->execute_query("select 1");
  }
  const auto again = (*pool)->execute_query(
      "select count(*) from pg_stat_activity where "
      "application_name = 'cenote'");
  ASSERT_TRUE(again.ok()) << again.status();
  pool->reset();
  conn_ = connect();
  ASSERT_NE(conn_, nullptr);
  expect_in_the_end("select count(*) from pg_stat_activity where application_name = 'cenote'", "1");
}

}  // namespace
}  // namespace cenote
