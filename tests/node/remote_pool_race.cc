// A pool on a node behaves as a local one.
#include <atomic>
#include <vector>

#include "flight/remote_pool.h"
#include "serving.h"

namespace cenote::node {
namespace {

using RemotePoolTest = ServingTest;

TEST_F(RemotePoolTest, a_query_brings_rows_types_and_the_load_of_the_pool) {
  serve();
  std::vector<flight::Answer> answers;
  const auto pool = connect({}, "main_db", [&](const flight::Answer& a) { answers.push_back(a); });
  const auto table =
      pool->execute_query("select id, name, ? as x from t order by id", Params::of("bound"));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->num_rows(), 2);
  EXPECT_EQ((*table)->schema()->field(0)->type()->id(), arrow::Type::INT64);
  EXPECT_EQ((*(*table)->column(2)->GetScalar(1))->ToString(), "bound");
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].node_id, "n1");
  ASSERT_TRUE(answers[0].load.has_value());
  EXPECT_EQ(answers[0].load->max, 3);
  EXPECT_FALSE(answers[0].draining);
}

TEST_F(RemotePoolTest, an_empty_result_keeps_its_columns) {
  serve();
  const auto table = pool_->execute_query("select id, name from t where id > 100");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->num_rows(), 0);
  EXPECT_EQ((*table)->num_columns(), 2);
}

