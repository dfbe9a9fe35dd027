// A store that is slow, full or silent: what the coordinator does, knows and goes on doing.
#include <filesystem>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "coordinator/api.h"
#include "coordinator/faulty_store.h"
#include "coordinator/sqlite_file.h"
#include "coordinator/sqlite_store.h"
#include "coordinator/stuck_disk.h"
#include "net/http_client.h"
#include "net/http_server.h"

namespace cenote::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class StoreFaults : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("cenote-faults-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    auto real = open_sqlite_store(folder_ / "store.db");
    ASSERT_TRUE(real.ok()) << real.status();
    PoolCoordinator::Options options;
    options.rollout.staged = false;
    auto opened =
        PoolCoordinator::open(options, std::make_unique<FaultyStore>(std::move(*real), &faults_));
    ASSERT_TRUE(opened.ok()) << opened.status();
    coordinator_ = std::move(*opened);
  }
  void TearDown() override {
    faults_.release();
    server_.reset();
    api_.reset();
    coordinator_.reset();
    std::filesystem::remove_all(folder_);
  }
  static Change change(const std::string& key = "") { return {{"ada", "r1"}, key, "h"}; }
  void join(const std::string& id) {
    cluster::Registration about;
    about.node_id = id;
    about.incarnation = 1;
    about.location = "grpc://127.0.0.1:1";
    about.pools = {{.pool_id = "main_db", .type = "sqlite", .max = 10}};
    ASSERT_TRUE(coordinator_->register_node(about).ok());
  }
  std::string state(const std::string& id) const {
    for (const cluster::Node& node : coordinator_->nodes().nodes) {
      if (node.about.node_id == id) return std::string(to_string(node.state));
    }
    return "gone";
  }
  size_t audited() const { return coordinator_->audit(0, 100)->size(); }

  // The coordinator over HTTP, as its server has it.
  void serve() {
    api_ = std::make_unique<Api>(*coordinator_, Api::Options());
    HttpServerOptions options;
    options.listen = "127.0.0.1:0";
    options.waiting_threads = 2;
    options.queue_timeout = seconds(60);
    options.refusal = [this](int code, std::string_view why) { return api_->refusal(code, why); };
    server_ = *HttpServer::start(options, api_->routes());
  }
  HttpAnswer ask(const std::string& method, const std::string& target, const Json& body = Json(),
                 std::map<std::string, std::string> headers = {}) const {
    const auto client = *HttpClient::make({.url = "http://" + server_->address()});
    HttpCall call{method, target, std::move(headers), body.is_null() ? "" : body.dump()};
    if (!body.is_null()) call.headers["content-type"] = "application/json";
    const auto answer = client->send({Deadline::in(seconds(20)), {}}, call);
    EXPECT_TRUE(answer.ok()) << target << ": " << answer.status();
    return answer.ok() ? *answer : HttpAnswer();
  }

  Faults faults_;
  std::filesystem::path folder_;
  std::unique_ptr<PoolCoordinator> coordinator_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(StoreFaults, a_change_whose_answer_was_lost_is_found_by_its_repetition) {
  faults_.set(Faults::Kind::kLost);
  const auto lost = coordinator_->put_config("default", "a", 0, change("k1"));
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(error_detail(lost.status())->sent, Sent::kMaybe);
  faults_.release();
  const auto again = coordinator_->put_config("default", "a", 0, change("k1"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)["version"].get<int>(), 1);
  EXPECT_EQ((*coordinator_->rollout("default"))["version"].get<int>(), 1);
  EXPECT_TRUE(coordinator_->put_config("default", "b", 1, change("k2")).ok());
  EXPECT_EQ((*coordinator_->config_history("default"))["versions"].size(), 2U);
  EXPECT_TRUE(coordinator_->verify_audit().ok());
}

TEST_F(StoreFaults, a_write_that_was_given_up_cannot_arrive_after_the_store_was_read_again) {
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  faults_.set(Faults::Kind::kLate);
  EXPECT_FALSE(coordinator_->put_config("default", "b", 1, change("k1")).ok());
  faults_.set(Faults::Kind::kNone);
  coordinator_->settle();  // reads what the store holds
  faults_.deliver();
  // Or the store would hold a version that no node is ever told of.
  EXPECT_EQ((*coordinator_->config_history("default"))["versions"].size(), 1u);
  const auto again = coordinator_->put_config("default", "b", 1, change("k1"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*coordinator_->config("default", 0))["content"], "b");
  EXPECT_TRUE(coordinator_->verify_audit().ok());
}

