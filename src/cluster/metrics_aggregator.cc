// Sums of counters, gauges and histograms.
#include "cluster/metrics_aggregator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <set>
#include <utility>

namespace cenote::cluster {
namespace {

constexpr size_t kMaxSamples = 20'000;
constexpr size_t kMostLeft = 1'000;

constexpr std::array<std::pair<MetricKind, std::string_view>, 3> kKinds = {{
    {MetricKind::kCounter, "counter"},
    {MetricKind::kGauge, "gauge"},
    {MetricKind::kHistogram, "histogram"},
}};

std::string_view name_of(MetricKind kind) {
  for (const auto& [each, name] : kKinds) {
    if (each == kind) return name;
  }
  return "untyped";
}

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.12g", value);
  return text.data();
}

bool plain_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

Result<MetricSample> sample_from(const Json& value, const std::string& where) {
  MetricSample sample;
  JsonReader reader(value, where);
  std::string kind;
  reader.get("name", &sample.name);
  reader.maybe("labels", &sample.labels);
  reader.get("kind", &kind);
  reader.get("value", &sample.value);
  const auto known = std::find_if(kKinds.begin(), kKinds.end(),
                                  [&](const auto& each) { return each.second == kind; });
  if (known == kKinds.end()) {
    reader.fail("kind", "is none of counter, gauge, histogram");
  } else {
    sample.kind = known->first;
  }
  if (!plain_name(sample.name)) reader.fail("name", "must be of letters, digits and _");
  if (sample.labels.find('\n') != std::string::npos) reader.fail("labels", "must be one line");
  const Json* bounds = reader.child("bounds", sample.kind == MetricKind::kHistogram);
  const Json* counts = reader.child("counts", sample.kind == MetricKind::kHistogram);
  if (bounds != nullptr && counts != nullptr) {
    if (!bounds->is_array() || !counts->is_array() || counts->size() != bounds->size() + 1) {
      reader.fail("counts", "must have one number more than bounds");
    } else {
      for (const Json& bound : *bounds) {
        if (!bound.is_number()) {
          reader.fail("bounds", "must be numbers");
          break;
        }
        sample.bounds.push_back(bound.get<double>());
      }
      for (const Json& count : *counts) {
        if (!count.is_number_unsigned()) {
          reader.fail("counts", "must be whole numbers");
          break;
        }
        sample.counts.push_back(count.get<uint64_t>());
      }
    }
  }
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return sample;
}

}  // namespace

Json to_json(const MetricsReport& report) {
  Json samples = Json::array();
  for (const MetricSample& sample : report.samples) {
    Json each = {{"name", sample.name}, {"kind", name_of(sample.kind)}, {"value", sample.value}};
    if (!sample.labels.empty()) each["labels"] = sample.labels;
    if (sample.kind == MetricKind::kHistogram) {
      each["bounds"] = sample.bounds;
      each["counts"] = sample.counts;
    }
    samples.push_back(std::move(each));
  }
  return {{"incarnation", json_number(report.incarnation)}, {"samples", std::move(samples)}};
}

Result<MetricsReport> metrics_report_from(const Json& value) {
  MetricsReport report;
  JsonReader reader(value);
  reader.get("incarnation", &report.incarnation);
  if (const Json* samples = reader.child("samples", true)) {
    if (!samples->is_array() || samples->size() > kMaxSamples) {
      reader.fail("samples", "must be an array of at most " + std::to_string(kMaxSamples));
    } else {
      for (size_t i = 0; i < samples->size(); ++i) {
        ARROW_ASSIGN_OR_RAISE(MetricSample sample,
                              sample_from((*samples)[i], "/samples/" + std::to_string(i)));
        report.samples.push_back(std::move(sample));
      }
    }
  }
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return report;
}

void MetricsAggregator::add(std::map<Key, MetricSample>* to, const MetricSample& sample) {
  const auto [at, made] = to->try_emplace({sample.name, sample.labels}, sample);
  if (made) return;
  at->second.value += sample.value;
  for (size_t i = 0; i < std::min(at->second.counts.size(), sample.counts.size()); ++i) {
    at->second.counts[i] += sample.counts[i];
  }
}

bool MetricsAggregator::fits(const MetricSample& sample) const {
  const auto shape = shapes_.find(sample.name);
  return shape == shapes_.end() || shape->second.samples == 0 || shape->second.is_of(sample);
}

void MetricsAggregator::hold(const MetricSample& sample) {
  Shape& shape =
      shapes_.try_emplace(sample.name, Shape{sample.kind, sample.bounds, 0}).first->second;
  if (!shape.is_of(sample)) {
    // Whoever had the former shape is gone, and what they counted goes with it.
    shape = {sample.kind, sample.bounds, 0};
    std::erase_if(ended_, [&](const auto& each) { return each.first.first == sample.name; });
  }
  ++shape.samples;
}

void MetricsAggregator::release(const Process& process) {
  if (process.left) return;
  for (const MetricSample& sample : process.report.samples) --shapes_.at(sample.name).samples;
}

