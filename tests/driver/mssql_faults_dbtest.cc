// SQL Server: what goes wrong, with Microsoft's ODBC driver and with FreeTDS.
#include <stop_token>
#include <thread>

#include <sys/socket.h>
#include <unistd.h>

#include "driver/mssql_fixture.h"
#include "loopback_port.h"

namespace cenote {
namespace {

class MssqlFaults : public MssqlTest {
 protected:
  // The connection is gone, the error says so, and a new one works.
  void expect_lost(const Status& status) {
    EXPECT_EQ(error_kind(status), ErrorKind::kConnection) << status;
    EXPECT_TRUE(poisons_connection(status)) << status;
    EXPECT_FALSE(connection_->usable());
    EXPECT_NE(connect(), nullptr);
  }
};
INSTANTIATE_TEST_SUITE_P(Drivers, MssqlFaults, testing::ValuesIn(mssql_cases()), case_name);

TEST_P(MssqlFaults, a_wrong_password_is_an_authentication_error_that_keeps_the_secret) {
  DriverConfig config = settings();
  config["password"] = "hunter2;x";
  const auto refused = connect_with(config);
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kAuthentication) << refused.status();
  EXPECT_EQ(error_detail(refused.status())->vendor_code, 18456);
  EXPECT_EQ(error_detail(refused.status())->sqlstate, "28000");
  EXPECT_EQ(refused.status().ToString().find("hunter2"), std::string::npos);
}

TEST_P(MssqlFaults, credentials_of_the_call_win_over_the_configured_ones) {
  ConnectOptions options;
  options.credentials = Credentials{"admit_other", "any ;{password}"};
  const auto other = database_->connect(context(), options);
  EXPECT_TRUE(other.ok()) << other.status();
}

TEST_P(MssqlFaults, a_closed_port_is_refused_before_the_driver_is_asked) {
  DriverConfig config = settings();
  config["port"] = "1";
  const auto refused = connect_with(config);
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kConnection);
  EXPECT_EQ(error_detail(refused.status())->sent, Sent::kNo);
  EXPECT_NE(refused.status().message().find("refused the connection"), std::string::npos)
      << refused.status();
}

TEST_P(MssqlFaults, a_server_that_never_answers_the_login_is_given_up) {
  DriverConfig config = settings();
  config["username"] = "silent";
  const Result<const Driver*> driver = find_driver("mssql");
  const auto database = (*driver)->open(config);
  ASSERT_TRUE(database.ok()) << database.status();
  const auto late = (*database)->connect({Deadline::in(std::chrono::seconds(1)), {}}, {});
  EXPECT_EQ(error_kind(late.status()), ErrorKind::kConnection) << late.status();
}

// Accepts, and never says a word.
class SilentServer {
 public:
  SilentServer() { listener_.listen(8); }
  ~SilentServer() {
    for (const int client : clients_) ::close(client);
  }
  int port() const { return listener_.number(); }
  // Returns once somebody who connected has spoken: a driver at its login, not a probe.
  void hear() {
    for (;;) {
      clients_.push_back(::accept(listener_.fd(), nullptr, nullptr));
      char byte = 0;
      if (::recv(clients_.back(), &byte, 1, 0) == 1) return;
    }
  }

 private:
  LoopbackPort listener_;
  std::vector<int> clients_;
};

TEST_P(MssqlFaults, a_stop_ends_the_wait_for_a_login) {
  SilentServer server;
  DriverConfig config = settings();
  config["host"] = "127.0.0.1";
  config["port"] = std::to_string(server.port());
  const auto database = (*find_driver("mssql"))->open(config);
  ASSERT_TRUE(database.ok()) << database.status();
  std::stop_source stop;
  std::jthread stopper([&] {
    server.hear();
    stop.request_stop();
  });
  const auto stopped =
      (*database)->connect({Deadline::in(std::chrono::seconds(20)), stop.get_token()}, {});
  EXPECT_EQ(error_kind(stopped.status()), ErrorKind::kCancelled) << stopped.status();
  EXPECT_EQ(error_detail(stopped.status())->sent, Sent::kNo);
  EXPECT_NE(connect(), nullptr);
}

TEST_P(MssqlFaults, a_login_that_nobody_stops_works) {
  const std::stop_source stop;
  const auto made =
      database_->connect({Deadline::in(std::chrono::seconds(20)), stop.get_token()}, {});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE((*made)->validate(context()).ok());
}

