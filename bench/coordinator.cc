// What one coordinator bears: nodes that register, renew their leases every second, report metrics
// and watch the list, each over two connections of its own. One thread plays them all. First
// nothing changes, then one node after another is drained and taken back.
//
// g++ 12 destroys temporaries inside a co_await expression twice: operands are named first.
#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <sched.h>
#include <unistd.h>

#include "bench.h"
#include "cluster/metrics_aggregator.h"
#include "cluster/wire.h"

namespace cenote::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr Duration kBeat = std::chrono::seconds(1);
constexpr Duration kComeBack = std::chrono::milliseconds(100);
constexpr int kBeatsPerMetrics = 10;
constexpr Duration kBetweenChanges = std::chrono::milliseconds(500);

struct Load {
  asio::io_context context{1};
  tcp::endpoint place;
  int nodes = 0;
  int registered = 0;
  int watching = 0;
  std::string from;  // where watches begin: term.revision

  // Of what is measured just now.
  bool measuring = false;
  std::vector<double> beats;  // ms, from when a heartbeat was due until its answer was there
  bool counting = false;      // goes on until the last event is there
  std::vector<double> told;   // ms, from the request for a change until a watch told of it
  uint64_t watch_bytes = 0;
  TimePoint changed;
};

double ms_since(TimePoint start) {
  return seconds_since(start) * 1e3;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

void end_at_error(const std::exception_ptr& error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const std::exception& what) {
    fail(what.what());
  }
}

void spawn(Load& load, asio::awaitable<void> work) {
  asio::co_spawn(load.context, std::move(work), end_at_error);
}

asio::awaitable<void> sleep_until(Load& load, TimePoint at) {
  asio::steady_timer timer(load.context);
  timer.expires_at(at);
  co_await timer.async_wait(asio::use_awaitable);
}

// Kept open, one request at a time.
class Connection {
 public:
  explicit Connection(Load& load) : load_(load), socket_(load.context) {}

  asio::awaitable<void> open() {
    co_await socket_.async_connect(load_.place, asio::use_awaitable);
    socket_.set_option(tcp::no_delay(true));
  }

  // The body of an answer below 300. "Come back later" is obeyed, and its wait is part of what is
  // measured; other answers end the program.
  asio::awaitable<Json> call(http::verb method, std::string target, std::string body) {
    http::request<http::string_body> request(method, target, 11);
    request.set(http::field::host, "bench");
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    request.body() = std::move(body);
    request.prepare_payload();
    for (;;) {
      co_await http::async_write(socket_, request, asio::use_awaitable);
      http::response_parser<http::string_body> parser;
      parser.body_limit(uint64_t{1} << 30);
      co_await http::async_read(socket_, buffer_, parser, asio::use_awaitable);
      const auto& answer = parser.get();
      if (answer.result() == http::status::service_unavailable) {
        const TimePoint later = Clock::now() + kComeBack;
        co_await sleep_until(load_, later);
        if (answer.keep_alive()) continue;
        socket_.close();
        co_await open();
        continue;
      }
      if (answer.result_int() >= 300) fail(target + ": " + answer.body());
      co_return value(parse_json(answer.body()));
    }
  }

 private:
  Load& load_;
  tcp::socket socket_;
  beast::flat_buffer buffer_;
};

std::string node_name(int number) {
  return "node-" + std::to_string(number);
}

std::vector<cluster::PoolReport> pools_of(std::minstd_rand& random) {
  std::vector<cluster::PoolReport> pools;
  for (const char* id : {"main_db", "orders", "reports"}) {
    const auto active = static_cast<int>(random() % 20);
    pools.push_back({id, "postgresql", 20, active, 20 - active});
  }
  return pools;
}

std::string metrics_of(uint64_t count) {
  cluster::MetricsReport report{1, {}};
  for (const char* pool : {"main_db", "orders", "reports"}) {
    const std::string labels = "db_client_connection_pool_name=\"" + std::string(pool) + "\"";
    for (const char* name : {"statements", "statement_errors", "rows", "connects",
                             "connect_failures", "checkout_timeouts"}) {
      report.samples.push_back({"cenote_node_" + std::string(name) + "_total",
                                labels,
                                cluster::MetricKind::kCounter,
                                static_cast<double>(count),
                                {},
                                {}});
    }
  }
  return cluster::to_json(report).dump();
}