TEST_F(RemotePoolTest, a_stream_is_read_batch_by_batch_and_gives_its_connection_back) {
  serve();
  QueryOptions options;
  options.limits.rows = 1000;
  const auto reader = pool_->execute_stream(series(100'000), {}, options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  int64_t rows = 0;
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
    if (batch == nullptr) break;
    EXPECT_LE(batch->num_rows(), 1000);
    rows += batch->num_rows();
  }
  EXPECT_EQ(rows, 100'000);
  EXPECT_TRUE(eventually([&] { return active() == 0; }));
}

TEST_F(RemotePoolTest, a_stream_closed_early_gives_its_connection_back) {
  serve();
  for (int i = 0; i < 8; ++i) {  // more than there are connections
    const auto reader = pool_->execute_stream(series(100'000'000));
    ASSERT_TRUE(reader.ok()) << reader.status();
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
    ASSERT_NE(batch, nullptr);
    ASSERT_TRUE((*reader)->Close().ok());
    EXPECT_FALSE((*reader)->ReadNext(&batch).ok()) << "a cut stream must not look whole";
  }
  EXPECT_TRUE(eventually([&] { return active() == 0; }));
}

TEST_F(RemotePoolTest, updates_and_ingests_tell_how_many_rows) {
  serve();
  EXPECT_EQ(*pool_->execute("update t set name = ?", Params::of("x")), 2);
  EXPECT_EQ(*pool_->execute("create table u (i integer)"), -1);
  const auto rows = pool_->execute_query(series(200'000));
  ASSERT_TRUE(rows.ok());
  arrow::TableBatchReader reader(*rows);
  const auto count = pool_->ingest({"fresh", IngestMode::kCreate}, reader);
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(*count, 200'000);
  EXPECT_EQ(value("select sum(i) from fresh"), "20000100000");
}

TEST_F(RemotePoolTest, an_error_of_the_database_comes_back_whole) {
  serve();
  const Status twice = pool_->execute("insert into t values (1, 'again')").status();
  EXPECT_EQ(error_kind(twice), ErrorKind::kIntegrity) << twice;
  ASSERT_NE(error_detail(twice), nullptr);
  EXPECT_NE(error_detail(twice)->vendor_code, 0);
  EXPECT_EQ(error_detail(twice)->pool, "main_db");
  EXPECT_EQ(error_detail(twice)->endpoint, (directory_ / "test.db").string());
  EXPECT_EQ(error_detail(twice)->sent, Sent::kYes);
  const auto local = (*node_->manager().pool("main_db"))->execute("insert into t values (1, 'x')");
  EXPECT_EQ(twice.message(), local.status().message());
  EXPECT_EQ(twice.code(), local.status().code());

  EXPECT_EQ(error_kind(pool_->execute_query("select * from nowhere").status()),
            ErrorKind::kProgramming);
  EXPECT_EQ(error_kind(connect({}, "nowhere")->execute_query("select 1").status()),
            ErrorKind::kUnknownPool);
}

TEST_F(RemotePoolTest, a_transaction_on_a_node_is_a_transaction) {
  serve();
  {
    Result<Transaction> transaction = pool_->begin();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    EXPECT_EQ(*transaction->execute("insert into t values (3, 'three')"), 1);
    ASSERT_TRUE(transaction->savepoint("s").ok());
    EXPECT_EQ(*transaction->execute("delete from t"), 3);
    ASSERT_TRUE(transaction->rollback_to("s").ok());
    ASSERT_TRUE(transaction->release("s").ok());
    EXPECT_EQ(value("select count(*) from t"), "2") << "others do not see it yet";
    const auto inside = transaction->execute_query("select count(*) from t");
    ASSERT_TRUE(inside.ok()) << inside.status();
    EXPECT_EQ((*(*inside)->column(0)->GetScalar(0))->ToString(), "3");
    ASSERT_TRUE(transaction->commit().ok());
    EXPECT_FALSE(transaction->is_open());
    EXPECT_EQ(error_kind(transaction->execute("select 1").status()), ErrorKind::kInterface);
  }
  EXPECT_EQ(value("select count(*) from t"), "3");
  {
    Result<Transaction> dropped = pool_->begin();
    ASSERT_TRUE(dropped.ok());
    EXPECT_EQ(*dropped->execute("delete from t"), 3);
  }
  EXPECT_EQ(value("select count(*) from t"), "3");
  EXPECT_TRUE(eventually([&] { return active() == 0; }));
  EXPECT_TRUE(eventually([&] { return node_->flight().counts().transactions == 0; }));
}

TEST_F(RemotePoolTest, a_transaction_waits_for_no_half_read_stream) {
  serve();
  Result<Transaction> transaction = pool_->begin();
  ASSERT_TRUE(transaction.ok());
  {
    const auto reader = transaction->execute_stream(series(100'000'000));
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ(error_kind(transaction->execute("select 1").status()), ErrorKind::kInterface);
  }
  EXPECT_EQ(*transaction->execute("insert into t values (3, 'three')"), 1);
  ASSERT_TRUE(transaction->commit().ok());
}

TEST_F(RemotePoolTest, a_stop_cancels_before_the_first_row_and_between_rows) {
  serve();
  std::stop_source stop;
  QueryOptions options;
  options.stop = stop.get_token();
  std::jthread stopper([&] {
    (void)eventually([&] { return active() > 0; });
    stop.request_stop();
  });
  const auto endless = pool_->execute_query(kEndless, {}, options);
  EXPECT_EQ(error_kind(endless.status()), ErrorKind::kCancelled) << endless.status();
  EXPECT_TRUE(eventually([&] { return active() == 0; }));

  std::stop_source later;
  options.stop = later.get_token();
  const auto reader = pool_->execute_stream(series(100'000'000), {}, options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  later.request_stop();
  Status status;
  std::shared_ptr<arrow::RecordBatch> batch;
  do status = (*reader)->ReadNext(&batch);
  while (status.ok() && batch != nullptr);
  EXPECT_EQ(error_kind(status), ErrorKind::kCancelled) << status;
  EXPECT_TRUE(eventually([&] { return active() == 0; }));

  EXPECT_EQ(error_kind(pool_->execute("delete from t", {}, options).status()),
            ErrorKind::kCancelled);
  EXPECT_EQ(value("select count(*) from t"), "2");
}

TEST_F(RemotePoolTest, a_deadline_ends_the_statement_on_the_node) {
  serve();
  QueryOptions options;
  options.timeout = std::chrono::milliseconds(300);
  Status endless;
  do {
    endless = pool_->execute_query(kEndless, {}, options).status();
  } while (error_kind(endless) == ErrorKind::kPoolTimeout);  // it was over before it began
  EXPECT_EQ(error_kind(endless), ErrorKind::kQueryTimeout) << endless;
  EXPECT_TRUE(eventually([&] { return active() == 0; }));
}

TEST_F(RemotePoolTest, a_refused_connection_was_not_sent_and_a_broken_one_may_have_been) {
  serve();
  flight::ChannelOptions nowhere;
  nowhere.location = "grpc://127.0.0.1:1";
  const Status refused = connect(nowhere)->execute("delete from t").status();
  EXPECT_EQ(error_kind(refused), ErrorKind::kConnection) << refused;
  EXPECT_EQ(error_detail(refused)->sent, Sent::kNo);
  EXPECT_TRUE(retryable(refused));
  EXPECT_TRUE(counts_against_target(refused));
  EXPECT_NE(refused.message().find("grpc://127.0.0.1:1"), std::string::npos);

  std::jthread killer([&] {
    (void)eventually([&] { return active() > 0; });
    node_->flight().drain(Deadline(Clock::now()));
  });
  const Status broken = pool_->execute_query(kEndless).status();
  ASSERT_FALSE(broken.ok());
  ASSERT_NE(error_detail(broken), nullptr) << broken;
  EXPECT_NE(error_detail(broken)->sent, Sent::kNo) << broken;
  EXPECT_FALSE(retryable(broken)) << broken;
}

TEST_F(RemotePoolTest, a_draining_node_lets_transactions_end_and_takes_nothing_new) {
  serve();
  Result<Transaction> transaction = pool_->begin();
  ASSERT_TRUE(transaction.ok());
  std::jthread drain([&] { node_->flight().drain(Deadline::in(std::chrono::seconds(30))); });
  ASSERT_TRUE(eventually([&] { return node_->flight().draining(); }));
  const Status fresh = pool_->execute_query("select 1").status();
  EXPECT_EQ(error_kind(fresh), ErrorKind::kPoolClosed) << fresh;
  EXPECT_EQ(error_detail(fresh)->sent, Sent::kNo);
  EXPECT_EQ(*transaction->execute("insert into t values (3, 'three')"), 1);
  ASSERT_TRUE(transaction->commit().ok());
}

TEST_F(RemotePoolTest, calls_beyond_the_bound_are_refused_and_not_lost) {
  DeploymentConfig bounded = config();
  bounded.server.flight.max_calls = 2;
  serve(std::move(bounded));
  // An answer comes a moment before the node counts its call as ended.
  ASSERT_TRUE(eventually([&] { return node_->flight().calls() == 0; }));
  std::vector<std::shared_ptr<arrow::RecordBatchReader>> held;
  Status refused;
  for (int i = 0; i < 3 && refused.ok(); ++i) {
    auto reader = pool_->execute_stream(series(100'000'000));
    if (reader.ok()) held.push_back(*reader);
    refused = reader.status();
  }
  EXPECT_EQ(held.size(), 2U);
  EXPECT_EQ(error_kind(refused), ErrorKind::kPoolExhausted) << refused;
  EXPECT_TRUE(retryable(refused));
  held.clear();
  EXPECT_TRUE(eventually([&] { return pool_->ping().ok(); }));
  EXPECT_EQ(value("select count(*) from t"), "2");
}

TEST_F(RemotePoolTest, a_transaction_can_be_ended_while_others_use_all_calls) {
  DeploymentConfig bounded = config();
  bounded.server.flight.max_calls = 2;
  serve(std::move(bounded));
  Result<Transaction> transaction = pool_->begin();
  ASSERT_TRUE(transaction.ok());
  EXPECT_EQ(*transaction->execute("insert into t values (3, 'three')"), 1);
  ASSERT_TRUE(eventually([&] { return node_->flight().calls() == 0; }));
  std::vector<std::shared_ptr<arrow::RecordBatchReader>> held;
  for (int i = 0; i < 2; ++i) {
    held.push_back(pool_->execute_stream(series(100'000'000)).ValueOrDie());
  }
  ASSERT_EQ(error_kind(pool_->ping().status()), ErrorKind::kPoolExhausted);
  ASSERT_TRUE(eventually([&] { return node_->flight().calls() == 2; }));
  const Status committed = transaction->commit();
  EXPECT_TRUE(committed.ok()) << committed;
  held.clear();
  EXPECT_TRUE(eventually([&] { return pool_->ping().ok(); }));
  EXPECT_EQ(value("select count(*) from t"), "3");
}

TEST_F(RemotePoolTest, many_threads_share_one_channel) {
  serve();
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 25; ++i) {
          const auto table = pool_->execute_query("select ? as x", Params::of(t * 1000 + i));
          if (!table.ok() ||
              (*(*table)->column(0)->GetScalar(0))->ToString() != std::to_string(t * 1000 + i)) {
            ++wrong;
          }
        }
      });
    }
  }
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_TRUE(eventually([&] { return active() == 0; }));
}

TEST_F(RemotePoolTest, a_cut_ends_the_calls_of_its_own_channel_and_no_others) {
  serve();
  flight::ChannelOptions options;
  options.location = node_->location();
  const auto channel = *flight::NodeChannel::open(options);
  flight::RemotePool cut(channel, "main_db");
  flight::RemotePool beside(*flight::NodeChannel::open(options), "main_db");
  Status ended;
  Status other;
  std::jthread first([&] { ended = cut.execute_query(kEndless).status(); });
  QueryOptions stoppable;
  std::stop_source stop;
  stoppable.stop = stop.get_token();
  std::jthread second([&] { other = beside.execute_query(kEndless, {}, stoppable).status(); });
  ASSERT_TRUE(eventually([&] { return active() == 2; }));
  channel->cut();
  first.join();
  EXPECT_EQ(error_kind(ended), ErrorKind::kConnection) << ended;
  EXPECT_EQ(error_detail(ended)->sent, Sent::kMaybe);
  EXPECT_TRUE(eventually([&] { return active() == 1; })) << "the node noticed";
  EXPECT_TRUE(beside.ping().ok());
  EXPECT_EQ(active(), 1) << "the other channel's call goes on";
  stop.request_stop();
  second.join();
  EXPECT_EQ(error_kind(other), ErrorKind::kCancelled) << other;
  EXPECT_TRUE(cut.ping().ok()) << "the next call connects anew";
}

TEST_F(RemotePoolTest, a_call_of_a_newer_version_is_refused_with_a_reason) {
  serve();
  auto client =
      arrow::flight::FlightClient::Connect(*arrow::flight::Location::Parse(node_->location()));
  ASSERT_TRUE(client.ok());
  flight::Call call;
  call.version = 2;
  call.operation = flight::Operation::kQuery;
  call.sql = "select 1";
  const auto answer = (*client)->DoGet(arrow::flight::Ticket(flight::encode_any(call)));
  ASSERT_FALSE(answer.ok());
  EXPECT_NE(answer.status().message().find("upgrade the nodes before the clients"),
            std::string::npos);
}

TEST_F(RemotePoolTest, passwords_and_rights_hold_for_our_own_client_too) {
  DeploymentConfig guarded = config();
  serve();  // makes the table
  pool_.reset();
  node_.reset();
  guarded.server.users = {{"ada", "her secret", UserRole::kWriter, {}},
                          {"rhea", "other secret", UserRole::kReader, {}}};
  node_ = Node::start(std::move(guarded)).ValueOrDie();
  const Status stranger = connect()->execute_query("select 1").status();
  EXPECT_EQ(error_kind(stranger), ErrorKind::kAuthentication) << stranger;
  EXPECT_EQ(error_detail(stranger)->sent, Sent::kNo);
  flight::ChannelOptions login;
  login.username = "rhea";
  login.password = "other secret";
  const auto reader = connect(login);
  EXPECT_TRUE(reader->execute_query("select * from t").ok());
  const Status forbidden = reader->execute("delete from t").status();
  ASSERT_NE(error_detail(forbidden), nullptr);
  EXPECT_EQ(error_detail(forbidden)->sqlstate, "42501") << forbidden;
  EXPECT_EQ(forbidden.message().find("42501"), std::string::npos) << "it is data, not text";
}

}  // namespace
}  // namespace cenote::node