TEST_P(MssqlFaults, errors_of_the_login_have_their_kinds) {
  const std::vector<std::pair<int, ErrorKind>> rows = {{4060, ErrorKind::kProgramming},
                                                       {10928, ErrorKind::kOverload},
                                                       {18488, ErrorKind::kAuthentication},
                                                       {40613, ErrorKind::kConnection}};
  for (const auto& [number, kind] : rows) {
    DriverConfig config = settings();
    config["username"] = "error_" + std::to_string(number);
    const auto refused = connect_with(config);
    EXPECT_EQ(error_kind(refused.status()), kind) << number << ": " << refused.status();
  }
}

TEST_P(MssqlFaults, errors_of_statements_have_their_kinds) {
  const std::vector<std::pair<int, ErrorKind>> rows = {
      {102, ErrorKind::kProgramming},  {207, ErrorKind::kProgramming},
      {208, ErrorKind::kProgramming},  {245, ErrorKind::kData},
      {547, ErrorKind::kIntegrity},    {1222, ErrorKind::kOperational},
      {2601, ErrorKind::kIntegrity},   {3906, ErrorKind::kReadOnly},
      {8134, ErrorKind::kData},        {10929, ErrorKind::kOverload},
      {50001, ErrorKind::kProgramming}};
  for (const auto& [number, kind] : rows) {
    const auto failed = execute("exec cenote_error " + std::to_string(number));
    if (number == 50001) {  // a RAISERROR of the user's own: whatever the driver makes of it
      EXPECT_FALSE(failed.ok());
    } else {
      EXPECT_EQ(error_kind(failed.status()), kind) << number << ": " << failed.status();
    }
    EXPECT_EQ(error_detail(failed.status())->vendor_code, number);
    EXPECT_EQ(value("select 1"), "1");
  }
}

TEST_P(MssqlFaults, a_deadlock_may_be_tried_again_and_ends_the_transaction) {
  make_table("cenote_dead", "a int");
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  ASSERT_TRUE(execute("insert into cenote_dead values (1)").ok());
  const auto failed = execute("exec cenote_error 1205");
  EXPECT_EQ(error_kind(failed.status()), ErrorKind::kOperational) << failed.status();
  EXPECT_EQ(error_detail(failed.status())->sqlstate, "40001");
  EXPECT_TRUE(retryable(failed.status()));
  // The server has rolled back: what follows must not commit by itself.
  EXPECT_FALSE(execute("insert into cenote_dead values (2)").ok());
  EXPECT_FALSE(connection_->commit(context()).ok());
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_EQ(value("select count(*) from cenote_dead"), "0");
  drop_table("cenote_dead");
}

TEST_P(MssqlFaults, a_plain_error_leaves_the_transaction_open) {
  make_table("cenote_open", "a int not null");
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  ASSERT_TRUE(connection_->savepoint(context(), "first").ok());
  ASSERT_TRUE(execute("insert into cenote_open values (1)").ok());
  EXPECT_FALSE(execute("insert into cenote_open values (null)").ok());
  ASSERT_TRUE(execute("insert into cenote_open values (2)").ok());
  ASSERT_TRUE(connection_->commit(context()).ok());
  EXPECT_EQ(value("select count(*) from cenote_open"), "2");
  drop_table("cenote_open");
}

TEST_P(MssqlFaults, a_transaction_that_the_statement_ended_is_noticed) {
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  EXPECT_FALSE(execute("rollback transaction; select * from cenote_no_such_table").ok());
  EXPECT_FALSE(execute("select 1").ok());
  EXPECT_FALSE(connection_->commit(context()).ok());
  EXPECT_EQ(value("select 1"), "1");
}

TEST_P(MssqlFaults, an_error_behind_rows_reaches_the_reader) {
  auto reader = connection_->query(context(), "exec cenote_error 8134, 20000", {}, {.rows = 100});
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto rows = (*reader)->ToTable();
  EXPECT_EQ(error_kind(rows.status()), ErrorKind::kData) << rows.status();
  EXPECT_EQ(value("select 1"), "1");
}

TEST_P(MssqlFaults, a_dropped_socket_poisons_the_connection) {
  const auto failed = execute("exec cenote_drop");
  expect_lost(failed.status());
  EXPECT_FALSE(retryable(failed.status())) << "nobody knows whether it ran";
}

