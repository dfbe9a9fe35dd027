// A session of PostgreSQL: prepared statements, readers closed early, its state and its reset.
#include <thread>

#include "driver/postgresql_case.h"

namespace cenote {
namespace {

class PostgresqlSession : public PostgresqlCase {
 protected:
  std::string prepared() { return text("select count(*) from pg_prepared_statements"); }
  Result<std::shared_ptr<arrow::RecordBatchReader>> stream(const std::string& sql,
                                                           const Params& params = {}) {
    BatchLimits limits;
    limits.rows = 100;
    return conn_->query(context(), sql, params, limits);
  }
  void close_early(const std::string& sql, const Params& params = {}) {
    const auto reader = stream(sql, params);
    ASSERT_TRUE(reader.ok()) << reader.status();
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
    ASSERT_TRUE((*reader)->Close().ok());
  }
};

TEST_F(PostgresqlSession, a_statement_with_parameters_is_prepared_once) {
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(text("select $1 + 1", Params::of(i)), std::to_string(i + 1));
  EXPECT_EQ(text("select count(*) from pg_prepared_statements where statement like $1",
                 Params::of("select $1 + 1")),
            "1");
}

TEST_F(PostgresqlSession, no_more_than_a_hundred_statements_stay_prepared) {
  for (int i = 0; i < 150; ++i) {
    ASSERT_EQ(text("select $1 + " + std::to_string(i), Params::of(0)), std::to_string(i));
  }
  const int count = std::stoi(prepared());
  EXPECT_LE(count, 111);
  EXPECT_GE(count, 99);
  EXPECT_EQ(text("select $1 + 149", Params::of(1)), "150");
}

TEST_F(PostgresqlSession, a_prepared_statement_follows_a_changed_table) {
  ASSERT_TRUE(execute("create temp table t (a int)").ok());
  ASSERT_TRUE(execute("insert into t values (1)").ok());
  const std::string sql = "select * from t where a = $1";
  EXPECT_EQ(text(sql, Params::of(1)), "1");
  EXPECT_EQ(text(sql, Params::of(1)), "1");
  ASSERT_TRUE(execute("alter table t add column b text default 'new'").ok());
  EXPECT_EQ(table(sql, Params::of(1)).ValueOrDie()->num_columns(), 2);
  ASSERT_TRUE(execute("alter table t alter column a type float8").ok());
  EXPECT_EQ(table(sql, Params::of(1)).ValueOrDie()->field(0)->type()->id(), arrow::Type::DOUBLE);
}

TEST_F(PostgresqlSession, a_large_result_follows_a_changed_table) {
  ASSERT_TRUE(
      execute("create temp table t as select x::int4 as a from generate_series(1, 5000) x").ok());
  EXPECT_EQ(type("select a from t"), "int32");
  EXPECT_EQ(type("select a from t"), "int32");
  ASSERT_TRUE(execute("alter table t alter column a type float4").ok());
  EXPECT_EQ(type("select a from t"), "float");
  EXPECT_EQ(text("select a from t"), "1");
}

TEST_F(PostgresqlSession, a_result_that_grows_from_few_rows_to_many_still_comes_in_batches) {
  const std::string sql = "select g, null::int as n from generate_series(1, $1) g";
  BatchLimits limits;
  limits.rows = 100;
  limits.whole = true;
  for (const int rows : {3, 3, 250, 100, 0, 3}) {
    const auto reader = conn_->query(context(), sql, Params::of(rows), limits).ValueOrDie();
    int64_t seen = 0;
    std::shared_ptr<arrow::RecordBatch> batch;
    while (reader->ReadNext(&batch).ok() && batch != nullptr) {
      EXPECT_LE(batch->num_rows(), 100);
      for (int64_t i = 0; i < batch->num_rows(); ++i) {
        ASSERT_EQ(static_cast<const arrow::Int64Array&>(*batch->column(0)).Value(i), ++seen);
      }
      EXPECT_EQ(batch->column(1)->null_count(), batch->num_rows());
    }
    EXPECT_EQ(seen, rows);
  }
}

TEST_F(PostgresqlSession, in_a_transaction_a_changed_table_is_an_error_and_the_next_one_works) {
  ASSERT_TRUE(execute("create temp table t (a int)").ok());
  const std::string sql = "select * from t where a = $1";
  ASSERT_TRUE(table(sql, Params::of(1)).ok());
  ASSERT_TRUE(conn_->begin(context(), {}).ok());
  ASSERT_TRUE(execute("alter table t add column b text").ok());
  EXPECT_FALSE(table(sql, Params::of(1)).ok());
  ASSERT_TRUE(conn_->rollback(context()).ok());
  EXPECT_TRUE(table(sql, Params::of(1)).ok());
}

TEST_F(PostgresqlSession, what_others_do_to_prepared_statements_is_survived) {
  EXPECT_EQ(text("select $1 + 1", Params::of(1)), "2");
  ASSERT_TRUE(execute("deallocate all").ok());
  EXPECT_EQ(text("select $1 + 1", Params::of(1)), "2");
  ASSERT_TRUE(execute("discard all").ok());
  EXPECT_EQ(text("select $1 + 1", Params::of(1)), "2");
  ASSERT_TRUE(execute("do $$ begin execute 'deallocate all'; end $$").ok());
  EXPECT_EQ(text("select $1 + 1", Params::of(1)), "2");
}

TEST_F(PostgresqlSession, prepared_statements_can_be_switched_off) {
  config_["prepared_statements"] = "off";
  conn_ = connect();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(text("select $1 + 1", Params::of(1)), "2");
  EXPECT_EQ(prepared(), "0");
}

TEST_F(PostgresqlSession, a_reader_closed_early_leaves_the_transaction_alone) {
  ASSERT_TRUE(execute("create temp table t (a int)").ok());
  ASSERT_TRUE(conn_->begin(context(), {}).ok());
  ASSERT_TRUE(execute("insert into t values (1)").ok());
  close_early("select generate_series(1, 100000000)");
  close_early("select generate_series(1, 100000000)");
  close_early("select generate_series(1, $1)", Params::of(100'000'000));
  close_early("select generate_series(1, $1)", Params::of(100'000'000));
  close_early("select generate_series(1, 5)");
  EXPECT_TRUE(conn_->in_transaction());
  ASSERT_TRUE(execute("insert into t values (2)").ok());
  ASSERT_TRUE(conn_->commit(context()).ok());
  EXPECT_EQ(text("select count(*) from t"), "2");
}

TEST_F(PostgresqlSession, a_reader_closed_early_outside_a_transaction_leaves_none_open) {
  close_early("select generate_series(1, 100000000)");
  EXPECT_FALSE(conn_->in_transaction());
  EXPECT_FALSE(conn_->dirty());
  close_early("select generate_series(1, $1)", Params::of(100'000'000));
  EXPECT_FALSE(conn_->in_transaction());
}

TEST_F(PostgresqlSession, a_write_whose_rows_are_not_read_is_done_all_the_same) {
  ASSERT_TRUE(execute("create temp table t (a int)").ok());
  close_early("insert into t select generate_series(1, 50000) returning a");
  EXPECT_EQ(text("select count(*) from t"), "50000");
}

TEST_F(PostgresqlSession, a_data_error_leaves_the_transaction_alone) {
  ASSERT_TRUE(conn_->begin(context(), {}).ok());
  EXPECT_EQ(error_kind(table("select 'infinity'::date", {}, false).status()), ErrorKind::kData);
  EXPECT_EQ(error_kind(table("select 'infinity'::date", {}, true).status()), ErrorKind::kData);
  EXPECT_EQ(text("select 1"), "1");
  ASSERT_TRUE(conn_->commit(context()).ok());
}

TEST_F(PostgresqlSession, an_error_before_the_first_row_fails_the_query) {
  for (const auto& [sql, params] :
       {std::pair(std::string("select 1 / (x - 1) from generate_series(1, 100000) x"), Params()),
        std::pair(std::string("select $1 / (x - 1) from generate_series(1, 100000) x"),
                  Params::of(1))}) {
    const auto reader = stream(sql, params);
    EXPECT_EQ(error_kind(reader.status()), ErrorKind::kData) << reader.status();
    EXPECT_EQ(text("select 1"), "1");
  }
}

TEST_F(PostgresqlSession, an_error_after_many_rows_ends_the_stream_and_is_told) {
  for (const auto& [sql, params] :
       {std::pair(std::string("select 1 / (x - 50000) from generate_series(1, 100000) x"),
                  Params()),
        std::pair(std::string("select $1 / (x - 50000) from generate_series(1, 100000) x"),
                  Params::of(1))}) {
    const auto reader = stream(sql, params);
    ASSERT_TRUE(reader.ok()) << reader.status();
    Status status;
    int64_t rows = 0;
    for (std::shared_ptr<arrow::RecordBatch> batch; status.ok();) {
      status = (*reader)->ReadNext(&batch);
      if (!status.ok() || !batch) break;
      rows += batch->num_rows();
    }
    EXPECT_EQ(error_kind(status), ErrorKind::kData) << status;
    EXPECT_GE(rows, 49'000);
    EXPECT_LT(rows, 50'000);
    EXPECT_FALSE(conn_->in_transaction());
    EXPECT_EQ(text("select 1"), "1");
  }
}

TEST_F(PostgresqlSession, what_fails_at_the_commit_of_a_read_is_told) {
  ASSERT_TRUE(execute("create table cenote_deferred (a int primary key, b int references "
                      "cenote_deferred deferrable initially deferred)")
                  .ok());
  ASSERT_TRUE(execute("create function cenote_add() returns int language sql as "
                      "$$ insert into cenote_deferred values (1, 2) returning a $$")
                  .ok());
  const Status failed = table("select cenote_add()").status();
  EXPECT_EQ(error_kind(failed), ErrorKind::kIntegrity) << failed;
  EXPECT_FALSE(conn_->in_transaction());
  ASSERT_TRUE(execute("drop function cenote_add").ok());
  ASSERT_TRUE(execute("drop table cenote_deferred").ok());
}

TEST_F(PostgresqlSession, the_servers_own_timeout_is_not_called_a_cancel) {
  ASSERT_TRUE(execute("set statement_timeout = '50ms'").ok());
  const Status late = table("select pg_sleep(60)").status();
  EXPECT_EQ(error_kind(late), ErrorKind::kQueryTimeout) << late;
  EXPECT_EQ(error_detail(late)->sqlstate, "57014");
  EXPECT_NE(late.ToString().find("statement_timeout"), std::string::npos) << late;
  EXPECT_TRUE(conn_->usable());
}

TEST_F(PostgresqlSession, another_sessions_cancel_is_not_called_ours) {
  auto other = connect();
  std::jthread canceller([&](const std::stop_token& done) {
    while (!done.stop_requested()) {
      (void)other->execute(context(), "select pg_cancel_backend(" + conn_->session_id() + ")", {});
    }
  });
  const Status cancelled = execute("select pg_sleep(60)");
  canceller.request_stop();
  canceller.join();
  EXPECT_EQ(error_kind(cancelled), ErrorKind::kOperational) << cancelled;
}

TEST_F(PostgresqlSession, a_deadline_ends_a_transfer_and_the_session_goes_on) {
  for (const Params& params : {Params(), Params::of(1)}) {
    const CallContext soon{Deadline::in(std::chrono::milliseconds(200)), {}};
    const std::string sql = params.empty() ? "select generate_series(1, 2000000000)"
                                           : "select generate_series($1, 2000000000)";
    auto reader = conn_->query(soon, sql, params, {});
    Status status = reader.status();
    while (status.ok()) {
      std::shared_ptr<arrow::RecordBatch> batch;
      status = (*reader)->ReadNext(&batch);
    }
    EXPECT_EQ(error_kind(status), ErrorKind::kQueryTimeout) << status;
    EXPECT_TRUE(conn_->usable());
    EXPECT_FALSE(conn_->in_transaction());
    EXPECT_EQ(text("select 1"), "1");
  }
}

TEST_F(PostgresqlSession, only_what_changes_the_session_makes_it_dirty) {
  for (const char* clean :
       {"select 1", "create table cenote_x (a int)", "insert into cenote_x values (1)",
        "update cenote_x set a = 2", "truncate cenote_x", "analyze cenote_x", "lock cenote_x",
        "drop table cenote_x", "explain select 1", "show time zone", "notify here",
        "select 'set_config, temp and advisory are but words'"}) {
    (void)execute(clean);
    EXPECT_FALSE(conn_->dirty()) << clean;
  }
  for (const char* dirty :
       {"set time zone 'UTC'", "create temp table x (a int)", "select 1 as a into temp y",
        "select set_config('timezone', 'UTC', false)", "listen here", "prepare p as select 1",
        "do $$ begin end $$", "select pg_advisory_lock(1)", "create table pg_temp.z (a int)",
        "select \"set_config\"('timezone', 'UTC', false)", "load 'plpgsql'", "reset all",
        "with x as (select setseed(0)) select * from x"}) {
    ASSERT_TRUE(execute(dirty).ok()) << dirty;
    EXPECT_TRUE(conn_->dirty()) << dirty;
    ASSERT_TRUE(conn_->reset(context()).ok());
    EXPECT_FALSE(conn_->dirty()) << dirty;
  }
}

TEST_F(PostgresqlSession, a_reset_leaves_nothing_of_the_session) {
  ASSERT_TRUE(execute("set time zone 'Asia/Tokyo'").ok());
  ASSERT_TRUE(execute("create temp table mine (a int)").ok());
  ASSERT_TRUE(conn_->begin(context(), {}).ok());
  ASSERT_TRUE(conn_->reset(context()).ok());
  EXPECT_NE(text("show time zone"), "Asia/Tokyo");
  EXPECT_FALSE(execute("select * from mine").ok());
  EXPECT_EQ(text("select $1 + 1", Params::of(1)), "2");
}

TEST_F(PostgresqlSession, statements_that_only_show_are_read_too) {
  EXPECT_EQ(text("show server_encoding"), "UTF8");
  EXPECT_NE(text("explain select 1").find("Result"), std::string::npos);
  EXPECT_EQ(text("values (1), (2)"), "1");
  EXPECT_EQ(text("table pg_catalog.pg_am").empty(), false);
  EXPECT_EQ(text("(select 1) union all (select 2)"), "1");
  ASSERT_TRUE(conn_->begin(context(), {}).ok());
  ASSERT_TRUE(execute("declare c cursor for select 5").ok());
  EXPECT_EQ(text("fetch all from c"), "5");
  ASSERT_TRUE(conn_->rollback(context()).ok());
  ASSERT_TRUE(execute("prepare p as select 9").ok());
  EXPECT_EQ(text("execute p"), "9");
}

TEST_F(PostgresqlSession, several_statements_in_one_text_are_refused) {
  for (const char* sql : {"select 1; select 2", "select 1); drop table x; --"}) {
    const Status refused = table(sql).status();
    EXPECT_EQ(error_kind(refused), ErrorKind::kProgramming) << refused;
    EXPECT_FALSE(conn_->in_transaction());
  }
}

// Tracing tools append a statement's tags so, and read them from the server's lists and log.
TEST_F(PostgresqlSession, the_server_sees_a_comment_behind_the_statement_whichever_way_it_goes) {
  const std::string own = "select query from pg_stat_activity where pid = pg_backend_pid()";
  const std::string casts =
      "select query, '1/2'::pg_lsn from pg_stat_activity where pid = "
      "pg_backend_pid()";
  const std::string tag = "/*traceparent='00-5bd6',note='a;b'*/";
  for (const std::string& sql : {own, casts}) {
    for (const std::string& end : {" " + tag, tag + ";", "; " + tag, " " + tag + "\n -- x;\n ; ; ",
                                   std::string("; -- traceparent='00-5bd6',note='a;b'")}) {
      for (const char* way : {"by COPY", "prepared"}) {
        const std::string seen = text(sql + end);
        EXPECT_NE(seen.find("traceparent='00-5bd6',note='a;b'"), std::string::npos)
            << way << ": " << sql << end << "\n"
            << seen;
        EXPECT_EQ(seen.starts_with("COPY ("), std::string_view(way) == "by COPY") << seen;
      }
    }
  }
  EXPECT_EQ(text("select 1 from generate_series(1, 3) -- " + tag), "1");
}

TEST_F(PostgresqlSession, copy_by_statement_is_refused_and_harms_nothing) {
  ASSERT_TRUE(execute("create temp table t (a int)").ok());
  for (const char* sql : {"copy t from stdin", "copy t to stdout", "copy (select 1) to stdout"}) {
    EXPECT_EQ(error_kind(execute(sql)), ErrorKind::kNotSupported) << sql;
    EXPECT_EQ(error_kind(table(sql).status()), ErrorKind::kNotSupported) << sql;
    EXPECT_EQ(text("select 1"), "1");
  }
}

TEST_F(PostgresqlSession, a_statement_can_be_described_without_running_it) {
  ASSERT_TRUE(execute("create temp table t (a int, b numeric(5,2), c inet)").ok());
  for (const char* sql : {"select a, b, c from t where a = $1 and b > $2",
                          "select a, b, c from t where a = ? and b > ?",
                          "select a, b, c from t where a = :x and b > :y"}) {
    const auto info = conn_->describe(context(), sql);
    ASSERT_TRUE(info.ok()) << info.status();
    ASSERT_EQ(info->parameters->num_fields(), 2) << sql;
    EXPECT_EQ(info->parameters->field(0)->type()->id(), arrow::Type::INT32);
    EXPECT_EQ(info->rows->field(1)->type()->ToString(), "decimal128(5, 2)");
    EXPECT_EQ(info->rows->field(2)->type()->id(), arrow::Type::STRING);
  }
  const auto write = conn_->describe(context(), "insert into t (a) values (1)");
  ASSERT_TRUE(write.ok()) << write.status();
  EXPECT_EQ(write->rows, nullptr);
  EXPECT_EQ(text("select count(*) from t"), "0");
  EXPECT_EQ(error_kind(conn_->describe(context(), "selec 1").status()), ErrorKind::kProgramming);
  EXPECT_EQ(text("select 1"), "1");
}

TEST_F(PostgresqlSession, a_probe_tells_of_the_server) {
  const auto probe = conn_->probe(context());
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_EQ(probe->role, Role::kPrimary);
  EXPECT_FALSE(probe->read_only);
  EXPECT_GT(probe->max_connections.value_or(0), 0);
  EXPECT_FALSE(probe->lag.has_value());
  ASSERT_TRUE(execute("set default_transaction_read_only = on").ok());
  EXPECT_TRUE(conn_->probe(context()).ValueOrDie().read_only);
}

}  // namespace
}  // namespace cenote
