// Snapshots of a pool's counters, and their Prometheus text.
#include "pool/local_metrics.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <span>
#include <thread>

#include <sched.h>

#include "base/label.h"

namespace cenote {
namespace {

// Bounds of OpenTelemetry's semantic conventions for db.client.operation.duration, in seconds.
constexpr std::array kSeconds = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0};
// And for db.client.response.returned_rows.
constexpr std::array kRows = {1.0,   2.0,   5.0,    10.0,   20.0,   50.0,    100.0,
                              200.0, 500.0, 1000.0, 2000.0, 5000.0, 10'000.0};
constexpr double kNanosPerSecond = 1e9;

// The rate is over this long.
constexpr Duration kRateWindow = std::chrono::seconds(60);
constexpr Duration kSampleInterval = std::chrono::seconds(1);

double seconds(Duration value) {
  return std::chrono::duration<double>(value).count();
}

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

struct Exposition {
  std::string labels;
  std::string text;

  void head(const std::string& name, const char* type, const char* help) {
    text += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
  }
  void value(const std::string& name, const std::string& more, const std::string& number) {
    text += name + "{" + labels + more + "} " + number + "\n";
  }
  void counter(const std::string& name, const char* help, uint64_t count) {
    head(name, "counter", help);
    value(name, "", std::to_string(count));
  }
  void gauge(const std::string& name, const char* help, int64_t count) {
    head(name, "gauge", help);
    value(name, "", std::to_string(count));
  }
  // `unit`: how many of the histogram's values make one of the metric's.
  void histogram(const std::string& name, const char* help, const Histogram& histogram,
                 std::span<const double> bounds, double unit) {
    head(name, "histogram", help);
    const uint64_t total = histogram.count();
    for (const double bound : bounds) {
      const uint64_t below = histogram.count_up_to(static_cast<uint64_t>(bound * unit));
      value(name + "_bucket", ",le=\"" + number(bound) + "\"",
            std::to_string(std::min(total, below)));
    }
    value(name + "_bucket", ",le=\"+Inf\"", std::to_string(total));
    value(name + "_sum", "", number(static_cast<double>(histogram.sum()) / unit));
    value(name + "_count", "", std::to_string(total));
  }
};

Duration nanos(uint64_t value) {
  return Duration(static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX)));
}

}  // namespace

LocalMetrics::LocalMetrics() {
  // A shard for each core that may run at once; more would only cost memory.
  const uint32_t shards = std::bit_ceil(std::clamp(std::thread::hardware_concurrency(), 1U, 8U));
  mask_ = shards - 1;
  shards_ = std::make_unique<Shard[]>(shards);
  samples_.push_back({Clock::now(), 0});
}

uint32_t LocalMetrics::shard_here() {
  // By core, not by thread: of many threads two that run at once would often share a shard, whose
  // lines then travel between their cores with each count.
  const int cpu = ::sched_getcpu();
  return cpu < 0 ? 0 : static_cast<uint32_t>(cpu);
}

void LocalMetrics::statement(Duration took, int64_t rows, bool ok) {
  Shard& mine = shard();
  mine.operation_duration.record(took);
  if (!ok) {
    failed();
  } else if (rows >= 0) {
    mine.returned_rows.record(static_cast<uint64_t>(rows));
  }
}

void LocalMetrics::merge(Histogram Shard::* which, Histogram* into) const {
  for (uint32_t i = 0; i <= mask_; ++i) into->merge(shards_[i].*which);
}

uint64_t LocalMetrics::queries() const {
  uint64_t all = 0;
  for (uint32_t i = 0; i <= mask_; ++i) all += shards_[i].operation_duration.count();
  return all;
}

void LocalMetrics::sample(TimePoint now) {
  const uint64_t count = queries();
  const Lock lock(samples_mutex_);
  if (!samples_.empty() && now - samples_.back().at < kSampleInterval) return;
  samples_.push_back({now, count});
  while (samples_.size() > 1 && now - samples_.front().at > kRateWindow) samples_.pop_front();
}

