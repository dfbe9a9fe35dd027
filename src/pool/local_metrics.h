// ADR-002's LocalMetrics: what one pool counts. No lock on the query path: a count goes to
// the shard of the core it is made on, and a snapshot merges them. Names are OpenTelemetry's.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "cenote/pool.h"

#include "base/mutex.h"
#include "pool/histogram.h"

namespace cenote {

class LocalMetrics {
 public:
  LocalMetrics();

  // A caller got a connection, after that wait.
  void got_connection(Duration waited) { shard().wait_time.record(waited); }
  void returned_connection(Duration used) { shard().use_time.record(used); }
  void connected(Duration took) { create_time_.record(took); }
  void connect_failed() { connect_failures_.fetch_add(1, std::memory_order_relaxed); }
  // A caller gave up waiting.
  void timed_out() { timeouts_.fetch_add(1, std::memory_order_relaxed); }
  // A call failed before it had a connection.
  void failed() { errors_.fetch_add(1, std::memory_order_relaxed); }
  // A statement ended; `rows` below zero where it returns none.
  void statement(Duration took, int64_t rows, bool ok);

  // Notes the number of statements until now, for the rate over the last minute. To be called about
  // once a second.
  void sample(TimePoint now);

  PoolMetrics snapshot(const PoolStatus& status, TimePoint now) const;
  std::string prometheus(const PoolStatus& status, const PoolOptions& options,
                         std::string_view system_name) const;

 private:
  struct alignas(64) Shard {
    Histogram wait_time;
    Histogram use_time;
    Histogram operation_duration;
    Histogram returned_rows;
  };
  struct Sample {
    TimePoint at;
    uint64_t queries = 0;
  };

  Shard& shard() { return shards_[shard_here() & mask_]; }
  static uint32_t shard_here();
  void merge(Histogram Shard::* which, Histogram* into) const;
  uint64_t queries() const;
  double rate(TimePoint now) const;

  uint32_t mask_;
  std::unique_ptr<Shard[]> shards_;
  Histogram create_time_;
  std::atomic<uint64_t> errors_{0};
  std::atomic<uint64_t> timeouts_{0};
  std::atomic<uint64_t> connect_failures_{0};
  mutable Mutex samples_mutex_;  // guards the samples; not taken on the query path
  std::deque<Sample> samples_ CENOTE_GUARDED_BY(samples_mutex_);
};

}  // namespace cenote