TEST_P(MssqlFaults, a_socket_dropped_amid_rows_never_passes_for_their_end) {
  for (const int rows : {1, 99, 100, 101, 4096, 20'000}) {
    auto reader = connection_->query(context(), "exec cenote_drop " + std::to_string(rows), {},
                                     {.rows = 100});
    const Status status = reader.ok() ? (*reader)->ToTable().status() : reader.status();
    expect_lost(status);
    connection_ = connect();
  }
}

TEST_P(MssqlFaults, a_session_killed_meanwhile_is_seen_before_anything_is_sent) {
  const auto killer = connect();
  ASSERT_TRUE(killer->execute(context(), "kill " + connection_->session_id(), {}).ok());
  while (connection_->usable()) std::this_thread::yield();
  const auto failed = execute("insert into cenote_never values (1)");
  EXPECT_EQ(error_kind(failed.status()), ErrorKind::kConnection) << failed.status();
  EXPECT_TRUE(retryable(failed.status())) << "it was not sent";
}

TEST_P(MssqlFaults, a_cancel_that_is_not_acknowledged_costs_the_connection) {
  // One whose time is over before it was sent has nothing to cancel.
  Status late;
  const Deadline patience = Deadline::in(std::chrono::seconds(60));
  while (connection_->usable() && !patience.passed()) {
    const CallContext soon{Deadline::in(std::chrono::milliseconds(50)), {}};
    late = connection_->execute(soon, "exec cenote_delay 600000 ignore", {}).status();
    EXPECT_EQ(error_kind(late), ErrorKind::kQueryTimeout) << late;
  }
  EXPECT_TRUE(poisons_connection(late)) << late;
  EXPECT_FALSE(connection_->usable());
}

TEST_P(MssqlFaults, an_endless_result_that_is_abandoned_costs_at_most_the_connection) {
  auto reader = connection_->query(context(), "exec cenote_rows endless ignore", {}, {.rows = 10});
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::shared_ptr<arrow::RecordBatch> batch;
  ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
  (void)(*reader)->Close();
  EXPECT_FALSE(connection_->usable());
}

TEST_P(MssqlFaults, an_endless_result_of_a_server_that_listens_is_just_closed) {
  auto reader = connection_->query(context(), "exec cenote_rows endless", {}, {.rows = 10});
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::shared_ptr<arrow::RecordBatch> batch;
  ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
  EXPECT_TRUE((*reader)->Close().ok());
  EXPECT_TRUE(connection_->usable());
  EXPECT_EQ(value("select 1"), "1");
}

TEST_P(MssqlFaults, a_deadline_between_two_batches_ends_the_reader) {
  std::stop_source source;
  auto reader = connection_->query({Deadline(), source.get_token()}, "exec cenote_rows endless", {},
                                   {.rows = 10});
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::shared_ptr<arrow::RecordBatch> batch;
  ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
  source.request_stop();
  EXPECT_EQ(error_kind((*reader)->ReadNext(&batch)), ErrorKind::kCancelled);
  EXPECT_EQ(value("select 1"), "1");
}

TEST_P(MssqlFaults, a_reset_brings_a_new_session_or_says_that_it_cannot) {
  ASSERT_TRUE(execute("set lock_timeout 1000").ok());
  EXPECT_TRUE(connection_->dirty());
  ASSERT_TRUE(connection_->reset(context()).ok());
  EXPECT_FALSE(connection_->dirty());
  if (!microsoft()) {
    const auto options = table("exec cenote_options");
    ASSERT_TRUE(options.ok()) << options.status();
    EXPECT_NE((*options)->ToString().find("lock_timeout -1"), std::string::npos);
  }
  ASSERT_TRUE(connection_->reset(context()).ok());
  ASSERT_TRUE(execute("create table #cenote_temp (a int)").ok());
  EXPECT_TRUE(connection_->dirty());
  const Status reset = connection_->reset(context());
  if (microsoft()) {
    ASSERT_TRUE(reset.ok()) << reset;
    EXPECT_FALSE(execute("select * from #cenote_temp").ok()) << "the table is still there";
  } else {
    EXPECT_EQ(error_kind(reset), ErrorKind::kNotSupported) << reset;
  }
}

TEST_P(MssqlFaults, plain_statements_leave_a_clean_session) {
  make_table("cenote_clean", "a int");
  ASSERT_TRUE(execute("insert into cenote_clean values (1)").ok());
  ASSERT_TRUE(execute("update cenote_clean set a = 2").ok());
  ASSERT_TRUE(execute("select '#not_a_table'").ok());
  ASSERT_TRUE(connection_->begin(context(), {}).ok());
  ASSERT_TRUE(connection_->commit(context()).ok());
  EXPECT_FALSE(connection_->dirty());
  drop_table("cenote_clean");
}

TEST_P(MssqlFaults, the_level_of_a_transaction_does_not_outlive_the_reset) {
  ASSERT_TRUE(connection_->begin(context(), {.isolation = Isolation::kSerializable}).ok());
  ASSERT_TRUE(connection_->commit(context()).ok());
  EXPECT_TRUE(connection_->dirty());
  ASSERT_TRUE(connection_->reset(context()).ok());
  EXPECT_FALSE(connection_->dirty());
  const Status refused = connection_->begin(context(), {.read_only = true});
  EXPECT_EQ(error_kind(refused), ErrorKind::kNotSupported) << refused;
}

TEST_P(MssqlFaults, a_probe_tells_the_role) {
  auto probe = connection_->probe(context());
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_EQ(probe->role, Role::kPrimary);
  EXPECT_FALSE(probe->read_only);
  EXPECT_EQ(probe->max_connections, 32767);
  EXPECT_EQ(probe->server_version, "16.0.1000.6");
  ASSERT_TRUE(execute("exec cenote_become replica").ok());
  probe = connection_->probe(context());
  ASSERT_TRUE(execute("exec cenote_become primary").ok());
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_EQ(probe->role, Role::kReplica);
  EXPECT_TRUE(probe->read_only);
}

TEST_P(MssqlFaults, of_several_results_a_query_gives_the_first_rows_and_execute_counts) {
  const auto got = table("exec cenote_mixed");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->field(0)->name(), "a");
  EXPECT_EQ((*got)->num_rows(), 1);
  const auto counted = execute("exec cenote_mixed");
  ASSERT_TRUE(counted.ok()) << counted.status();
  EXPECT_EQ(*counted, 3);
}