double LocalMetrics::rate(TimePoint now) const {
  const uint64_t count = queries();
  const Lock lock(samples_mutex_);
  const auto first = std::find_if(samples_.begin(), samples_.end(), [&](const Sample& sample) {
    return now - sample.at <= kRateWindow;
  });
  if (first == samples_.end()) return 0;
  const double passed = seconds(now - first->at);
  return passed > 0 ? static_cast<double>(count - first->queries) / passed : 0;
}

PoolMetrics LocalMetrics::snapshot(const PoolStatus& status, TimePoint now) const {
  Histogram wait;
  Histogram operation;
  Histogram rows;
  merge(&Shard::wait_time, &wait);
  merge(&Shard::operation_duration, &operation);
  merge(&Shard::returned_rows, &rows);
  PoolMetrics metrics;
  metrics.queries = operation.count();
  metrics.errors = errors_;
  metrics.rows = rows.sum();
  metrics.checkouts = wait.count();
  metrics.timeouts = timeouts_;
  metrics.connects = create_time_.count();
  metrics.connect_failures = connect_failures_;
  metrics.queries_per_second = rate(now);
  metrics.utilization = status.max > 0 ? static_cast<double>(status.active) / status.max : 0;
  metrics.query_mean = nanos(operation.mean());
  metrics.query_p50 = nanos(operation.quantile(0.5));
  metrics.query_p99 = nanos(operation.quantile(0.99));
  metrics.wait_p99 = nanos(wait.quantile(0.99));
  return metrics;
}

std::string LocalMetrics::prometheus(const PoolStatus& status, const PoolOptions& options,
                                     std::string_view system_name) const {
  const auto merged = [this](Histogram Shard::* which) {
    auto all = std::make_unique<Histogram>();
    merge(which, all.get());
    return all;
  };
  Exposition out;
  out.labels = "db_client_connection_pool_name=\"" + label_value(status.id) +
               "\",db_system_name=\"" + label_value(system_name) + "\"";
  out.head("db_client_connection_count", "gauge", "Connections by state.");
  out.value("db_client_connection_count", ",db_client_connection_state=\"idle\"",
            std::to_string(status.idle));
  out.value("db_client_connection_count", ",db_client_connection_state=\"used\"",
            std::to_string(status.active));
  out.gauge("db_client_connection_max", "The pool's limit.", status.max);
  out.gauge("db_client_connection_idle_max", "Most connections that may be idle.", status.max);
  out.gauge("db_client_connection_idle_min", "Connections kept open.", options.min_connections);
  out.gauge("db_client_connection_pending_requests", "Callers that wait for a connection.",
            status.waiting);
  out.counter("db_client_connection_timeouts_total", "Callers that gave up waiting.", timeouts_);
  out.histogram("db_client_connection_create_time_seconds", "Time to open a connection.",
                create_time_, kSeconds, kNanosPerSecond);
  out.histogram("db_client_connection_wait_time_seconds", "Time to get a connection.",
                *merged(&Shard::wait_time), kSeconds, kNanosPerSecond);
  out.histogram("db_client_connection_use_time_seconds", "Time from checkout to return.",
                *merged(&Shard::use_time), kSeconds, kNanosPerSecond);
  out.histogram("db_client_operation_duration_seconds", "Duration of statements.",
                *merged(&Shard::operation_duration), kSeconds, kNanosPerSecond);
  out.histogram("db_client_response_returned_rows", "Rows that a statement returned.",
                *merged(&Shard::returned_rows), kRows, 1);
  out.counter("cenote_pool_errors_total", "Statements that failed.", errors_);
  out.counter("cenote_pool_connect_failures_total", "Connects that failed.", connect_failures_);
  out.gauge("cenote_pool_up", "1 if the last health verdict is not down.",
            status.health == HealthState::kDown ? 0 : 1);
  return out.text;
}

}  // namespace cenote
