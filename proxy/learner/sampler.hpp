#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace pgsteer::proxy::learning {

/// Which executions become training records. A hot statement says nothing new 20,000 times a second, and storing it all cost
/// 165 MB a minute under pgbench: each (fingerprint, choice) has a budget, so that rare statements are always kept and frequent
/// ones in proportion to time, not to load. Statistics and knowledge count every execution all the same. One thread.
class Sampler {
 public:
  static constexpr double kPerSecond = 20;
  static constexpr double kBurst = 200;
  static constexpr std::size_t kMaxStatements = 100000;  ///< then all start afresh

  /// True when this execution is to be stored. `now_us`: a monotone or wall clock in microseconds.
  bool take(std::uint64_t fingerprint, std::size_t choice, std::int64_t now_us) {
    if (buckets_.size() >= kMaxStatements) buckets_.clear();
    auto [it, fresh] = buckets_.try_emplace(fingerprint * 31 + choice, Bucket{kBurst, now_us});
    Bucket& bucket = it->second;
    const double elapsed = static_cast<double>(std::max<std::int64_t>(now_us - bucket.at_us, 0)) / 1e6;
    bucket.tokens = std::min(kBurst, bucket.tokens + elapsed * kPerSecond);
    bucket.at_us = now_us;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

 private:
  struct Bucket {
    double tokens;
    std::int64_t at_us;
  };
  std::unordered_map<std::uint64_t, Bucket> buckets_;
};

}  // namespace pgsteer::proxy::learning