// Registers, then renews for ever.
asio::awaitable<void> node(Load& load, int number) {
  std::minstd_rand random(static_cast<unsigned>(number) + 1);
  const std::string id = node_name(number);
  const std::string path = "/v1/nodes/" + id;
  Connection connection(load);
  co_await connection.open();
  cluster::Registration about;
  about.node_id = id;
  about.incarnation = 1;
  about.location = "grpc://10.0.0.1:" + std::to_string(number + 1);
  about.zone = "zone-" + std::to_string(number % 3);
  about.pools = pools_of(random);
  std::string body = cluster::to_json(about).dump();
  std::string target = "/v1/nodes";
  const Json lease = co_await connection.call(http::verb::post, target, std::move(body));
  cluster::Heartbeat beat;
  beat.node_id = id;
  beat.incarnation = 1;
  beat.lease = lease.at("lease").get<uint64_t>();
  ++load.registered;
  // Spread over the second, as nodes that started at different times are.
  TimePoint due = Clock::now() + kBeat * number / load.nodes;
  for (;;) {
    co_await sleep_until(load, due);
    beat.seq += 1;
    beat.pools = pools_of(random);
    body = cluster::to_json(beat).dump();
    target = path + "/heartbeat";
    co_await connection.call(http::verb::put, target, std::move(body));
    if (load.measuring) load.beats.push_back(ms_since(due));
    if (beat.seq % kBeatsPerMetrics == static_cast<uint64_t>(number % kBeatsPerMetrics)) {
      body = metrics_of(beat.seq);
      target = path + "/metrics";
      co_await connection.call(http::verb::put, target, std::move(body));
    }
    due += kBeat;
  }
}

size_t count_of(std::string_view text, std::string_view what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

// Reads events for ever. Only counts them, so that the clients' side costs little.
asio::awaitable<void> watch(Load& load) {
  constexpr std::string_view kEvent = "event: change\n";
  tcp::socket socket(load.context);
  co_await socket.async_connect(load.place, asio::use_awaitable);
  const std::string request =
      "GET /v1/watch?from=" + load.from + " HTTP/1.1\r\nHost: bench\r\n\r\n";
  const auto out = asio::buffer(request);
  co_await asio::async_write(socket, out, asio::use_awaitable);
  std::array<char, 8192> piece;
  std::string seen;  // keeps what may be the beginning of an event
  bool first = true;
  for (;;) {
    const auto in = asio::buffer(piece);
    const size_t got = co_await socket.async_read_some(in, asio::use_awaitable);
    seen.append(piece.data(), got);
    if (first) {
      if (!seen.starts_with("HTTP/1.1 200")) fail("the watch was refused: " + seen);
      ++load.watching;
      first = false;
    }
    const size_t events = count_of(seen, kEvent);
    if (load.counting) {
      load.watch_bytes += got;
      for (size_t i = 0; i < events; ++i) load.told.push_back(ms_since(load.changed));
    }
    if (seen.size() >= kEvent.size()) seen.erase(0, seen.size() - (kEvent.size() - 1));
  }
}

// Seconds of processor time that a process has used.
double processor_time(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double resident_kb(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6));
  }
  return 0;
}

// Waits, bounded, until every watch knows of every change.
asio::awaitable<void> all_told(Load& load, int changes) {
  const auto expected = static_cast<size_t>(changes) * static_cast<size_t>(load.nodes);
  const TimePoint last = Clock::now() + std::chrono::seconds(30);
  while (load.told.size() < expected) {
    if (Clock::now() > last) {
      fail(std::to_string(load.told.size()) + " events of " + std::to_string(expected) + " came");
    }
    const TimePoint soon = Clock::now() + std::chrono::milliseconds(10);
    co_await sleep_until(load, soon);
  }
  load.counting = false;
}

struct Asked {
  int pid = 0;
  double seconds = 0;
  double empty_kb = 0;  // resident before the first node came
};

