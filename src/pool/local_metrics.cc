// Snapshots of a pool's counters, and their Prometheus text.
#include "pool/local_metrics.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace cenote {
namespace {

// Bounds of OpenTelemetry's semantic conventions for db.client.operation.duration, in seconds.
constexpr std::array kBounds = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0};

double seconds(Duration value) {
  return std::chrono::duration<double>(value).count();
}

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
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
  void histogram(const std::string& name, const char* help, const Histogram& histogram) {
    head(name, "histogram", help);
    const uint64_t total = histogram.count();
    for (const double bound : kBounds) {
      const auto limit = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(bound));
      value(name + "_bucket", ",le=\"" + number(bound) + "\"",
            std::to_string(std::min(total, histogram.count_up_to(limit))));
    }
    value(name + "_bucket", ",le=\"+Inf\"", std::to_string(total));
    value(name + "_sum", "", number(seconds(histogram.sum())));
    value(name + "_count", "", std::to_string(total));
  }
};

}  // namespace

PoolMetrics LocalMetrics::snapshot(const PoolStatus& status) const {
  PoolMetrics metrics;
  metrics.queries = operation_duration.count();
  metrics.errors = errors;
  metrics.rows = rows;
  metrics.checkouts = checkouts;
  metrics.timeouts = timeouts;
  metrics.connects = create_time.count();
  metrics.connect_failures = connect_failures;
  const double life = seconds(status.uptime);
  metrics.queries_per_second = life > 0 ? static_cast<double>(metrics.queries) / life : 0;
  metrics.utilization = status.max > 0 ? static_cast<double>(status.active) / status.max : 0;
  metrics.query_mean = operation_duration.mean();
  metrics.query_p50 = operation_duration.quantile(0.5);
  metrics.query_p99 = operation_duration.quantile(0.99);
  metrics.wait_p99 = wait_time.quantile(0.99);
  return metrics;
}

std::string LocalMetrics::prometheus(const PoolStatus& status, std::string_view system_name) const {
  Exposition out;
  out.labels = "db_client_connection_pool_name=\"" + escaped(status.id) + "\",db_system_name=\"" +
               escaped(system_name) + "\"";
  out.head("db_client_connection_count", "gauge", "Connections by state.");
  out.value("db_client_connection_count", ",db_client_connection_state=\"idle\"",
            std::to_string(status.idle));
  out.value("db_client_connection_count", ",db_client_connection_state=\"used\"",
            std::to_string(status.active));
  out.gauge("db_client_connection_max", "The pool's limit.", status.max);
  out.gauge("db_client_connection_pending_requests", "Callers that wait for a connection.",
            status.waiting);
  out.counter("db_client_connection_timeouts_total", "Callers that gave up waiting.", timeouts);
  out.histogram("db_client_connection_create_time_seconds", "Time to open a connection.",
                create_time);
  out.histogram("db_client_connection_wait_time_seconds", "Time to get a connection.", wait_time);
  out.histogram("db_client_connection_use_time_seconds", "Time from checkout to return.", use_time);
  out.histogram("db_client_operation_duration_seconds", "Duration of statements.",
                operation_duration);
  out.counter("db_client_response_returned_rows_total", "Rows returned.", rows);
  out.counter("cenote_pool_errors_total", "Statements that failed.", errors);
  out.gauge("cenote_pool_up", "1 if the last health verdict is not down.",
            status.health == HealthState::kDown ? 0 : 1);
  return out.text;
}

}  // namespace cenote
