// Behind pgbouncer in transaction mode, which hands its two server sessions around between clients.
#include <array>
#include <thread>

#include "driver/postgresql_case.h"

namespace cenote {
namespace {

class Pgbouncer : public PostgresqlCase {
 protected:
  const char* variable() const override { return "CENOTE_TEST_PGBOUNCER"; }
};

TEST_F(Pgbouncer, queries_work_without_a_word_of_configuration) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(text("select 1"), "1");
    EXPECT_EQ(text("select $1 + 1", Params::of(41)), "42");
    EXPECT_EQ(text("select date '2024-02-28' + ?", Params::of(2)), "2024-03-01");
    EXPECT_EQ(text("select '10.0.0.1'::inet"), "10.0.0.1");
    EXPECT_EQ(text("select '10.0.0.1'::inet where $1 = 1", Params::of(1)), "10.0.0.1");
  }
}

TEST_F(Pgbouncer, large_results_come_by_copy) {
  for (int i = 0; i < 3; ++i) {
    const auto got = table("select x, x::text from generate_series(1, 200000) x", {}, i % 2 == 0);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ((*got)->num_rows(), 200'000);
  }
}

TEST_F(Pgbouncer, many_clients_never_get_each_others_statements) {
  std::array<std::jthread, 8> clients;
  std::array<Status, 8> failures;
  for (size_t i = 0; i < clients.size(); ++i) {
    std::shared_ptr<Connection> mine = connect();
    ASSERT_NE(mine, nullptr);
    clients[i] = std::jthread([mine, i, &failures] {
      for (int round = 0; round < 50; ++round) {
        const auto number = static_cast<int64_t>(i) * 1000 + round;
        const std::string column = "c" + std::to_string(i);
        auto reader = mine->query(context(), "select $1 as " + column, Params::of(number), {});
        if (!reader.ok()) {
          failures[i] = reader.status();
          return;
        }
        const auto got = (*reader)->ToTable();
        if (!got.ok() || (*got)->field(0)->name() != column ||
            (*got)->column(0)->GetScalar(0).ValueOrDie()->ToString() != std::to_string(number)) {
          failures[i] = got.ok() ? Status::Invalid("another client's answer") : got.status();
          return;
        }
      }
    });
  }
  for (std::jthread& client : clients) client.join();
  for (const Status& failure : failures) EXPECT_TRUE(failure.ok()) << failure;
}

TEST_F(Pgbouncer, transactions_stay_on_one_session) {
  ASSERT_TRUE(execute("drop table if exists cenote_bounced").ok());
  ASSERT_TRUE(execute("create table cenote_bounced (a int)").ok());
  auto other = connect();
  ASSERT_TRUE(conn_->begin(context(), {}).ok());
  ASSERT_TRUE(execute("insert into cenote_bounced values ($1)", Params::of(1)).ok());
  ASSERT_TRUE(other->execute(context(), "insert into cenote_bounced values (2)", {}).ok());
  EXPECT_EQ(text("select count(*) from cenote_bounced"), "2");
  auto reader = conn_->query(context(), "select generate_series(1, 10000000)", {}, {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  ASSERT_TRUE((*reader)->Close().ok());
  ASSERT_TRUE(conn_->rollback(context()).ok());
  EXPECT_EQ(text("select count(*) from cenote_bounced"), "1");
}

TEST_F(Pgbouncer, a_deadline_cancels_on_the_server) {
  auto other = connect();
  for (int i = 0; i < 3; ++i) {
    const CallContext soon{Deadline::in(std::chrono::milliseconds(100)), {}};
    const Status late = conn_->execute(soon, "select pg_sleep(60)", {}).status();
    EXPECT_EQ(error_kind(late), ErrorKind::kQueryTimeout) << late;
    EXPECT_TRUE(conn_->usable());
    EXPECT_EQ(text("select 1"), "1");
    EXPECT_TRUE(other->execute(context(), "select 1", {}).ok());
  }
  EXPECT_EQ(text("select count(*) from pg_stat_activity where query like '%pg_sleep%' and "
                 "state = 'active' and pid <> pg_backend_pid()"),
            "0");
}

TEST_F(Pgbouncer, rows_are_loaded_by_copy) {
  const auto rows = table("select x as a, 'text ' || x as b from generate_series(1, 20000) x");
  ASSERT_TRUE(rows.ok());
  arrow::TableBatchReader reader(**rows);
  EXPECT_EQ(conn_->ingest(context(), {"cenote_loaded", IngestMode::kReplace}, reader).ValueOrDie(),
            20'000);
  EXPECT_EQ(text("select count(*) from cenote_loaded"), "20000");
}

TEST_F(Pgbouncer, a_changed_session_is_closed_instead_of_reset) {
  ASSERT_TRUE(conn_->begin(context(), {}).ok());
  ASSERT_TRUE(conn_->reset(context()).ok()) << "an open transaction can be reset";
  EXPECT_TRUE(conn_->usable());
  ASSERT_TRUE(execute("set application_name = 'changed'").ok());
  EXPECT_TRUE(conn_->dirty());
  EXPECT_FALSE(conn_->reset(context()).ok());
  EXPECT_FALSE(conn_->usable());
}

TEST_F(Pgbouncer, prepared_statements_by_choice_fail_with_what_to_change) {
  config_["prepared_statements"] = "on";
  auto first = connect();
  auto second = connect();
  // Both name their statements alike, and the server sessions are shared.
  Status failure;
  for (int i = 0; i < 50 && failure.ok(); ++i) {
    for (auto* connection : {first.get(), second.get()}) {
      auto reader =
          connection->query(context(), "select $1 + " + std::to_string(i), Params::of(1), {});
      if (!reader.ok() && failure.ok()) failure = reader.status();
    }
  }
  ASSERT_FALSE(failure.ok());
  EXPECT_NE(failure.ToString().find("prepared_statements: off"), std::string::npos) << failure;
}

}  // namespace
}  // namespace cenote