TEST_F(StoreFaults, a_writer_that_retries_a_lost_change_blindly_is_told_what_is_there) {
  faults_.set(Faults::Kind::kLost);
  EXPECT_FALSE(coordinator_->put_config("default", "a", 0, change()).ok());
  faults_.release();
  const auto blind = coordinator_->put_config("default", "a", 0, change());
  EXPECT_EQ(refusal_of(blind.status()), Refusal::kStale);
  EXPECT_NE(blind.status().message().find("the newest version is 1"), std::string::npos);
}

TEST_F(StoreFaults, what_happened_unseen_takes_effect_without_anybody_asking) {
  join("n1");
  ASSERT_TRUE(
      coordinator_->create_token({"root", TokenRole::kOperator, "", "", 0, false}, change()).ok());
  const Json made =
      *coordinator_->create_token({"ci", TokenRole::kViewer, "", "", 0, false}, change());
  const std::string bearer = "Bearer " + made["token"].get<std::string>();
  faults_.set(Faults::Kind::kLost);
  EXPECT_FALSE(coordinator_->drain("n1", true, change()).ok());
  faults_.release();
  coordinator_->settle();
  EXPECT_EQ(state("n1"), "draining");
  faults_.set(Faults::Kind::kLost);
  EXPECT_FALSE(coordinator_->revoke_token("ci", change()).ok());
  faults_.release();
  coordinator_->settle();
  EXPECT_FALSE(coordinator_->tokens().admit(bearer, unix_seconds()).has_value());
}

TEST_F(StoreFaults, what_the_audit_log_cannot_hold_is_not_done) {
  join("n1");
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  const size_t before = audited();
  faults_.set(Faults::Kind::kRefused);
  EXPECT_FALSE(coordinator_->drain("n1", true, change()).ok());
  EXPECT_FALSE(coordinator_->remove("n1", change()).ok());
  EXPECT_FALSE(coordinator_->put_config("default", "b", 1, change()).ok());
  EXPECT_FALSE(coordinator_->abort_rollout("default", "why", change()).ok());
  EXPECT_FALSE(
      coordinator_->create_token({"root", TokenRole::kOperator, "", "", 0, false}, change()).ok());
  EXPECT_FALSE(coordinator_->backup({"ada", "r1"}).ok());
  faults_.release();
  coordinator_->tick();
  coordinator_->settle();
  EXPECT_EQ(state("n1"), "up");
  EXPECT_EQ((*coordinator_->config("default", 0))["version"].get<int>(), 1);
  EXPECT_NE((*coordinator_->rollout("default"))["stage"].get<std::string>(), "rolled_back");
  EXPECT_TRUE(coordinator_->tokens().is_open());
  EXPECT_EQ(audited(), before);
}

TEST_F(StoreFaults, judging_nodes_never_touches_the_store) {
  join("n1");
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  const int before = faults_.calls();
  for (int i = 0; i < 5; ++i) coordinator_->tick();
  EXPECT_EQ(faults_.calls(), before);
}

TEST_F(StoreFaults, a_roll_out_that_ended_is_written_down_once) {
  ASSERT_TRUE(coordinator_->put_config("default", "a", 0, change()).ok());
  coordinator_->tick();
  ASSERT_EQ((*coordinator_->rollout("default"))["stage"].get<std::string>(), "done");
  coordinator_->settle();
  const int before = faults_.calls();
  for (int i = 0; i < 3; ++i) coordinator_->settle();
  EXPECT_EQ(faults_.calls(), before);
}