TEST_P(MssqlFaults, tls_works_and_a_certificate_of_its_own_is_refused_unless_trusted) {
  DriverConfig config = settings();
  config["encrypt"] = "yes";
  config["trust_server_certificate"] = "yes";
  auto secure = connect_with(config);
  ASSERT_TRUE(secure.ok()) << secure.status();
  const CallContext soon{Deadline::in(std::chrono::milliseconds(50)), {}};
  const auto late = (*secure)->execute(soon, GetParam().endless, {});
  EXPECT_EQ(error_kind(late.status()), ErrorKind::kQueryTimeout) << late.status();
  EXPECT_TRUE((*secure)->usable());
  EXPECT_TRUE((*secure)->validate(context()).ok());
  if (microsoft()) {  // FreeTDS checks certificates only where freetds.conf names authorities
    config["trust_server_certificate"] = "no";
    const auto refused = connect_with(config);
    EXPECT_EQ(error_kind(refused.status()), ErrorKind::kConnection) << refused.status();
  }
}

TEST_P(MssqlFaults, settings_that_cannot_be_are_refused_by_name) {
  for (const auto& [key, wrong] :
       std::vector<std::pair<std::string, std::string>>{{"port", "70000"},
                                                        {"port", "x"},
                                                        {"encrypt", "maybe"},
                                                        {"trust_server_certificate", "perhaps"},
                                                        {"driver", "/no/such/driver.so"},
                                                        {"driver", "No Such Driver"},
                                                        {"host", "a;b"}}) {
    DriverConfig config = settings();
    config[key] = wrong;
    const auto refused = connect_with(config);
    EXPECT_EQ(error_kind(refused.status()), ErrorKind::kConfig) << key << ": " << refused.status();
  }
}

TEST_P(MssqlFaults, closed_connections_leave_no_session_behind) {
  // Of the tests before, sessions that ignore their clients may go on for a while.
  const int before = std::stoi(value("exec cenote_sessions"));
  {
    std::vector<std::unique_ptr<Connection>> many;
    for (int i = 0; i < 5; ++i) many.push_back(connect());
    EXPECT_GE(std::stoi(value("exec cenote_sessions")), 6);
  }
  // The server notices a close a moment later.
  const Deadline patience = Deadline::in(std::chrono::seconds(20));
  int after = before + 5;
  while (after > before && !patience.passed()) after = std::stoi(value("exec cenote_sessions"));
  EXPECT_LE(after, before);
}

}  // namespace
}  // namespace cenote
