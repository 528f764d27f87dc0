#pragma once
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace pgsteer::bench {

/// Percentiles of samples in microseconds; sorts them.
struct Percentiles {
  double p50 = 0, p99 = 0;
};
inline Percentiles percentiles(std::vector<double>& samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  return {samples[samples.size() / 2], samples[samples.size() * 99 / 100]};
}

inline double microseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

void bench_parts();
void bench_redis();
void simulate_admission(unsigned seed);

}  // namespace pgsteer::bench