// Lets the load run for that long, `changes` or not, and prints what was seen.
asio::awaitable<void> measure(Load& load, Connection& admin, Asked asked, bool changes) {
  load.beats.clear();
  load.told.clear();
  load.watch_bytes = 0;
  const double used = processor_time(asked.pid);
  const double own = processor_time(::getpid());
  const TimePoint begin = Clock::now();
  const TimePoint end =
      begin + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(asked.seconds));
  load.measuring = load.counting = true;
  int made = 0;
  while (changes && Clock::now() + kBetweenChanges < end) {
    load.changed = Clock::now();
    std::string target =
        "/v1/nodes/" + node_name(made / 2 % load.nodes) + (made % 2 == 0 ? "/drain" : "/undrain");
    co_await admin.call(http::verb::post, std::move(target), std::string());
    ++made;
    co_await sleep_until(load, load.changed + kBetweenChanges);
  }
  co_await sleep_until(load, end);
  load.measuring = false;
  const double took = seconds_since(begin);
  const double core = 100 * (processor_time(asked.pid) - used) / took;
  const double own_core = 100 * (processor_time(::getpid()) - own) / took;
  co_await all_told(load, made);
  Line line("coordinator", changes ? "changing" : "calm");
  line.add("nodes", load.nodes)
      .add("beats_per_s", static_cast<double>(load.beats.size()) / took)
      .add("p50_ms", quantile(load.beats, 0.5))
      .add("p99_ms", quantile(load.beats, 0.99))
      .add("max_ms", quantile(load.beats, 1))
      .add("cpu", core)
      .add("load_cpu", own_core)
      .add("kb_per_node", (resident_kb(asked.pid) - asked.empty_kb) / load.nodes)
      .add("watch_kb_per_s", static_cast<double>(load.watch_bytes) / 1e3 / took);
  if (!changes) co_return;
  line.add("changes_per_s", made / took)
      .add("told_p50_ms", quantile(load.told, 0.5))
      .add("told_max_ms", quantile(load.told, 1));
}

asio::awaitable<void> run(Load& load, Asked asked) {
  asked.empty_kb = resident_kb(asked.pid);
  const TimePoint begin = Clock::now();
  for (int i = 0; i < load.nodes; ++i) spawn(load, node(load, i));
  while (load.registered < load.nodes) {
    const TimePoint soon = Clock::now() + std::chrono::milliseconds(10);
    co_await sleep_until(load, soon);
  }
  const double registering = seconds_since(begin);
  Connection admin(load);
  co_await admin.open();
  std::string target = "/v1/nodes";
  const Json list = co_await admin.call(http::verb::get, std::move(target), std::string());
  load.from = std::to_string(list.at("term").get<uint64_t>()) + "." +
              std::to_string(list.at("revision").get<uint64_t>());
  for (int i = 0; i < load.nodes; ++i) spawn(load, watch(load));
  while (load.watching < load.nodes) {
    const TimePoint soon = Clock::now() + std::chrono::milliseconds(10);
    co_await sleep_until(load, soon);
  }
  Line("coordinator", "registering").add("nodes", load.nodes).add("seconds", registering);
  const TimePoint settled = Clock::now() + 2 * kBeat;
  co_await sleep_until(load, settled);
  co_await measure(load, admin, asked, false);
  co_await measure(load, admin, asked, true);
  load.context.stop();
}

void allow_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int start(int port, int pid, int nodes, double seconds) {
  allow_many_files();
  Load load;
  load.place = tcp::endpoint(asio::ip::address_v4::loopback(), static_cast<uint16_t>(port));
  load.nodes = nodes;
  spawn(load, run(load, {pid, seconds}));
  load.context.run();
  return 0;
}

}  // namespace
}  // namespace cenote::bench

int main(int argc, char** argv) {
  if (argc != 5) cenote::bench::fail("usage: bench-coordinator PORT PID NODES SECONDS");
  return cenote::bench::start(std::atoi(argv[1]), std::atoi(argv[2]), std::atoi(argv[3]),
                              std::atof(argv[4]));
}
