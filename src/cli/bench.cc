// `cenote bench`: a small load generator against one pool.
#include <array>
#include <atomic>
#include <cstdio>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <arrow/table.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/mutex.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/pretty.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "config/value.h"
#include "pool/histogram.h"

namespace cenote::cli {
namespace {

struct Tally {
  Histogram durations;
  std::atomic<int64_t> started{0};
  std::atomic<int64_t> rows{0};
  std::atomic<int64_t> errors{0};
  Mutex mutex;  // guards the first error
  Status first_error CENOTE_GUARDED_BY(mutex);

  void fail(const Status& status) {
    ++errors;
    const Lock lock(mutex);
    if (first_error.ok()) first_error = status;
  }
  Status error() {
    const Lock lock(mutex);
    return first_error;
  }
};

struct BenchCommand {
  Target target;
  std::string sql = "select 1";
  std::string format = "table";
  std::string duration = "5s";
  int64_t count = 0;
  int concurrency = 8;

  int run() const;

 private:
  void load(LocalPool& pool, Deadline end, const std::stop_token& stop, Tally* tally) const;
  std::string report(const LocalPool& pool, const Tally& tally, double seconds) const;
};

// One caller: queries until the time is up, the count is reached or someone stops it.
void BenchCommand::load(LocalPool& pool, Deadline end, const std::stop_token& stop,
                        Tally* tally) const {
  QueryOptions options;
  options.stop = stop;
  options.tag = "cenote bench";
  while (!stop.stop_requested() && !end.passed()) {
    if (tally->started.fetch_add(1, std::memory_order_relaxed) >= count && count > 0) return;
    const TimePoint begin = Clock::now();
    const auto table = pool.execute_query(sql, {}, options);
    if (table.ok()) {
      tally->durations.record(Clock::now() - begin);
      tally->rows.fetch_add((*table)->num_rows(), std::memory_order_relaxed);
    } else if (!stop.stop_requested()) {
      tally->fail(table.status());
    }
  }
}

std::string BenchCommand::report(const LocalPool& pool, const Tally& tally, double seconds) const {
  const auto ms = [&](double quantile) {
    return static_cast<double>(tally.durations.quantile(quantile)) / 1e6;  // of nanoseconds
  };
  const uint64_t done = tally.durations.count();
  const double rate = static_cast<double>(done) / seconds;
  const int64_t errors = tally.errors;
  if (format == "json") {
    const nlohmann::ordered_json report{{"pool_id", pool.id()},
                                        {"type", pool.type()},
                                        {"sql", sql},
                                        {"concurrency", concurrency},
                                        {"seconds", seconds},
                                        {"queries", done},
                                        {"queries_per_second", rate},
                                        {"rows", tally.rows.load()},
                                        {"p50_ms", ms(0.5)},
                                        {"p90_ms", ms(0.9)},
                                        {"p99_ms", ms(0.99)},
                                        {"max_ms", ms(1)},
                                        {"errors", errors}};
    return pretty(report);
  }
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(),
                "%llu queries in %.1f s by %d callers: %.0f queries/s, %lld rows\n"
                "p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, max %.3f ms\n%lld errors\n",
                static_cast<unsigned long long>(done), seconds, concurrency, rate,
                static_cast<long long>(tally.rows.load()), ms(0.5), ms(0.9), ms(0.99), ms(1),
                static_cast<long long>(errors));
  return text.data();
}

int BenchCommand::run() const {
  const Result<Duration> limit = parse_duration(duration);
  if (!limit.ok()) return fail(kUsage, "--duration: " + limit.status().message());
  Result<PoolConfig> config = target.chosen();
  if (!config.ok()) return fail(config.status());
  Interrupt interrupt;
  Result<std::shared_ptr<LocalPool>> pool = open_for_command(std::move(*config));
  if (!pool.ok()) return fail(pool.status());
  // Once before the clock starts: a wrong statement or host is one error, not a thousand.
  QueryOptions first;
  first.stop = interrupt.token();
  const Status works = (*pool)->execute_query(sql, {}, first).status();
  if (interrupt.happened()) return fail(ExitCode(interrupt.exit_code()), "cancelled");
  if (!works.ok()) return fail(works);

  Tally tally;
  const TimePoint begin = Clock::now();
  const Deadline end = Deadline::in(*limit);
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < concurrency; ++i) {
      callers.emplace_back([&] { load(**pool, end, interrupt.token(), &tally); });
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  FdStream out(STDOUT_FILENO, "standard output", false);
  const Status written = out.Write(report(**pool, tally, seconds));
  if (out.reader_went_away()) return kReaderWentAway;
  if (!written.ok()) return fail(written);
  if (interrupt.happened()) return interrupt.exit_code();
  const Status error = tally.error();
  return error.ok() ? kOk : fail(error);
}

}  // namespace

void add_bench(CLI::App& app, Command* command) {
  auto bench = std::make_shared<BenchCommand>();
  CLI::App* verb = app.add_subcommand("bench", "Load one pool and print rate and latencies");
  bench->target.add_options(*verb);
  verb->add_option("sql", bench->sql, "The statement")->type_name("TEXT")->capture_default_str();
  verb->add_option("-j,--concurrency", bench->concurrency, "Callers at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb->add_option("--duration", bench->duration, "Ends after this time")
      ->type_name("DURATION")
      ->capture_default_str();
  verb->add_option("--count", bench->count, "Ends after so many queries, if sooner")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  verb->add_option("-o,--output", bench->format, "Format")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->callback([bench, command] { *command = [bench] { return bench->run(); }; });
}

}  // namespace cenote::cli