TEST_F(StoreFaults, a_store_that_hangs_holds_up_no_route_that_does_not_need_it) {
  join("n1");
  serve();
  const Json content = {{"content", "deployment: {pools: []}\n"}};
  faults_.set(Faults::Kind::kHang);
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      const HttpAnswer answer = ask("PUT", "/v1/config/default", content, {{"if-match", "\"0\""}});
      EXPECT_TRUE(answer.status == 201 || answer.status == 412 || answer.status == 503)
          << answer.status << answer.body;
      EXPECT_EQ(answer.status == 503, answer.headers.contains("retry-after"));
    });
  }
  faults_.wait_for_hanging(1);
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
  EXPECT_EQ(ask("GET", "/v1/nodes").status, 200);
  EXPECT_EQ(ask("GET", "/v1/summary").status, 200);
  EXPECT_EQ(ask("GET", "/metrics").status, 200);
  EXPECT_EQ(ask("POST", "/v1/route", {{"pool_id", "main_db"}}).status, 200);
  EXPECT_EQ(ask("POST", "/v1/config/default/validate", content).status, 200);
  const Json beat = {
      {"node_id", "n1"}, {"incarnation", 1}, {"lease", 1}, {"seq", 1}, {"pools", Json::array()}};
  EXPECT_EQ(ask("PUT", "/v1/nodes/n1/heartbeat", beat).status, 200);
  const Json report = {{"incarnation", 1}, {"samples", Json::array()}};
  EXPECT_EQ(ask("PUT", "/v1/nodes/n1/metrics", report).status, 200);
  faults_.release();
  for (std::thread& writer : writers) writer.join();
}

TEST(StuckDisk, no_call_waits_longer_than_its_deadline_and_an_unknown_write_may_have_happened) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("cenote-stuck-" + std::to_string(::getpid()) + ".db");
  StuckDisk disk;
  {
    const auto store = *open_sqlite_store(file);
    const CallContext ample{Deadline::in(seconds(20)), {}};
    ASSERT_TRUE(store->commit(ample, {{}, {{"a", "1"}}, {}}).ok());
    disk.stick();
    std::thread stuck([&] {
      const auto lost = store->commit({Deadline::in(seconds(5)), {}}, {{}, {{"a", "2"}}, {}});
      EXPECT_EQ(error_kind(lost.status()), ErrorKind::kQueryTimeout) << lost.status();
      EXPECT_EQ(error_detail(lost.status())->sent, Sent::kMaybe);
      EXPECT_NE(lost.status().message().find("slow or stuck"), std::string::npos);
    });
    disk.wait_until_one_hangs();
    const auto queued = store->commit({Deadline::in(milliseconds(20)), {}}, {{}, {{"b", "1"}}, {}});
    EXPECT_EQ(error_kind(queued.status()), ErrorKind::kQueryTimeout) << queued.status();
    EXPECT_EQ(error_detail(queued.status())->sent, Sent::kNo) << "it never began";
    std::stop_source stop;
    stop.request_stop();
    EXPECT_FALSE(store->get({Deadline(), stop.get_token()}, "a").ok()) << "a stop ends it too";
    stuck.join();
    disk.unstick();
    EXPECT_EQ((*store->get(ample, "a"))->value, "2") << "the one that had begun";
    EXPECT_FALSE((*store->get(ample, "b")).has_value()) << "the one that had not";
  }
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + end);
}

TEST(SqliteFile, a_statement_whose_time_is_over_is_given_up) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("cenote-late-" + std::to_string(::getpid()) + ".db");
  {
    const auto opened = *SqliteFile::open(file);
    const CallContext ample{Deadline::in(seconds(20)), {}};
    StoreWrite many;
    for (int i = 0; i < 5'000; ++i) many.puts.emplace_back("k/" + std::to_string(i), "v");
    ASSERT_TRUE(opened->commit(ample, many).ok());
    const CallContext late{Deadline::in(Duration::zero()), {}};
    const auto listed = opened->list(late, "k/");
    EXPECT_EQ(error_kind(listed.status()), ErrorKind::kQueryTimeout) << listed.status();
    for (auto& [key, value] : many.puts) value = "w";
    const auto written = opened->commit(late, many);
    EXPECT_EQ(error_kind(written.status()), ErrorKind::kQueryTimeout) << written.status();
    EXPECT_EQ(error_detail(written.status())->sent, Sent::kNo);
    EXPECT_EQ((*opened->get(ample, "k/7"))->value, "v");
    EXPECT_EQ(opened->list(ample, "k/")->size(), 5'000U);
  }
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + end);
}

}  // namespace
}  // namespace cenote::coordinator
