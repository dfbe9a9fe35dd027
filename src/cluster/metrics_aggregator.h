// ADR-002's MetricsAggregator: one set of metrics out of those of many processes. Pure. Counters
// and histograms add up, also those of processes that are gone, so that sums never fall; gauges add
// up over the processes that report.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cenote/deadline.h"

#include "base/json.h"

namespace cenote::cluster {

enum class MetricKind : uint8_t { kCounter, kGauge, kHistogram };

// One series of one process. Histograms of one name have the same bounds everywhere.
struct MetricSample {
  std::string name;    // Prometheus's form: db_client_connection_count
  std::string labels;  // `a="b",c="d"`, escaped, in a fixed order; or empty
  MetricKind kind = MetricKind::kCounter;
  double value = 0;              // of a counter or gauge; the sum of a histogram
  std::vector<double> bounds;    // upper bounds, without +Inf
  std::vector<uint64_t> counts;  // values within each bound (not cumulated), the last above all
};

inline MetricSample counter_sample(std::string name, double value, std::string labels = {}) {
  return {std::move(name), std::move(labels), MetricKind::kCounter, value, {}, {}};
}
inline MetricSample gauge_sample(std::string name, double value, std::string labels = {}) {
  return {std::move(name), std::move(labels), MetricKind::kGauge, value, {}, {}};
}

// All that one process reports, in totals since it started.
struct MetricsReport {
  uint64_t incarnation = 0;
  std::vector<MetricSample> samples;
};

Json to_json(const MetricsReport& report);
Result<MetricsReport> metrics_report_from(const Json& value);

class MetricsAggregator {
 public:
  // A report of a newer incarnation adds to what the older ones counted. What does not fit those of
  // the other processes (another kind or other bounds under the same name, as while versions are
  // mixed) is left out; returns the names of that, each once. As soon as nobody reports the former
  // shape any more, the new one counts, from there on.
  std::vector<std::string> take(std::string_view process, MetricsReport report);
  uint64_t left_out() const { return left_out_; }  // samples, ever
  // Its gauges are gone, its counters stay.
  void forget(std::string_view process);

  // The sums, by name and labels.
  std::vector<MetricSample> total() const;
  double sum(std::string_view name) const;  // over all labels; of a histogram its count
  // Upper bound of the bucket where the quantile of all histograms of that name lies, in the
  // metric's unit; 0 without values.
  double quantile(std::string_view name, double q) const;

 private:
  using Key = std::pair<std::string, std::string>;  // name, labels
  static void add(std::map<Key, MetricSample>* to, const MetricSample& sample);

  struct Process {
    MetricsReport report;
    bool left = false;
  };
  // What all samples of one name have in common.
  struct Shape {
    MetricKind kind;
    std::vector<double> bounds;
    size_t samples;  // of processes that report: only those bind others
    bool is_of(const MetricSample& sample) const {
      return kind == sample.kind && bounds == sample.bounds;
    }
  };
  bool fits(const MetricSample& sample) const;
  void hold(const MetricSample& sample);
  void release(const Process& process);
  bool counts(const Process& process, const MetricSample& sample) const;
  // Adds what ended to ended_.
  void fold(const MetricsReport& report);
  // Every sample of that name that counts, one by one.
  template <typename Take>
  void each(std::string_view name, const Take& take) const;

  std::map<std::string, Process, std::less<>> processes_;
  // Kept beside, so that a report costs the same among two processes and among thousands.
  std::map<std::string, Shape, std::less<>> shapes_;
  uint64_t left_out_ = 0;
  std::map<Key, MetricSample> ended_;  // counters and histograms of ended incarnations
};

// The exposition in Prometheus's text format 0.0.4; `help` gives a name's description.
std::string prometheus_text(const std::vector<MetricSample>& samples,
                            const std::map<std::string, std::string>& help);

}  // namespace cenote::cluster
