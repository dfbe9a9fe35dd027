// One set of metrics out of many: sums that never fall, gauges of the living.
#include <gtest/gtest.h>

#include "cluster/metrics_aggregator.h"

namespace cenote::cluster {
namespace {

MetricsReport report(uint64_t incarnation, double queries, double used,
                     std::vector<uint64_t> counts) {
  MetricsReport made;
  made.incarnation = incarnation;
  made.samples = {
      {"queries_total", "pool=\"main\"", MetricKind::kCounter, queries, {}, {}},
      {"used", "pool=\"main\"", MetricKind::kGauge, used, {}, {}},
      {"wait_seconds", "", MetricKind::kHistogram, 1.5, {0.01, 0.1}, std::move(counts)}};
  return made;
}

TEST(Metrics, counters_and_histograms_of_all_processes_add_up) {
  MetricsAggregator all;
  ASSERT_TRUE(all.take("a", report(1, 10, 2, {8, 2, 0})).empty());
  ASSERT_TRUE(all.take("b", report(1, 5, 1, {0, 0, 90})).empty());
  EXPECT_EQ(all.sum("queries_total"), 15);
  EXPECT_EQ(all.sum("used"), 3);
  EXPECT_EQ(all.sum("wait_seconds"), 100);
  EXPECT_EQ(all.quantile("wait_seconds", 0.05), 0.01);
  EXPECT_EQ(all.quantile("wait_seconds", 0.10), 0.1);
}

TEST(Metrics, a_restart_and_a_departure_never_let_a_sum_fall) {
  MetricsAggregator all;
  ASSERT_TRUE(all.take("a", report(1, 10, 2, {1, 0, 0})).empty());
  ASSERT_TRUE(all.take("a", report(2, 1, 1, {1, 0, 0})).empty());
  EXPECT_EQ(all.sum("queries_total"), 11);
  EXPECT_EQ(all.sum("used"), 1);
  all.forget("a");
  EXPECT_EQ(all.sum("queries_total"), 11);
  EXPECT_EQ(all.sum("used"), 0);
  ASSERT_TRUE(all.take("a", report(2, 1, 1, {1, 0, 0})).empty());
  EXPECT_EQ(all.sum("queries_total"), 11) << "the same totals counted twice";
}

TEST(Metrics, of_a_report_only_what_does_not_fit_the_others_is_left_out) {
  MetricsAggregator all;
  ASSERT_TRUE(all.take("a", report(1, 10, 2, {1, 0, 0})).empty());
  MetricsReport other = report(1, 1, 1, {5, 0});
  other.samples[0].kind = MetricKind::kGauge;
  other.samples[2].bounds = {0.5};
  other.samples.push_back(other.samples[2]);
  other.samples[3].labels = "pool=\"main\"";
  const std::vector<std::string> odd = {"queries_total", "wait_seconds"};
  EXPECT_EQ(all.take("b", other), odd);
  EXPECT_EQ(all.sum("queries_total"), 10) << "what was left out counted";
  EXPECT_EQ(all.sum("wait_seconds"), 1);
  EXPECT_EQ(all.sum("used"), 3) << "what fits was not taken";
  EXPECT_EQ(all.left_out(), 3u);
}

TEST(Metrics, in_a_rolling_upgrade_the_new_bounds_count_once_nobody_reports_the_old_ones) {
  MetricsAggregator all;
  const auto upgraded = [](uint64_t count) {
    MetricsReport made = report(2, 1, 1, {});
    made.samples[2].bounds = {0.5};
    made.samples[2].counts = {count, 0};
    return made;
  };
  for (const char* node : {"a", "b", "c"}) {
    ASSERT_TRUE(all.take(node, report(1, 10, 2, {1, 0, 0})).empty());
  }
  EXPECT_EQ(all.take("a", upgraded(7)).size(), 1U);
  EXPECT_EQ(all.sum("wait_seconds"), 3) << "a's former life, and the other two";
  EXPECT_EQ(all.sum("queries_total"), 31);
  all.forget("b");  // for good
  EXPECT_TRUE(all.take("c", upgraded(7)).empty()) << "nobody reports the old ones";
  EXPECT_EQ(all.sum("wait_seconds"), 7) << "counts of two shapes were added";
  EXPECT_TRUE(all.take("a", upgraded(8)).empty());
  EXPECT_EQ(all.sum("wait_seconds"), 15);
  EXPECT_EQ(all.sum("queries_total"), 32) << "the other metrics fell";
  EXPECT_EQ(all.quantile("wait_seconds", 0.5), 0.5);
  EXPECT_EQ(all.take("b", report(1, 10, 2, {1, 0, 0})).size(), 1U) << "now it is the odd one";
  for (const MetricSample& sample : all.total()) {
    EXPECT_TRUE(sample.name != "wait_seconds" || sample.counts.size() == 2);
  }
}

TEST(Metrics, a_process_may_change_its_own_metrics_but_not_those_of_others) {
  MetricsAggregator all;
  ASSERT_TRUE(all.take("a", report(1, 10, 2, {1, 0, 0})).empty());
  MetricsReport other = report(2, 7, 1, {1, 0, 0});
  other.samples[0].kind = MetricKind::kGauge;
  ASSERT_TRUE(all.take("a", other).empty()) << "it was alone with them";
  EXPECT_EQ(all.sum("queries_total"), 7);
  EXPECT_EQ(all.take("b", report(1, 1, 1, {1, 0, 0})).size(), 1U);
  ASSERT_TRUE(all.take("b", other).empty()) << "what was left out binds nobody";
  EXPECT_EQ(all.sum("queries_total"), 14);
  EXPECT_EQ(all.take("a", report(3, 1, 1, {1, 0, 0})).size(), 1U) << "now b has them too";
  EXPECT_EQ(all.sum("queries_total"), 7);
}

TEST(Metrics, the_text_is_what_prometheus_reads) {
  MetricsAggregator all;
  ASSERT_TRUE(all.take("a", report(1, 10, 2, {8, 2, 1})).empty());
  EXPECT_EQ(prometheus_text(all.total(), {{"used", "In use."}}),
            "# TYPE queries_total counter\n"
            "queries_total{pool=\"main\"} 10\n"
            "# HELP used In use.\n"
            "# TYPE used gauge\n"
            "used{pool=\"main\"} 2\n"
            "# TYPE wait_seconds histogram\n"
            "wait_seconds_bucket{le=\"0.01\"} 8\n"
            "wait_seconds_bucket{le=\"0.1\"} 10\n"
            "wait_seconds_bucket{le=\"+Inf\"} 11\n"
            "wait_seconds_sum 1.5\n"
            "wait_seconds_count 11\n");
}

TEST(Metrics, a_report_comes_back_from_json_the_same) {
  const auto back = metrics_report_from(to_json(report(3, 10, 2, {8, 2, 1})));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->incarnation, 3u);
  EXPECT_EQ(back->samples[2].counts, (std::vector<uint64_t>{8, 2, 1}));
  Json wrong = to_json(report(3, 10, 2, {8, 2}));
  EXPECT_FALSE(metrics_report_from(wrong).ok());
}

}  // namespace
}  // namespace cenote::cluster
