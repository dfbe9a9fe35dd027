// The PostgreSQL driver against a real server.
#include <cstdlib>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "driver/registry.h"

namespace cenote {
namespace {

class PostgresqlTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* url = std::getenv("CENOTE_TEST_POSTGRESQL");
    if (url == nullptr) {
      if (std::getenv("CENOTE_TEST_REQUIRE_SERVERS") != nullptr) FAIL() << "no server";
      GTEST_SKIP() << "CENOTE_TEST_POSTGRESQL is not set";
    }
    config_["uri"] = url;
    conn_ = connect();
  }
  std::unique_ptr<Connection> connect() {
    auto database = postgresql_driver().open(config_).ValueOrDie();
    return database->connect({}, {}).ValueOrDie();
  }
  std::string text(const std::string& sql, const Params& params = {}) {
    auto reader = conn_->query({}, sql, params, {});
    if (!reader.ok()) return reader.status().ToString();
    auto table = (*reader)->ToTable();
    if (!table.ok()) return table.status().ToString();
    return (*table)->column(0)->GetScalar(0).ValueOrDie()->ToString();
  }
  DriverConfig config_;
  std::unique_ptr<Connection> conn_;
};

TEST_F(PostgresqlTest, ValuesKeepTheirTypes) {
  EXPECT_EQ(text("SELECT -12345.670::numeric(10,3)"), "-12345.670");
  EXPECT_EQ(text("SELECT 0.00012::numeric"), "0.00012");
  EXPECT_EQ(text("SELECT date '2024-02-29'"), "2024-02-29");
  EXPECT_EQ(text("SELECT ?", Params::of(7)), "7");
  EXPECT_EQ(text("SELECT $1::text", Params::of("é")), "é");
  EXPECT_EQ(text("SELECT '{\"a\": 1}'::jsonb"), "{\"a\": 1}");
}

TEST_F(PostgresqlTest, ALargeResultArrivesInBatches) {
  BatchLimits limits;
  limits.rows = 1000;
  auto reader = conn_->query({}, "SELECT generate_series(1, 2500)", {}, limits).ValueOrDie();
  auto batches = reader->ToRecordBatches().ValueOrDie();
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[2]->num_rows(), 500);
}

TEST_F(PostgresqlTest, ATransactionRolledBackLeavesNothing) {
  ASSERT_TRUE(conn_->execute({}, "CREATE TEMP TABLE t (a int)", {}).ok());
  ASSERT_TRUE(conn_->begin({}, {}).ok());
  EXPECT_EQ(conn_->execute({}, "INSERT INTO t VALUES (1), (2)", {}).ValueOrDie(), 2);
  ASSERT_TRUE(conn_->rollback({}).ok());
  EXPECT_EQ(text("SELECT count(*) FROM t"), "0");
  EXPECT_TRUE(conn_->dirty());
  ASSERT_TRUE(conn_->reset({}).ok());
  EXPECT_FALSE(conn_->dirty());
}

TEST_F(PostgresqlTest, TheDeadlineCancelsOnTheServerAndTheSessionLivesOn) {
  CallContext context;
  context.deadline = Deadline::in(std::chrono::milliseconds(100));
  const Status status = conn_->execute(context, "SELECT pg_sleep(60)", {}).status();
  EXPECT_EQ(error_kind(status), ErrorKind::kQueryTimeout) << status;
  EXPECT_TRUE(conn_->usable());
  EXPECT_EQ(text("SELECT 1"), "1");
}

TEST_F(PostgresqlTest, AReaderClosedEarlyFreesTheConnection) {
  auto reader = conn_->query({}, "SELECT generate_series(1, 10000000)", {}, {}).ValueOrDie();
  ASSERT_TRUE(reader->Close().ok());
  EXPECT_EQ(text("SELECT 1"), "1");
}

TEST_F(PostgresqlTest, ATerminatedSessionIsNotUsable) {
  auto other = connect();
  const auto sql = "SELECT pg_terminate_backend(" + conn_->session_id() + ", 5000)";
  ASSERT_TRUE(other->execute({}, sql, {}).ok());
  const Status status = conn_->execute({}, "SELECT 1", {}).status();
  EXPECT_EQ(error_kind(status), ErrorKind::kConnection) << status;
  EXPECT_FALSE(conn_->usable());
}

TEST_F(PostgresqlTest, AWrongPasswordIsAnAuthenticationError) {
  config_["password"] = "wrong";
  auto database = postgresql_driver().open(config_).ValueOrDie();
  EXPECT_EQ(error_kind(database->connect({}, {}).status()), ErrorKind::kAuthentication);
}

TEST_F(PostgresqlTest, IngestCreatesTheTableAndFillsIt) {
  (void)conn_->execute({}, "DROP TABLE IF EXISTS filled", {});
  auto source = conn_->query({}, "SELECT 1 AS a, E'x\\ty' AS b", {}, {}).ValueOrDie();
  auto table = source->ToTable().ValueOrDie();
  arrow::TableBatchReader rows(*table);
  EXPECT_EQ(conn_->ingest({}, {"filled", IngestMode::kCreate}, rows).ValueOrDie(), 1);
  EXPECT_EQ(text("SELECT b FROM filled"), "x\ty");
}

}  // namespace
}  // namespace cenote
