#include "bench/workload/random.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace pgsteer::workload {

std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t stream) {
  Random mixer(seed * 0x2545F4914F6CDD1DULL + stream * 0x9E3779B97F4A7C15ULL + 1);
  mixer.next();
  return mixer.next();
}

Zipf::Zipf(std::uint32_t n, double exponent) : cumulated_(n) {
  double sum = 0;
  for (std::uint32_t i = 0; i < n; ++i) cumulated_[i] = sum += std::pow(static_cast<double>(i) + 1, -exponent);
  for (double& value : cumulated_) value /= sum;
}

std::uint32_t Zipf::rank(Random& random) const {
  const auto found = std::lower_bound(cumulated_.begin(), cumulated_.end(), random.unit());
  const auto rank = static_cast<std::uint32_t>(found - cumulated_.begin());
  return std::min(rank, size() - 1);
}

Shuffle::Shuffle(std::uint32_t n, std::uint64_t seed) : to_(n) {
  std::iota(to_.begin(), to_.end(), 0U);
  Random random(seed);
  for (std::uint32_t i = n; i > 1; --i) std::swap(to_[i - 1], to_[random.below(i)]);
}

}  // namespace pgsteer::workload
