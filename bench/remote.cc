// What a node costs: a point query through one, beside the same query in this process and beside a
// bare Flight do_get of one row; and a large result both ways. Two processes: this one and a copy
// of it that serves.
#include <algorithm>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/flight/server.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "flight/remote_pool.h"
#include "node/node.h"

namespace cenote::bench {
namespace {

namespace fl = arrow::flight;

// Answers every ticket with one row: what Flight itself costs.
class BareServer final : public fl::FlightServerBase {
 public:
  BareServer() {
    arrow::Int64Builder builder;
    check(builder.Append(1));
    batch_ = arrow::RecordBatch::Make(arrow::schema({arrow::field("x", arrow::int64())}), 1,
                                      arrow::ArrayVector{value(builder.Finish())});
  }
  Status DoGet(const fl::ServerCallContext& /*context*/, const fl::Ticket& /*request*/,
               std::unique_ptr<fl::FlightDataStream>* stream) override {
    ARROW_ASSIGN_OR_RAISE(auto reader, arrow::RecordBatchReader::Make({batch_}));
    *stream = std::make_unique<fl::RecordBatchStream>(reader);
    return Status::OK();
  }

 private:
  std::shared_ptr<arrow::RecordBatch> batch_;
};

DeploymentConfig config_of(const std::string& file) {
  DeploymentConfig config;
  PoolConfig pool;
  pool.id = "main_db";
  pool.type = "sqlite";
  pool.config["database"] = file;
  config.pools.push_back(std::move(pool));
  config.server.flight.listen = "127.0.0.1:0";
  return config;
}

// Prints the places of both servers and serves until its standard input ends.
int serve(const std::string& file) {
  const auto node = value(node::Node::start(config_of(file)));
  BareServer bare;
  check(bare.Init(fl::FlightServerOptions(value(fl::Location::ForGrpcTcp("127.0.0.1", 0)))));
  std::printf("%s\ngrpc://127.0.0.1:%d\n", node->location().c_str(), bare.port());
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  check(bare.Shutdown());
  return 0;
}

// The copy of this program, with its lines read and its standard input held open.
class Served {
 public:
  explicit Served(const std::string& file) {
    int in[2];
    int out[2];
    if (::pipe(in) != 0 || ::pipe(out) != 0) fail("pipe");
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      for (const int end : {in[0], in[1], out[0], out[1]}) ::close(end);
      ::execl("/proc/self/exe", "bench-remote", "--serve", file.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    alive_ = in[1];
    std::FILE* lines = ::fdopen(out[0], "r");
    for (std::string* place : {&node_, &bare_}) {
      char text[256];
      if (std::fgets(text, sizeof text, lines) == nullptr)
        fail("the serving process did not start");
      *place = std::string(text).substr(0, std::string_view(text).find('\n'));
    }
    std::fclose(lines);
  }
  ~Served() {
    ::close(alive_);
    ::waitpid(child_, nullptr, 0);
  }
  const std::string& node() const { return node_; }
  const std::string& bare() const { return bare_; }

 private:
  pid_t child_ = -1;
  int alive_ = -1;
  std::string node_;
  std::string bare_;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

void points(LocalPool& local, flight::RemotePool& remote, fl::FlightClient& bare, int count) {
  const char* sql = "select id, device, value from readings where id = ?";
  std::vector<double> here;
  std::vector<double> there;
  std::vector<double> flight;
  // One of each in turn, so that what else the machine does meets all three.
  for (int i = 0; i < count; ++i) {
    const Params params = Params::of(1 + i * 7919 % 1'000'000);
    here.push_back(timed([&] { keep(value(local.execute_query(sql, params))); }));
    there.push_back(timed([&] { keep(value(remote.execute_query(sql, params))); }));
    flight.push_back(timed([&] { keep(value(value(bare.DoGet(fl::Ticket("x")))->ToTable())); }));
  }
  Line("remote_point", "local").add("us", median(here) * 1e6);
  Line("remote_point", "node adds").add("us", (median(there) - median(here)) * 1e6);
  Line("remote_point", "bare do_get").add("us", median(flight) * 1e6);
}

void large(LocalPool& local, flight::RemotePool& remote) {
  const char* sql = "select id, device, value, name, place, error from readings";
  Line("remote_large", "local").add("seconds", timed([&] {
                                      keep(value(local.execute_query(sql)));
                                    }));
  Line("remote_large", "node").add("seconds", timed([&] {
                                     keep(value(remote.execute_query(sql)));
                                   }));
}

int run(const std::string& file, int repetitions) {
  const Served served(file);
  auto config = config_of(file);
  const auto local = value(LocalPool::open(std::move(config.pools.front())));
  flight::ChannelOptions options;
  options.location = served.node();
  flight::RemotePool remote(value(flight::NodeChannel::open(std::move(options))), "main_db");
  const auto bare = value(fl::FlightClient::Connect(value(fl::Location::Parse(served.bare()))));
  for (int i = 0; i < 500; ++i) {  // warms up
    keep(value(remote.ping()));
    keep(value(value(bare->DoGet(fl::Ticket("x")))->ToTable()));
  }
  for (int i = 0; i < repetitions; ++i) {
    points(*local, remote, *bare, 3'000);
    large(*local, remote);
  }
  return 0;
}

}  // namespace
}  // namespace cenote::bench

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--serve") return cenote::bench::serve(argv[2]);
  if (argc != 3) cenote::bench::fail("usage: bench-remote READINGS.db REPETITIONS");
  return cenote::bench::run(argv[1], std::atoi(argv[2]));
}
