// What a coordinator counts by itself.
#include "coordinator/cluster_metrics.h"

#include <gtest/gtest.h>

namespace cenote::coordinator {
namespace {

const cluster::MetricSample& named(const std::vector<cluster::MetricSample>& samples,
                                   std::string_view name) {
  for (const cluster::MetricSample& each : samples) {
    if (each.name == name) return each;
  }
  ADD_FAILURE() << "there is no " << name;
  return samples.front();
}

TEST(ClusterMetrics, a_version_counts_once_when_a_node_told_of_it_has_it) {
  ClusterMetrics metrics;
  const TimePoint begin = Clock::now();
  metrics.heard(begin, "n1", {1}, {1}, {});  // has what it is to have
  metrics.heard(begin, "n1", {1}, {2}, {});
  metrics.heard(begin + std::chrono::seconds(1), "n1", {1}, {2}, {});
  metrics.heard(begin + std::chrono::seconds(3), "n1", {2}, {2}, {});
  metrics.heard(begin + std::chrono::seconds(4), "n1", {2}, {2}, {});
  const auto samples = metrics.samples();
  EXPECT_EQ(named(samples, "cenote_config_sync_total").value, 1);
  EXPECT_EQ(named(samples, "cenote_config_sync_failures_total").value, 0);
  EXPECT_EQ(named(samples, "cenote_config_sync_seconds").value, 3);
}

TEST(ClusterMetrics, a_refused_version_is_a_failed_sync) {
  ClusterMetrics metrics;
  const TimePoint now = Clock::now();
  metrics.heard(now, "n1", {1}, {2}, {});
  metrics.heard(now, "n1", {1}, {2}, {2});
  metrics.heard(now, "n1", {1}, {2}, {2});
  EXPECT_EQ(named(metrics.samples(), "cenote_config_sync_total").value, 1);
  EXPECT_EQ(named(metrics.samples(), "cenote_config_sync_failures_total").value, 1);
}

TEST(ClusterMetrics, a_version_that_another_overtakes_is_not_counted) {
  ClusterMetrics metrics;
  const TimePoint now = Clock::now();
  metrics.heard(now, "n1", {1}, {2}, {});
  metrics.heard(now, "n1", {1}, {3}, {});
  metrics.heard(now, "n1", {3}, {3}, {});
  EXPECT_EQ(named(metrics.samples(), "cenote_config_sync_total").value, 1);
}

TEST(ClusterMetrics, preservation_is_a_partition_from_its_begin_to_its_end) {
  ClusterMetrics metrics;
  const TimePoint begin = Clock::now();
  metrics.preserving(begin, false, {});
  metrics.preserving(begin, true, std::chrono::seconds(5));
  metrics.preserving(begin + std::chrono::seconds(1), true, std::chrono::seconds(6));
  EXPECT_EQ(named(metrics.samples(), "cenote_partition_detection_seconds").value, 5);
  EXPECT_EQ(named(metrics.samples(), "cenote_partition_recovery_seconds").value, 0);
  metrics.preserving(begin + std::chrono::seconds(9), false, {});
  EXPECT_EQ(named(metrics.samples(), "cenote_partition_recovery_seconds").value, 9);
}

}  // namespace
}  // namespace cenote::coordinator