std::vector<std::string> MetricsAggregator::take(std::string_view process, MetricsReport report) {
  const auto found = processes_.find(process);
  // What it told before binds others, not itself.
  if (found != processes_.end()) release(found->second);
  std::set<std::string> odd;
  left_out_ += std::erase_if(report.samples, [&](const MetricSample& sample) {
    if (!fits(sample)) {
      odd.insert(sample.name);
      return true;
    }
    hold(sample);
    return false;
  });
  if (found != processes_.end() && found->second.report.incarnation != report.incarnation) {
    fold(found->second.report);
  }
  processes_.insert_or_assign(std::string(process), Process{std::move(report), false});
  return {odd.begin(), odd.end()};
}

void MetricsAggregator::fold(const MetricsReport& report) {
  for (const MetricSample& sample : report.samples) {
    // One that changed its kind with a restart counts anew.
    const auto shape = shapes_.find(sample.name);
    if (sample.kind == MetricKind::kGauge || !shape->second.is_of(sample)) continue;
    add(&ended_, sample);
  }
}

// Gauges count while their process reports; of one that left, what no other shape took over.
bool MetricsAggregator::counts(const Process& process, const MetricSample& sample) const {
  if (!process.left) return true;
  return sample.kind != MetricKind::kGauge && shapes_.find(sample.name)->second.is_of(sample);
}

// Kept apart for a while: it may come back with the same totals, which must not count twice.
void MetricsAggregator::forget(std::string_view process) {
  const auto found = processes_.find(process);
  if (found == processes_.end()) return;
  release(found->second);
  found->second.left = true;
  size_t left = 0;
  for (const auto& [id, each] : processes_) left += each.left ? 1 : 0;
  if (left <= kMostLeft) return;
  const auto oldest = std::find_if(processes_.begin(), processes_.end(), [&](const auto& each) {
    return each.second.left && each.first != process;
  });
  fold(oldest->second.report);
  processes_.erase(oldest);
}

std::vector<MetricSample> MetricsAggregator::total() const {
  std::map<Key, MetricSample> sums = ended_;
  for (const auto& [id, process] : processes_) {
    for (const MetricSample& sample : process.report.samples) {
      if (counts(process, sample)) add(&sums, sample);
    }
  }
  std::vector<MetricSample> all;
  all.reserve(sums.size());
  for (auto& [key, sample] : sums) all.push_back(std::move(sample));
  return all;
}

template <typename Take>
void MetricsAggregator::each(std::string_view name, const Take& take) const {
  for (auto at = ended_.lower_bound({std::string(name), ""});
       at != ended_.end() && at->first.first == name; ++at) {
    take(at->second);
  }
  for (const auto& [id, process] : processes_) {
    for (const MetricSample& sample : process.report.samples) {
      if (sample.name == name && counts(process, sample)) take(sample);
    }
  }
}

double MetricsAggregator::sum(std::string_view name) const {
  double sum = 0;
  each(name, [&sum](const MetricSample& sample) {
    if (sample.kind != MetricKind::kHistogram) sum += sample.value;
    for (const uint64_t count : sample.counts) sum += static_cast<double>(count);
  });
  return sum;
}

double MetricsAggregator::quantile(std::string_view name, double q) const {
  std::vector<double> bounds;
  std::vector<uint64_t> counts;
  each(name, [&](const MetricSample& sample) {
    if (sample.kind != MetricKind::kHistogram) return;
    if (counts.empty()) {
      bounds = sample.bounds;
      counts.assign(sample.counts.size(), 0);
    }
    for (size_t i = 0; i < std::min(counts.size(), sample.counts.size()); ++i)
      counts[i] += sample.counts[i];
  });
  uint64_t all = 0;
  for (const uint64_t count : counts) all += count;
  if (all == 0) return 0;
  const auto wanted = static_cast<uint64_t>(std::ceil(q * static_cast<double>(all)));
  uint64_t seen = 0;
  for (size_t i = 0; i < bounds.size(); ++i) {
    seen += counts[i];
    if (seen >= wanted) return bounds[i];
  }
  return bounds.empty() ? 0 : bounds.back();
}

std::string prometheus_text(const std::vector<MetricSample>& samples,
                            const std::map<std::string, std::string>& help) {
  std::string text;
  const std::string* family = nullptr;
  for (const MetricSample& sample : samples) {
    if (family == nullptr || *family != sample.name) {
      family = &sample.name;
      const auto known = help.find(sample.name);
      if (known != help.end()) text += "# HELP " + sample.name + " " + known->second + "\n";
      text += "# TYPE " + sample.name + " " + std::string(name_of(sample.kind)) + "\n";
    }
    const std::string labels = sample.labels.empty() ? "" : "{" + sample.labels + "}";
    if (sample.kind != MetricKind::kHistogram) {
      text += sample.name + labels + " " + number(sample.value) + "\n";
      continue;
    }
    const std::string more = sample.labels.empty() ? "" : sample.labels + ",";
    uint64_t below = 0;
    for (size_t i = 0; i < sample.counts.size(); ++i) {
      below += sample.counts[i];
      const std::string bound = i < sample.bounds.size() ? number(sample.bounds[i]) : "+Inf";
      text +=
          sample.name + "_bucket{" + more + "le=\"" + bound + "\"} " + std::to_string(below) + "\n";
    }
    text += sample.name + "_sum" + labels + " " + number(sample.value) + "\n";
    text += sample.name + "_count" + labels + " " + std::to_string(below) + "\n";
  }
  return text;
}

}  // namespace cenote::cluster
