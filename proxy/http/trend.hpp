#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "proxy/hub.hpp"
#include "proxy/meters.hpp"

namespace pgsteer::proxy::http {

/// What happened in one span of time, from the counters at its ends.
struct Span {
  std::int64_t unix_us = 0;  ///< its end
  double seconds = 0;
  std::uint64_t queries = 0, transactions = 0, errors = 0, cache_hits = 0, cache_misses = 0, rewritten = 0, steered = 0, bytes_in = 0,
                bytes_out = 0;
  double saved_ms = 0, proxy_us = 0;
  int clients = 0, active = 0, waiting = 0;                      ///< at its end
  std::array<std::uint32_t, LatencyMeter::kBuckets> latency{};  ///< of statements, whoever answered
  void add(const Span& later);
  /// Milliseconds; 0 without a statement. Within a bucket it is interpolated: right to about a quarter of the value.
  double quantile_ms(double q) const;
};

/// A second's counts for the last hour; of the HTTP thread alone.
class Trend {
 public:
  static constexpr std::size_t kSeconds = 3600;
  void sample(Hub& hub, std::int64_t now_unix_us);  ///< once a second
  /// The last `seconds`, oldest first, in steps of `step` seconds.
  std::vector<Span> spans(std::size_t seconds, std::size_t step) const;
  Span last(std::size_t seconds) const;  ///< all of it as one

 private:
  struct Counts {
    std::int64_t unix_us = 0;
    Totals totals;
    double saved_ms = 0;
    std::array<std::uint64_t, LatencyMeter::kBuckets> latency{};
  };
  std::deque<Span> seconds_;
  Counts before_;
};

}  // namespace pgsteer::proxy::http
