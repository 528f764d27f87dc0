#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <string>

#include "proxy/hub.hpp"

namespace pgsteer::proxy::http {

/// What happened in each of the last seconds: differences of the process's counters, and latency quantiles from those of the
/// meters. Not synchronised: one thread samples and reads.
class Timeline {
 public:
  static constexpr std::size_t kSeconds = 3600;

  explicit Timeline(Hub& hub) : hub_(hub) {}
  void sample(std::int64_t unix_ms);
  /// Columns of numbers as JSON text: one entry a sample later than `since_ms`, oldest first.
  std::string json(std::int64_t since_ms) const;

 private:
  using Counts = std::array<std::uint64_t, LatencyMeter::kBuckets>;
  struct Point {
    std::int64_t unix_ms = 0;
    double queries = 0, errors = 0, cache_hits = 0, changed = 0;  ///< a second
    float p50_ms = 0, p95_ms = 0, p99_ms = 0, overhead_us = 0;    ///< 0 when nothing ran
    std::size_t clients = 0;
  };
  Hub& hub_;
  std::deque<Point> points_;
  Totals last_;
  Counts last_counts_{};
  std::int64_t last_ms_ = 0;
};

}  // namespace pgsteer::proxy::http
